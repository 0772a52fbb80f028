"""Documents to tokens and word starts: the part that several processes share."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mindmlm.data.references import reference_starts
from mindmlm.data.segmentation import (
    DEFAULT_OPTIONS,
    SegmenterOptions,
    load_splitter,
    piece_groups,
    word_starts,
)
from mindmlm.tokenizers.files import AnyTokenizer, MaskingTokenizer
from mindmlm.tokenizers.gpt2 import GPT2Tokenizer

# Of a line: bool [n] "a word begins here", None = it falls back to token masking.
Starts = np.ndarray | None


@dataclass(frozen=True)
class EncodedChunk:
    """Some documents after tokenization, in their order.

    Attributes:
        hashes: uint64 [documents], of each document's text.
        lines: int64 [documents], lines in each.
        lengths: int64 [lines], tokens in each line.
        tokens: int32 [tokens].
        word_starts: bool [tokens]; empty where words do not matter.
        segmented, fallbacks: int64 [documents], lines that went through the segmenter, and lines
            of those that fell back.
    """

    hashes: np.ndarray
    lines: np.ndarray
    lengths: np.ndarray
    tokens: np.ndarray
    word_starts: np.ndarray
    segmented: np.ndarray
    fallbacks: np.ndarray


class Encoder(Protocol):
    """From documents to tokens."""

    def encode(
        self,
        documents: Sequence[Sequence[str]],
        references: Sequence[list[int]] | None = None,
    ) -> EncodedChunk:
        """Encode documents given as lists of lines; see `CorpusEncoder.encode`."""


def make_encoder(
    tokenizer: AnyTokenizer, segmenter: str, options: SegmenterOptions = DEFAULT_OPTIONS
) -> Encoder:
    """Return what encodes documents for a kind of tokenizer.

    Raises:
        ValueError: words are asked for, and the tokenizer is GPT-2's, which needs none.
    """
    if not isinstance(tokenizer, GPT2Tokenizer):
        return CorpusEncoder(tokenizer, segmenter, options)
    if segmenter != "none":
        raise ValueError(f"GPT-2 reads tokens, not words; segmenter {segmenter} has no use")
    return DocumentEncoder(tokenizer)


class CorpusEncoder:
    """Tokenizer and segmenter together; every line is encoded by itself.

    Args:
        tokenizer: see `MaskingTokenizer`.
        segmenter: a name in `mindmlm.data.segmentation.SEGMENTERS`.
        options: of jieba and rjieba.
    """

    def __init__(
        self,
        tokenizer: MaskingTokenizer,
        segmenter: str,
        options: SegmenterOptions = DEFAULT_OPTIONS,
    ) -> None:
        self._tokenizer = tokenizer
        self._split = load_splitter(segmenter, options)

    def encode(
        self,
        documents: Sequence[Sequence[str]],
        references: Sequence[list[int]] | None = None,
    ) -> EncodedChunk:
        """Encode documents given as lists of lines.

        Args:
            documents: the lines of each.
            references: of each line the tokens that continue a word (`ReferenceLines`).
        """
        texts = [line for document in documents for line in document]
        if references is None:
            tokens, starts = self._encode_lines(texts)
        else:
            tokens, starts = self._encode_with_references(texts, references)
        lines = np.array([len(document) for document in documents], np.int64)
        fell_back = np.array([begins is None for begins in starts], np.bool_)
        has_words = self._split is not None or references is not None
        return EncodedChunk(
            hashes=np.array([document_hash(document) for document in documents], np.uint64),
            lines=lines,
            lengths=np.array([len(ids) for ids in tokens], np.int64),
            tokens=np.concatenate([np.zeros(0, np.int32), *tokens]),
            word_starts=np.concatenate(
                [
                    np.zeros(0, np.bool_),
                    *(
                        np.ones(len(ids), np.bool_) if begins is None else begins
                        for ids, begins in zip(tokens, starts, strict=True)
                    ),
                ]
            ),
            segmented=lines if has_words else np.zeros_like(lines),
            fallbacks=np.bincount(
                np.repeat(np.arange(len(lines)), lines)[fell_back], minlength=len(lines)
            ).astype(np.int64),
        )

    def _encode_lines(self, texts: Sequence[str]) -> tuple[list[np.ndarray], list[Starts]]:
        """Return tokens and word starts of every line."""
        is_continuation = self._tokenizer.is_continuation
        if self._split is None:
            tokens = self._tokenizer.encode_ids(texts)
            return tokens, [piece_groups(is_continuation[ids]) for ids in tokens]
        encoded = self._tokenizer.encode_batch(texts)
        starts = [
            word_starts(text, line.offsets, is_continuation[line.ids], self._split)
            for text, line in zip(texts, encoded, strict=True)
        ]
        return [line.ids for line in encoded], starts

    def _encode_with_references(
        self, texts: Sequence[str], references: Sequence[list[int]]
    ) -> tuple[list[np.ndarray], list[Starts]]:
        """Return what `_encode_lines` returns; a line whose places do not fit falls back."""
        tokens = self._tokenizer.encode_ids(texts)
        starts = [
            reference_starts(self._tokenizer.is_continuation[ids], places)
            for ids, places in zip(tokens, references, strict=True)
        ]
        return tokens, starts


class DocumentEncoder:
    """Encodes each document as one text, line ends included.

    Args:
        tokenizer: spells white space and line ends.
    """

    def __init__(self, tokenizer: GPT2Tokenizer) -> None:
        self._tokenizer = tokenizer

    def encode(
        self,
        documents: Sequence[Sequence[str]],
        references: Sequence[list[int]] | None = None,
    ) -> EncodedChunk:
        """Encode documents given as lists of lines; each counts as one line.

        Args:
            documents: the lines of each.
            references: must be None: there are no words.
        """
        assert references is None
        tokens = self._tokenizer.encode_ids(["\n".join(document) for document in documents])
        none = np.zeros(len(documents), np.int64)
        return EncodedChunk(
            hashes=np.array([document_hash(document) for document in documents], np.uint64),
            lines=np.ones(len(documents), np.int64),
            lengths=np.array([len(ids) for ids in tokens], np.int64),
            tokens=np.concatenate([np.zeros(0, np.int32), *tokens]),
            word_starts=np.zeros(0, np.bool_),
            segmented=none,
            fallbacks=none,
        )


def document_hash(lines: Sequence[str]) -> int:
    """Return 64 bits that depend on the text only, so equal documents stay together."""
    text = "\n".join(lines).encode("utf-8")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
