"""Finding tokens that do not belong: what ELECTRA's discriminator says of each token of a text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn

from mindmlm.errors import DataError
from mindmlm.inference.padding import padded
from mindmlm.tokenizers.bert import BertTokenizer


@dataclass(frozen=True)
class _Encoded:
    """One text: ids `[CLS] ... [SEP]`, and where each token between them stands in the text."""

    text: str
    ids: np.ndarray
    offsets: np.ndarray


class FindReplaced:
    """Says of each token how likely it is not the original one.

    Args:
        model: Cell (ids, mask, segments, keeps) -> logits [batch * sequence].
        tokenizer: of the model's vocabulary.
        max_length: longest text the model can read, in tokens.
        batch_size: texts of one pass.
    """

    def __init__(
        self, model: nn.Cell, tokenizer: BertTokenizer, max_length: int, batch_size: int = 8
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.batch_size = batch_size

    def __call__(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Return `{"text", "tokens": [{"token", "start", "end", "replaced"}]}` a text.

        `start` and `end` are places in the text (characters from 0, `end` behind the last);
        `replaced` is the discriminator's probability, from 0 to 1.

        Raises:
            DataError: a text is none, is empty, or is longer than the model can read.
        """
        encoded = [self._encode(text, number) for number, text in enumerate(texts, start=1)]
        self.model.set_train(False)
        results: list[dict[str, Any]] = []
        for start in range(0, len(encoded), self.batch_size):
            results += self._predict(encoded[start : start + self.batch_size])
        return results

    def _encode(self, text: str, number: int) -> _Encoded:
        if not isinstance(text, str):
            raise DataError(f"predict_data: text {number} is no text: {text!r:.40}")
        (found,) = self.tokenizer.encode_batch([text])
        if not len(found.ids):
            raise DataError(f"predict_data: text {number} ({text[:40]!r}) has no token in it")
        ids = np.array([self.tokenizer.cls_id, *found.ids, self.tokenizer.sep_id], np.int32)
        if len(ids) > self.max_length:
            raise DataError(
                f"predict_data: text {number} ({text[:40]!r}) has {len(ids)} tokens with [CLS] and "
                f"[SEP]; this model reads at most {self.max_length} "
                "(model.model_config.max_position_embeddings)"
            )
        return _Encoded(text, ids, found.offsets)

    def _predict(self, batch: Sequence[_Encoded]) -> list[dict[str, Any]]:
        ids, mask = padded([text.ids for text in batch], self.tokenizer.pad_id, self.max_length)
        arrays = (ids, mask, np.zeros_like(ids))
        logits = self.model(*(ms.Tensor(array) for array in arrays), ()).asnumpy()
        rows = 1.0 / (1.0 + np.exp(-logits.reshape(ids.shape).astype(np.float64)))
        return [self._result(text, row) for text, row in zip(batch, rows, strict=True)]

    def _result(self, encoded: _Encoded, row: np.ndarray) -> dict[str, Any]:
        tokens = [
            {
                "token": self.tokenizer.id_to_token(int(token_id)),
                "start": int(start),
                "end": int(end),
                "replaced": float(probability),
            }
            for token_id, (start, end), probability in zip(
                encoded.ids[1:-1], encoded.offsets, row[1:], strict=False
            )
        ]
        return {"text": encoded.text, "tokens": tokens}
