"""A decoder over several processes: one decides about tokens, all compute.

Rank 0 drives: it tells the others what to do next, and gets the logits, gathered over the model
axis and sent back from the last stage. The others follow until they are told that it is over.
"""

from types import TracebackType

import mindspore as ms
import numpy as np

from mindmlm.inference.cached_stage import CachedStage
from mindmlm.inference.generation.decoder import PaddedPrompts
from mindmlm.models.gpt2.heads import GPT2LMHeadModel
from mindmlm.parallel.collectives import Channel, Gather, HostGather
from mindmlm.parallel.layout import cut
from mindmlm.parallel.pipeline import StageLinks
from mindmlm.parallel.place import Place

_OVER, _PREFILL, _STEP, _REORDER = range(4)
_HEADER = 5


class DividedDecoder:
    """A `Decoder` on rank 0; the other ranks call `follow`. One process alone follows nobody.

    To be used in a `with` statement, whose end tells the followers that it is over.

    Args:
        model: what this process has of it.
        place: of this process; its groups must have been made (`create_groups`).
        hidden_size: of the model.
        vocab_size: rows of the word embedding.
    """

    def __init__(
        self, model: GPT2LMHeadModel, place: Place, hidden_size: int, vocab_size: int
    ) -> None:
        self.place = place
        self._stage = CachedStage.of(model)
        self._links = StageLinks.of(place.layout, place.rank, hidden_size)
        self._vocab_size = vocab_size
        self._orders = HostGather(place.world)
        self._gather = Gather(place.model)
        # Only the logits of the model axis's first member travel back.
        ends = place.ends.ranks
        first_of_axis = place.at.model == 0 and len(ends) > 1
        self._back = Channel((ends[0], ends[1]), place.rank) if first_of_axis else None
        self._sequences = 0

    def __enter__(self) -> "DividedDecoder":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.place.is_main:
            self._order(_OVER, np.zeros(0, np.int32))

    def prefill(self, prompts: PaddedPrompts) -> np.ndarray:
        """See `Decoder`."""
        count, length = prompts.ids.shape
        sizes = (count, length, len(prompts.rows), prompts.max_new_tokens)
        self._order(_PREFILL, np.zeros(0, np.int32), sizes)
        self._send(np.concatenate([prompts.ids, prompts.mask], axis=None))
        self._send(prompts.rows)
        return self._whole(self._run_prefill(prompts), count)[prompts.rows]

    def step(self, tokens: np.ndarray) -> np.ndarray:
        """See `Decoder`."""
        self._order(_STEP, tokens)
        return self._whole(self._run_step(tokens), self._sequences)

    def reorder(self, rows: np.ndarray) -> None:
        """See `Decoder`."""
        self._order(_REORDER, rows)
        self._stage.reorder(rows)

    def follow(self) -> None:
        """Do what rank 0 says until it is over."""
        while True:
            kind, sizes, values = self._next_order()
            if kind == _OVER:
                return
            if kind == _PREFILL:
                prompts = self._receive_prompts(*sizes)
                self._whole(self._run_prefill(prompts), sizes[0])
            elif kind == _STEP:
                self._whole(self._run_step(values), self._sequences)
            else:
                self._stage.reorder(values)

    def _run_prefill(self, prompts: PaddedPrompts) -> ms.Tensor:
        self._sequences = len(prompts.rows)
        x = self._stage.prefill(self._input(prompts.ids.size), prompts)
        return self._output(x)

    def _run_step(self, tokens: np.ndarray) -> ms.Tensor:
        return self._output(self._stage.step(self._input(len(tokens)), tokens))

    def _input(self, rows: int) -> ms.Tensor:
        if self._links.previous is None:
            return ms.Tensor(np.zeros(1, np.float32))
        return self._links.previous.receive((rows, self._links.hidden_size))

    def _output(self, x: ms.Tensor) -> ms.Tensor:
        if self._links.following is not None:
            self._links.following.send(x)
        return x

    def _whole(self, x: ms.Tensor, rows: int) -> np.ndarray:
        """The logits [rows, vocab] on rank 0; elsewhere, what nobody looks at."""
        if self._links.last:
            x = self._all_columns(x)
            if self._back is not None:
                self._back.send(x)
        elif self._back is not None:
            x = self._back.receive((rows, self._vocab_size))
        return x.asnumpy()

    def _all_columns(self, logits: ms.Tensor) -> ms.Tensor:
        """Logits of all tokens from those of the rows of the embedding that are here."""
        size = self.place.model.size
        if logits.shape[1] == self._vocab_size:
            return logits
        bounds = [cut(self._vocab_size, size, index) for index in range(size)]
        widest = bounds[0][1]
        mine = np.pad(logits.asnumpy(), ((0, 0), (0, widest - logits.shape[1])))
        parts = self._gather(ms.Tensor(mine)).asnumpy()
        columns = [
            part[:, : stop - start] for part, (start, stop) in zip(parts, bounds, strict=True)
        ]
        return ms.Tensor(np.concatenate(columns, axis=1))

    def _order(
        self, kind: int, values: np.ndarray, sizes: tuple[int, int, int, int] = (0, 0, 0, 0)
    ) -> None:
        """Tell the followers what comes; the message is as long as the last batch was wide."""
        message = np.zeros(_HEADER + self._sequences, np.int64)
        message[:_HEADER] = kind, *sizes
        message[_HEADER : _HEADER + len(values)] = values
        self._orders(message)

    def _next_order(self) -> tuple[int, tuple[int, int, int, int], np.ndarray]:
        message = self._orders(np.zeros(_HEADER + self._sequences, np.int64))[0]
        kind, count, length, sequences, new = (int(value) for value in message[:_HEADER])
        return kind, (count, length, sequences, new), message[_HEADER:].astype(np.int32)

    def _send(self, values: np.ndarray) -> None:
        self._orders(values.astype(np.int32))

    def _receive_prompts(self, count: int, length: int, sequences: int, new: int) -> PaddedPrompts:
        both = self._orders(np.zeros(2 * count * length, np.int32))[0]
        rows = self._orders(np.zeros(sequences, np.int32))[0]
        ids, mask = both.reshape(2, count, length)
        return PaddedPrompts(ids, mask, rows, new)
