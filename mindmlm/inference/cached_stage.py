"""The layers of one process, with caches that fit the batch at hand."""

import mindspore as ms
import numpy as np

from mindmlm.inference.generation.decoder import PaddedPrompts
from mindmlm.models.gpt2.decoder import Cache, Prefill, Reorder, Step, make_caches
from mindmlm.models.gpt2.heads import GPT2LMHeadModel

# Capacity is a multiple of this, so that few shapes are compiled.
_CAPACITY_STEP = 128
# Room for this many new tokens at first: texts that end early need not pay for those that do not.
_FIRST_TOKENS = 256
_HIDDEN = -1.0e9


class CachedStage:
    """Runs the layers that are here, on prompts and then token by token.

    The graphs are compiled for a number of sequences and a capacity, which doubles when it is full.

    Args:
        model: whole, or what this process has of it.
    """

    def __init__(self, model: GPT2LMHeadModel) -> None:
        self.model = model
        self._caches: list[Cache] = []
        self._shape = (0, 0)
        self._longest = 0
        # The next column of the cache, the same for all sequences: prompts end in the same one.
        self._column = 0
        self._positions = np.zeros((0, 1), np.int32)
        self._bias = np.zeros((0, 1, 1, 0), np.float32)

    @classmethod
    def of(cls, model: GPT2LMHeadModel) -> "CachedStage":
        """The one of a model. It stays with the model, its caches too: graphs are compiled once."""
        if not hasattr(model, "cached_stage"):
            model.cached_stage = cls(model)
        return model.cached_stage

    def prefill(self, x: ms.Tensor, prompts: PaddedPrompts) -> ms.Tensor:
        """Begin a batch; see `models.gpt2.decoder.Prefill`."""
        self.model.set_train(False)
        length, sequences = prompts.ids.shape[1], len(prompts.rows)
        self._longest = length + prompts.max_new_tokens
        first = length + min(prompts.max_new_tokens, _FIRST_TOKENS)
        self._use(sequences, _rounded(first))
        mask = prompts.mask
        positions = np.maximum(np.cumsum(mask, axis=1) - 1, 0).astype(np.int32)
        self._column = length
        self._positions = positions[prompts.rows, -1:]
        self._bias = np.full((sequences, 1, 1, self._shape[1]), _HIDDEN, np.float32)
        self._bias[:, 0, 0, :length][mask[prompts.rows] == 1] = 0.0
        arrays = (prompts.ids, mask, positions, prompts.rows)
        return self._prefill(x, *(ms.Tensor(array) for array in arrays))

    def step(self, x: ms.Tensor, tokens: np.ndarray) -> ms.Tensor:
        """Append a token int32 [sequences] to each sequence; see `Step`."""
        if self._column == self._shape[1]:
            self._grow()
        self._positions += 1
        self._bias[..., self._column] = 0.0
        sequences, capacity = self._shape
        rows = np.arange(sequences * self._caches[0].heads, dtype=np.int32) * capacity
        arrays = (tokens[:, None], self._positions, self._bias, rows + np.int32(self._column))
        self._column += 1
        return self._step(x, *(ms.Tensor(array) for array in arrays))

    def reorder(self, rows: np.ndarray) -> None:
        """Let sequence i have the past of sequence rows[i]; see `Reorder`."""
        self._reorder(ms.Tensor(rows))
        # What is padding and where a text stands belongs to its past too.
        self._positions, self._bias = self._positions[rows], self._bias[rows]

    def _use(self, sequences: int, capacity: int) -> None:
        """Have caches with this capacity or more: those of the last batch, if they fit."""
        if self._shape[0] == sequences and self._shape[1] >= capacity:
            return
        # The old tables go before the new ones come.
        self._caches.clear()
        self._caches = make_caches(self.model, sequences, capacity)
        self._prefill = Prefill(self.model, self._caches)
        self._step = Step(self.model, self._caches)
        self._reorder = Reorder(self._caches)
        self._shape = (sequences, capacity)

    def _grow(self) -> None:
        sequences, old = self._shape
        new = min(_rounded(self._longest), 2 * old)
        tables = [
            [value.asnumpy().reshape(-1, old, cache.size) for value in (cache.keys, cache.values)]
            for cache in self._caches
        ]
        self._use(sequences, new)
        room = ((0, 0), (0, new - old), (0, 0))
        for cache, (keys, values) in zip(self._caches, tables, strict=True):
            cache.keys.set_data(ms.Tensor(np.pad(keys, room).reshape(-1, cache.size)))
            cache.values.set_data(ms.Tensor(np.pad(values, room).reshape(-1, cache.size)))
        rest = ((0, 0), (0, 0), (0, 0), (0, new - old))
        self._bias = np.pad(self._bias, rest, constant_values=_HIDDEN)


def _rounded(length: int) -> int:
    return -(-length // _CAPACITY_STEP) * _CAPACITY_STEP
