"""What generation asks of a model on a device."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class PaddedPrompts:
    """Prompts of one batch, padded on the left to one length.

    Args:
        ids: int32 [prompts, length].
        mask: int32 [prompts, length], 1 = token, 0 = padding.
        rows: int32 [sequences], which prompt each sequence goes on from.
        max_new_tokens: how many tokens a sequence may get.
    """

    ids: np.ndarray
    mask: np.ndarray
    rows: np.ndarray
    max_new_tokens: int


class Decoder(Protocol):
    """A model that remembers the sequences it writes."""

    def prefill(self, prompts: PaddedPrompts) -> np.ndarray:
        """Begin a batch; return the logits after each sequence's prompt, [sequences, vocab]."""

    def step(self, tokens: np.ndarray) -> np.ndarray:
        """Append tokens int32 [sequences]; return the logits after them, [sequences, vocab]."""

    def reorder(self, rows: np.ndarray) -> None:
        """Let sequence i go on as what sequence rows[i] was; rows int32 [sequences]."""
