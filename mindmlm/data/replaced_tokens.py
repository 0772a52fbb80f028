"""Masked batches with the random numbers that say which tokens a generator puts in."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from mindmlm.data.batches import EVAL_MASK_SEED
from mindmlm.data.hashing import derive_keys, random_bits
from mindmlm.data.masking import MaskedBatch

# Numbers that the streams of masks do not have.
_BLOCK_STREAM, _TOKEN_STREAM = 16, 17
_BITS = 23


@dataclass(frozen=True)
class ReplacementBatch:
    """What ELECTRA is fed.

    Attributes:
        masked: what the generator fills in.
        draws: float32 [B, P, 2], uniform in [0, 1), two for each chosen position.
    """

    masked: MaskedBatch
    draws: np.ndarray


class MaskedBatches(Protocol):
    """Masked batches as a function of the step."""

    def global_batch(self, step: int) -> Sequence[MaskedBatch]:
        """This rank's micro-batches of a step, from 0."""

    def rows_in_global_batch(self, micro: int) -> np.ndarray:
        """Places of the rows of a micro-batch in the global batch, int64 [batch_size]."""


class MaskedEvaluation(Protocol):
    """Masked batches by number."""

    def __len__(self) -> int:
        """How many."""

    def batch(self, number: int) -> MaskedBatch:
        """One of them, from 0."""


def uniform_draws(keys: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return float32 [B, P, 2] in [0, 1): multiples of 2**-23, exact in float32.

    Args:
        keys: uint64 [B], of the rows.
        positions: int32 [B, P], columns.
    """
    streams = [
        random_bits(keys[:, None], stream, positions) >> np.uint64(64 - _BITS)
        for stream in (_BLOCK_STREAM, _TOKEN_STREAM)
    ]
    return np.stack(streams, -1).astype(np.float32) * np.float32(2.0**-_BITS)


class ReplacementTrainBatches:
    """Training batches whose random numbers are f(seed, step, place in the global batch, column).

    Args:
        batches: the masked rows.
        seed: of the run.
    """

    def __init__(self, batches: MaskedBatches, seed: int) -> None:
        self._batches = batches
        self._seed = seed

    def global_batch(self, step: int) -> list[ReplacementBatch]:
        """Return this rank's micro-batches of a step, from 0."""
        return [
            ReplacementBatch(batch, self._draws(step, micro, batch))
            for micro, batch in enumerate(self._batches.global_batch(step))
        ]

    def rows_in_global_batch(self, micro: int) -> np.ndarray:
        """Return the places of a micro-batch's rows in the global batch, int64 [batch_size]."""
        return self._batches.rows_in_global_batch(micro)

    def _draws(self, step: int, micro: int, batch: MaskedBatch) -> np.ndarray:
        rows = self.rows_in_global_batch(micro)
        keys = derive_keys(self._seed, np.full_like(rows, step), rows)
        return uniform_draws(keys, batch.masked_lm_positions)


class ReplacementEvalBatches:
    """Evaluation batches whose random numbers are f(sample, column), whatever the run.

    Args:
        batches: the masked rows.
    """

    def __init__(self, batches: MaskedEvaluation) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def batch(self, number: int) -> ReplacementBatch:
        """Return batch ``number``, 0 .. len - 1."""
        masked = self._batches.batch(number)
        # Rows that only fill up the last batch have no token that the discriminator judges.
        real = (masked.sample_ids >= 0).astype(masked.input_mask.dtype)
        masked = replace(masked, input_mask=masked.input_mask * real[:, None])
        keys = derive_keys(EVAL_MASK_SEED, masked.sample_ids)
        return ReplacementBatch(masked, uniform_draws(keys, masked.masked_lm_positions))
