"""Where words begin: a segmenter's character offsets joined with the tokenizer's."""

import logging
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from importlib import metadata
from typing import Any

import numpy as np

from mindmlm.tokenizers.characters import contains_cjk, is_punctuation

WordSplitter = Callable[[str], list[int]]


def align_words(
    offsets: np.ndarray, word_offsets: np.ndarray, text_length: int
) -> np.ndarray | None:
    """Mark the first token of every word.

    Args:
        offsets: int [n, 2], characters of each token, ascending.
        word_offsets: int [w], first character of each word, ascending, 0 first; a word ends
            where the next one begins.
        text_length: characters of the text.

    Returns:
        bool [n]; None when a token reaches over the border of a word.
    """
    word = np.searchsorted(word_offsets, offsets[:, 0], side="right") - 1
    ends = np.append(word_offsets[1:], text_length)
    if (offsets[:, 1] > ends[word]).any():
        return None
    starts = np.ones(len(offsets), np.bool_)
    starts[1:] = word[1:] != word[:-1]
    return starts


def piece_groups(continuation: np.ndarray) -> np.ndarray:
    """Return bool [n] "a word begins here" when only ``##`` pieces join their predecessor."""
    starts = ~continuation
    starts[:1] = True
    return starts


def word_starts(
    text: str, offsets: np.ndarray, continuation: np.ndarray, split: WordSplitter
) -> np.ndarray | None:
    """Return bool [n] "a word begins here", None when tokens and words do not line up.

    A token begins a word when it is the first one in that word of the splitter; ``##`` pieces
    always join their predecessor. The caller then falls back to token masking, the rule of
    Chinese-BERT-wwm (ymcui/Chinese-BERT-wwm#13).

    Args:
        text: the original text.
        offsets: int32 [n, 2] of its tokens.
        continuation: bool [n], the token is a ``##`` piece.
        split: gives the first character of every word.
    """
    groups = piece_groups(continuation)
    if not len(offsets):
        return groups
    aligned = align_words(offsets, np.array(split(text), np.int64), len(text))
    if aligned is None:
        return None
    groups &= aligned
    return groups


@cache
def load_splitter(segmenter: str) -> WordSplitter | None:
    """Return the word splitter "jieba" (loaded once in a process), or None for "none".

    Raises:
        ValueError: another name.
    """
    if segmenter == "none":
        return None
    if segmenter == "jieba":
        return JiebaSplitter()
    raise ValueError(f"no segmenter {segmenter!r}; there are jieba and none")


def segmenter_version(segmenter: str) -> str:
    """Return name and version, which together decide where words begin."""
    return f"jieba {metadata.version('jieba')}" if segmenter == "jieba" else segmenter


class JiebaSplitter:
    """Words of jieba's default dictionary, hidden Markov model on.

    Two words without ideographs that touch inside of what BERT splits off as one unit ("Caf" and
    "é", both halves of a Russian word) are one word: there jieba only cuts characters apart.
    The dictionary is read anew (half a second), not from jieba's cache in the folder for
    temporary files: another version or another user may have written that one.
    """

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import jieba
        jieba.setLogLevel(logging.WARNING)
        self._segmenter: Any = jieba.Tokenizer()
        dictionary = self._segmenter.gen_pfdict(self._segmenter.get_dict_file())
        self._segmenter.FREQ, self._segmenter.total = dictionary
        self._segmenter.initialized = True

    def __call__(self, text: str) -> list[int]:
        """Return the first character of every word of ``text``, 0 first."""
        return list(_joined(self._segmenter.tokenize(text, HMM=True)))


def _joined(words: Iterator[tuple[str, int, int]]) -> Iterator[int]:
    previous_open = False
    for word, start, _ in words:
        has_ideograph = contains_cjk(word)
        if not (previous_open and not has_ideograph and _is_inside_of_unit(word[0])):
            yield start
        previous_open = not has_ideograph and _is_inside_of_unit(word[-1])


def _is_inside_of_unit(character: str) -> bool:
    return not (character.isspace() or is_punctuation(character))
