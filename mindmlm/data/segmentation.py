"""Where words begin: a segmenter's character offsets joined with the tokenizer's."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np

from mindmlm.data.jieba_splitter import JiebaSplitter, RustJiebaSplitter, white_space_starts
from mindmlm.data.word_files import read_lines

REFERENCE_FILE = "reference_file"
SEGMENTERS = ("jieba", "rjieba", "presegmented", REFERENCE_FILE, "none")
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


@dataclass(frozen=True)
class SegmenterOptions:
    """Options of jieba and rjieba.

    Attributes:
        user_words: lines of a user dictionary: word, frequency, tag; the last two may be missing.
        hmm: find words that are in no dictionary, by a hidden Markov model.
    """

    user_words: tuple[str, ...] = ()
    hmm: bool = True

    @classmethod
    def from_file(cls, user_dict: str, hmm: bool) -> "SegmenterOptions":
        """Read a user dictionary; "" = none.

        Raises:
            DataError: unreadable, empty or not UTF-8.
        """
        lines = read_lines(Path(user_dict)) if user_dict else ()
        return cls(tuple(text.strip() for _, text in lines), hmm)


DEFAULT_OPTIONS = SegmenterOptions()


@cache
def load_splitter(
    segmenter: str, options: SegmenterOptions = DEFAULT_OPTIONS
) -> WordSplitter | None:
    """Return a word splitter (loaded once in a process); None for "none" and "reference_file".

    Raises:
        ValueError: another name.
        DataError: the package of the segmenter is missing.
    """
    if segmenter in ("none", REFERENCE_FILE):
        return None
    if segmenter == "jieba":
        return JiebaSplitter(options.user_words, options.hmm)
    if segmenter == "rjieba":
        return RustJiebaSplitter(options.user_words, options.hmm)
    if segmenter == "presegmented":
        return white_space_starts
    raise ValueError(f"no segmenter {segmenter!r}; there are {', '.join(SEGMENTERS)}")


def segmenter_version(segmenter: str) -> str:
    """Return name and version, which together decide where words begin."""
    if segmenter not in ("jieba", "rjieba"):
        return segmenter
    try:
        return f"{segmenter} {metadata.version(segmenter)}"
    except metadata.PackageNotFoundError:
        return segmenter
