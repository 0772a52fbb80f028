"""Documents to tokens and word starts: the part that several processes share."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mindmlm.data.segmentation import load_splitter, word_starts
from mindmlm.tokenizers.bert import BertTokenizer


@dataclass(frozen=True)
class EncodedChunk:
    """Some documents after tokenization, in their order.

    Attributes:
        hashes: uint64 [documents], of each document's text.
        lines: int64 [documents], lines in each.
        lengths: int64 [lines], tokens in each line.
        tokens: int32 [tokens].
        word_starts: bool [tokens].
        counts: int64 [2], lines that went through the segmenter, lines that fell back.
    """

    hashes: np.ndarray
    lines: np.ndarray
    lengths: np.ndarray
    tokens: np.ndarray
    word_starts: np.ndarray
    counts: np.ndarray


class CorpusEncoder:
    """Tokenizer and segmenter together.

    Args:
        tokenizer: see `BertTokenizer`.
        segmenter: "jieba" or "none"; loaded at the first use.
    """

    def __init__(self, tokenizer: BertTokenizer, segmenter: str) -> None:
        self._tokenizer = tokenizer
        self._split = load_splitter(segmenter)

    def encode(self, documents: Sequence[Sequence[str]]) -> EncodedChunk:
        """Encode documents given as lists of lines."""
        texts = [line for document in documents for line in document]
        tokens: list[np.ndarray] = [np.zeros(0, np.int32)]
        starts: list[np.ndarray] = [np.zeros(0, np.bool_)]
        fallbacks = 0
        for text, encoded in zip(texts, self._tokenizer.encode_batch(texts), strict=True):
            continuation = self._tokenizer.is_continuation[encoded.ids]
            begins, fell_back = word_starts(text, encoded.offsets, continuation, self._split)
            tokens.append(encoded.ids)
            starts.append(begins)
            fallbacks += fell_back
        return EncodedChunk(
            hashes=np.array([document_hash(document) for document in documents], np.uint64),
            lines=np.array([len(document) for document in documents], np.int64),
            lengths=np.array([len(ids) for ids in tokens[1:]], np.int64),
            tokens=np.concatenate(tokens),
            word_starts=np.concatenate(starts),
            counts=np.array([len(texts) if self._split else 0, fallbacks], np.int64),
        )


def document_hash(lines: Sequence[str]) -> int:
    """Return 64 bits that depend on the text only, so equal documents stay together."""
    text = "\n".join(lines).encode("utf-8")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
