"""Chinese words by jieba, and by its port to Rust."""

import io
import logging
import math
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from mindmlm.errors import DataError
from mindmlm.tokenizers.characters import contains_cjk, is_punctuation

_BLOCK = re.compile(r"([\u4E00-\u9FD5a-zA-Z0-9+#&\._%\-]+)")
_UNKNOWN_WORDS_KEPT = 1 << 17


class JiebaSplitter:
    """Words of jieba, the same as `jieba.Tokenizer.cut` gives, in less time.

    jieba looks for the best path through the words of its dictionary with a list, a logarithm
    and a tuple for every candidate; here the logarithms are taken once, and what the hidden
    Markov model makes of a run of characters is remembered.

    Two words without ideographs that touch inside of what BERT splits off as one unit ("Caf" and
    "é", both halves of a Russian word) are one word: there jieba only cuts characters apart.
    The dictionary is read anew (half a second), not from jieba's cache in the folder for
    temporary files: another version or another user may have written that one.

    Args:
        user_words: lines of a user dictionary: word, frequency, tag; the last two may be missing.
        hmm: find words that are in no dictionary.
    """

    def __init__(self, user_words: Sequence[str] = (), hmm: bool = True) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import jieba
            from jieba import finalseg
        jieba.setLogLevel(logging.WARNING)
        self._segmenter: Any = jieba.Tokenizer()
        dictionary = self._segmenter.gen_pfdict(self._segmenter.get_dict_file())
        self._segmenter.FREQ, self._segmenter.total = dictionary
        self._segmenter.initialized = True
        self._segmenter.load_userdict(io.StringIO("\n".join(user_words)))
        self._hmm = hmm
        # False: no word, but words begin like this.
        log_total = math.log(self._segmenter.total)
        self._scores: dict[str, float | bool] = {
            word: math.log(count) - log_total if count else False
            for word, count in self._segmenter.FREQ.items()
        }
        self._unknown = math.log(1) - log_total
        self._recognise = lru_cache(_UNKNOWN_WORDS_KEPT)(lambda text: list(finalseg.cut(text)))

    def __call__(self, text: str) -> list[int]:
        """Return the first character of every word of ``text``, 0 first."""
        return join_units(self.words(text))

    def words(self, text: str) -> Iterator[str]:
        """Yield the words of jieba; put together they are ``text``."""
        if not self._hmm:
            yield from self._segmenter.cut(text, HMM=False)
            return
        for place, block in enumerate(_BLOCK.split(text)):
            # `re.split` gives what does not match at even places, what matches at odd ones.
            if place % 2:
                yield from self._words_of_block(block)
            else:
                yield from block

    def _words_of_block(self, block: str) -> Iterator[str]:
        ends = self._best_path(block)
        begin = pending = 0
        while begin < len(block):
            end = ends[begin]
            if end - begin > 1:
                if pending < begin:
                    yield from self._singles(block[pending:begin])
                yield block[begin:end]
                pending = end
            begin = end
        if pending < begin:
            yield from self._singles(block[pending:begin])

    def _singles(self, text: str) -> Iterable[str]:
        """Return the words in a run of characters that the best path left alone."""
        if len(text) == 1:
            return (text,)
        return text if self._scores.get(text) else self._recognise(text)

    def _best_path(self, block: str) -> list[int]:
        """Return where the word that begins at each character ends, on the most likely path."""
        score_of = self._scores.get
        unknown = self._unknown
        length = len(block)
        best = [0.0] * (length + 1)
        ends = [0] * length
        for begin in range(length - 1, -1, -1):
            end = begin + 1
            chosen_end = 0
            chosen = 0.0
            score = score_of(block[begin])
            while score is not None:
                if score:
                    path = score + best[end]
                    if not chosen_end or path >= chosen:
                        chosen, chosen_end = path, end
                if end == length:
                    break
                end += 1
                score = score_of(block[begin:end])
            if chosen_end:
                best[begin], ends[begin] = chosen, chosen_end
            else:
                best[begin], ends[begin] = unknown + best[begin + 1], begin + 1
        return ends


class RustJiebaSplitter:
    """Words of jieba-rs (the package rjieba), several times as fast.

    Its words are those of jieba but for a few in a thousand (docs/masking.md has numbers).
    Arguments as for `JiebaSplitter`.

    Raises:
        DataError: rjieba is not installed.
    """

    def __init__(self, user_words: Sequence[str] = (), hmm: bool = True) -> None:
        try:
            import rjieba
        except ImportError:
            raise DataError(
                "processor.segmenter: rjieba needs a package that is not installed: "
                "pip install 'mindmlm[rust]', or use jieba"
            ) from None
        self._segmenter: Any = rjieba.Jieba()
        self._hmm = hmm
        for line in user_words:
            self._segmenter.add_word(*_user_word(line))

    def __call__(self, text: str) -> list[int]:
        """Return the first character of every word of ``text``, 0 first."""
        return join_units(self._segmenter.cut(text, self._hmm))


def _user_word(line: str) -> tuple[str, int | None, str | None]:
    word, *fields = line.split()
    frequency = int(fields.pop(0)) if fields and fields[0].isdecimal() else None
    return word, frequency, fields[0] if fields else None


def join_units(words: Iterable[str]) -> list[int]:
    """Return where words begin, those joined that are parts of one unit of BERT's."""
    starts: list[int] = []
    add = starts.append
    place = 0
    previous_open = False
    for word in words:
        first = word[0]
        if "\u4e00" <= first <= "\u9fff":
            add(place)
            previous_open = False
        else:
            has_ideograph = contains_cjk(word)
            if not (previous_open and not has_ideograph and _is_inside_of_unit(first)):
                add(place)
            previous_open = not has_ideograph and _is_inside_of_unit(word[-1])
        place += len(word)
    return starts


def white_space_starts(text: str) -> list[int]:
    """Return where words begin in a text whose words stand apart; 0 first."""
    starts = [match.start() for match in re.finditer(r"\S+", text)]
    return starts if starts[:1] == [0] else [0, *starts]


def _is_inside_of_unit(character: str) -> bool:
    return not (character.isspace() or is_punctuation(character))
