"""Filling in blanks: the words a masked-language model puts at [MASK] or <mask>."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn

from mindmlm.errors import DataError
from mindmlm.inference.padding import padded
from mindmlm.tokenizers.files import MaskingTokenizer


@dataclass(frozen=True)
class Encoded:
    """One text ready for the model: its token ids and the columns of its blanks."""

    text: str
    ids: np.ndarray
    blanks: np.ndarray


class FillMask:
    """Predicts the blanks of texts.

    Args:
        model: Cell (ids, mask, segments, positions, keeps) -> logits [batch * positions, vocab].
        tokenizer: of the model's vocabulary.
        max_length: longest text the model can read, in tokens.
        batch_size: texts of one pass.
        top_k: candidates a blank.
    """

    def __init__(
        self,
        model: nn.Cell,
        tokenizer: MaskingTokenizer,
        max_length: int,
        batch_size: int = 8,
        top_k: int = 5,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.batch_size = batch_size
        self.top_k = min(top_k, tokenizer.vocab_size)

    def __call__(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Return `{"text", "blanks": [{"position", "candidates": [{"token", "score"}]}]}` a text.

        `position` counts tokens from 0, which is [CLS]; `score` is the model's probability. A
        `token` of RoBERTa's has the space before it (" Paris").

        Raises:
            DataError: a text is none, has no blank, or is longer than the model can read.
        """
        encoded = [self._encode(text, number) for number, text in enumerate(texts, start=1)]
        self.model.set_train(False)
        results: list[dict[str, Any]] = []
        for start in range(0, len(encoded), self.batch_size):
            results += self._predict(encoded[start : start + self.batch_size])
        return results

    def _encode(self, text: str, number: int) -> Encoded:
        if not isinstance(text, str):
            raise DataError(f"predict_data: text {number} is no text: {text!r:.40}")
        ids = self.tokenizer.encode_with_blanks(text)
        blanks = np.flatnonzero(ids == self.tokenizer.mask_id)
        mask = self.tokenizer.mask_token
        if not len(blanks):
            raise DataError(
                f"predict_data: text {number} ({text[:40]!r}) has no blank; write {mask} where a "
                f"word is missing, for example '今天天气很{mask}'"
            )
        if len(ids) > self.max_length:
            raise DataError(
                f"predict_data: text {number} ({text[:40]!r}) has {len(ids)} tokens with the "
                f"two at its ends; this model reads at most {self.max_length} "
                "(model.model_config.max_position_embeddings)"
            )
        return Encoded(text, ids, blanks)

    def _predict(self, batch: Sequence[Encoded]) -> list[dict[str, Any]]:
        arrays = _pad(batch, self.tokenizer.pad_id, self.max_length)
        logits = self.model(*(ms.Tensor(array) for array in arrays), ()).asnumpy()
        logits = logits[:, : self.tokenizer.vocab_size].astype(np.float64)
        rows = logits.reshape(len(batch), -1, logits.shape[1])
        return [self._result(text, row) for text, row in zip(batch, rows, strict=True)]

    def _result(self, encoded: Encoded, logits: np.ndarray) -> dict[str, Any]:
        blanks = [
            {"position": int(position), "candidates": list(self._candidates(row))}
            for position, row in zip(encoded.blanks, logits, strict=False)
        ]
        return {"text": encoded.text, "blanks": blanks}

    def _candidates(self, logits: np.ndarray) -> Iterator[dict[str, Any]]:
        shifted = np.exp(logits - logits.max())
        scores = shifted / shifted.sum()
        for token_id in np.argsort(-scores, kind="stable")[: self.top_k]:
            token = self.tokenizer.token_text(int(token_id))
            yield {"token": token, "score": float(scores[token_id])}


def _pad(batch: Sequence[Encoded], pad_id: int, max_length: int) -> tuple[np.ndarray, ...]:
    """Ids, mask, segments and positions of the blanks; a row with fewer blanks repeats column 0."""
    ids, mask = padded([encoded.ids for encoded in batch], pad_id, max_length)
    most_blanks = max(len(encoded.blanks) for encoded in batch)
    positions = np.zeros((len(batch), most_blanks), np.int32)
    for row, encoded in enumerate(batch):
        positions[row, : len(encoded.blanks)] = encoded.blanks
    return ids, mask, np.zeros_like(ids), positions
