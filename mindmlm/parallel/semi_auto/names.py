"""Under which names the arrays of a task and its dropout masks enter a network. Pure."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

_OF_MASKED_ROWS = (
    *("input_ids", "input_mask", "segment_ids", "positions", "labels", "weights"),
    *("document_ids", "position_ids"),
)
# By `model.arch.type`, in the order of `batch_arrays` of its task.
INPUTS = {
    "BertForMaskedLM": _OF_MASKED_ROWS,
    "RobertaForMaskedLM": _OF_MASKED_ROWS,
    "GPT2LMHeadModel": ("input_ids", "labels", "weights", "document_ids", "position_ids"),
}
_LAYER_MASKS = ("keep_probabilities", "keep_attention", "keep_output")


class Rows(Protocol):
    """The arrays of some rows; see `parallel.micro_batch.MicroBatch`."""

    @property
    def inputs(self) -> tuple[np.ndarray, ...]:
        """Of the task."""

    @property
    def keeps(self) -> tuple[np.ndarray, ...]:
        """Dropout masks: the embeddings' one, then three of each layer."""


def named_arrays(
    architecture: str, rows: Rows, probabilities: Sequence[float], total: float
) -> dict[str, np.ndarray]:
    """The arrays of a micro-batch by the names of the network's inputs.

    Args:
        architecture: `model.arch.type`.
        rows: of the micro-batch.
        probabilities: of dropout, in the order of `rows.keeps`.
        total: what the weights of the positions are divided by: their sum over the global batch.
    """
    arrays = dict(zip(INPUTS[architecture], rows.inputs, strict=False))
    arrays["weights"] = (arrays["weights"] / np.float32(max(1.0, total))).astype(np.float32)
    for number, (mask, probability) in enumerate(zip(rows.keeps, probabilities, strict=True)):
        if probability > 0.0:
            arrays[_mask_name(number)] = _scaled(mask, probability)
    return arrays


def _mask_name(number: int) -> str:
    if number == 0:
        return "embeddings.keep_embeddings"
    layer, site = divmod(number - 1, len(_LAYER_MASKS))
    return f"layers.{layer}.{_LAYER_MASKS[site]}"


def _scaled(mask: np.ndarray, probability: float) -> np.ndarray:
    """bool -> 0 or 1 / (1 - probability); [rows, positions, features] -> [all rows, features]."""
    values = mask.astype(np.float32) * np.float32(1.0 / (1.0 - probability))
    return values if mask.ndim == 4 else values.reshape(-1, mask.shape[-1])
