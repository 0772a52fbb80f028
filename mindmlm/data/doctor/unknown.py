"""What a vocabulary makes of the text: token counts and [UNK]."""

from typing import Any

from mindmlm.data.doctor.findings import Histogram
from mindmlm.data.doctor.lines import LineBatch
from mindmlm.tokenizers.files import MaskingTokenizer

_MAX_DISTINCT = 50_000
# Where a token stands in its line is slow to find out, and only the examples need it.
_LINES_WITH_EXAMPLES = 20_000


class UnknownFinder:
    """Counts tokens and those that are [UNK]; the words behind them in the first lines only.

    Args:
        tokenizer: the vocabulary that is judged.
        examples: unknown words that are shown.
    """

    def __init__(self, tokenizer: MaskingTokenizer, examples: int) -> None:
        self._tokenizer = tokenizer
        self._examples = examples
        self._words: dict[str, list[Any]] = {}
        self.tokens = 0
        self.unknown = 0
        self.lengths = Histogram()
        self._lines_left = _LINES_WITH_EXAMPLES

    @property
    def share(self) -> float:
        """Part of the tokens that is [UNK]."""
        return self.unknown / self.tokens if self.tokens else 0.0

    def add(self, batch: LineBatch) -> None:
        """Take some lines."""
        affected = []
        for index, ids in enumerate(self._tokenizer.encode_ids(batch.texts)):
            self.tokens += len(ids)
            if len(ids):
                self.lengths.add(len(ids), batch.place(index))
            if unknown := int((ids == self._tokenizer.unk_id).sum()):
                self.unknown += unknown
                affected.append(index)
        affected = affected[: self._lines_left]
        self._lines_left -= len(affected)
        encoded = self._tokenizer.encode_batch([batch.texts[index] for index in affected])
        for index, line in zip(affected, encoded, strict=True):
            for begin, end in line.offsets[line.ids == self._tokenizer.unk_id].tolist():
                self._count(batch.texts[index][begin:end], batch.place(index))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        frequent = sorted(self._words.items(), key=lambda item: -item[1][0])[: self._examples]
        return {
            "tokens": self.tokens,
            "unknown": self.unknown,
            "share": self.share,
            "examples": [
                {"text": word, "times": times, "first": place} for word, (times, place) in frequent
            ],
        }

    def _count(self, word: str, place: str) -> None:
        entry = self._words.get(word)
        if entry is not None:
            entry[0] += 1
        elif len(self._words) < _MAX_DISTINCT:
            self._words[word] = [1, place]
