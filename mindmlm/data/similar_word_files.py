"""Read the words that MacBERT puts in place of others: synonyms or word vectors, and antonyms."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from mindmlm.data.masking.similar_words import SimilarWords
from mindmlm.data.word_files import read_lines
from mindmlm.errors import DataError
from mindmlm.tokenizers.files import MaskingTokenizer

_BLOCK = 1024
_MIN_DIMENSIONS = 2


@dataclass(frozen=True)
class SimilarWordSettings:
    """Where similar words come from.

    Attributes:
        file: word vectors in word2vec's text format (a word and its numbers a line, with or
            without the first line of two counts), or synonyms: the words of a line, apart by white
            space, are similar to each other; a first field that ends in "=", "#" or "@" (the codes
            of the Cilin thesaurus) is left out.
        antonym_file: words of one line are never put in place of each other; "" = none.
        max_similar: of word vectors: the so many nearest words by cosine.
        max_words: of word vectors: only the first so many words of the file.
    """

    file: str
    antonym_file: str = ""
    max_similar: int = 5
    max_words: int = 30000


def load_similar_words(settings: SimilarWordSettings, tokenizer: MaskingTokenizer) -> SimilarWords:
    """Return the table; words that the vocabulary cannot write are left out.

    Raises:
        DataError: a file is unreadable or malformed (with its line), or no word has a similar one.
    """
    path = Path(settings.file)
    antonyms = _antonyms(settings.antonym_file)
    if _holds_vectors(path):
        words, vectors = _read_vectors(path, settings.max_words)
    else:
        groups = [_synonyms(text) for _, text in read_lines(path)]
        words, vectors = list(dict.fromkeys(chain.from_iterable(groups))), None
    pieces, kept = _encode(words, tokenizer)
    names = [words[place] for place in kept]
    if vectors is None:
        similar = _by_groups(names, pieces, groups, antonyms)
    else:
        similar = _by_vectors(names, pieces, vectors[kept], settings.max_similar, antonyms)
    table = SimilarWords(pieces, similar)
    if not table.number_with_similar:
        raise DataError(
            f"{path}: no word of it has a similar one of the same number of pieces under this "
            f"vocabulary ({len(pieces)} of {len(words)} words can be written with it)"
        )
    return table


def _synonyms(text: str) -> list[str]:
    fields = text.split()
    return fields[1:] if fields[0][-1] in "=#@" and len(fields) > 1 else fields


def _antonyms(name: str) -> set[tuple[str, str]]:
    if not name:
        return set()
    groups = [text.split() for _, text in read_lines(Path(name))]
    return {(one, other) for group in groups for one in group for other in group if one != other}


def _encode(
    words: Sequence[str], tokenizer: MaskingTokenizer
) -> tuple[list[np.ndarray], list[int]]:
    """Return the pieces of the words that can be written, no two equal, and their places."""
    pieces: list[np.ndarray] = []
    kept: list[int] = []
    seen: set[bytes] = set()
    for place, ids in enumerate(tokenizer.encode_ids(words)):
        if len(ids) and not np.isin(ids, tokenizer.special_ids).any() and ids.tobytes() not in seen:
            seen.add(ids.tobytes())
            pieces.append(ids)
            kept.append(place)
    return pieces, kept


def _by_groups(
    names: Sequence[str],
    pieces: Sequence[np.ndarray],
    groups: Iterable[Sequence[str]],
    antonyms: set[tuple[str, str]],
) -> dict[int, list[int]]:
    place_of = {name: place for place, name in enumerate(names)}
    similar: dict[int, list[int]] = {}
    for group in groups:
        places = [place_of[name] for name in dict.fromkeys(group) if name in place_of]
        for place in places:
            size = len(pieces[place])
            known = similar.setdefault(place, [])
            known += [
                other
                for other in places
                if other != place
                and len(pieces[other]) == size
                and other not in known
                and (names[place], names[other]) not in antonyms
            ]
    return similar


def _by_vectors(
    names: Sequence[str],
    pieces: Sequence[np.ndarray],
    vectors: np.ndarray,
    count: int,
    antonyms: set[tuple[str, str]],
) -> dict[int, list[int]]:
    """Return the nearest words of as many pieces, antonyms passed over."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors / np.where(norms > 0, norms, 1)
    sizes = np.array([len(ids) for ids in pieces])
    most_antonyms = max(map(len, _partners(antonyms).values()), default=0)
    similar: dict[int, list[int]] = {}
    for size in np.unique(sizes):
        places = np.flatnonzero(sizes == size)
        wanted = min(count + most_antonyms, len(places) - 1)
        if not wanted:
            continue
        group = vectors[places]
        for begin in range(0, len(places), _BLOCK):
            block = np.arange(begin, min(begin + _BLOCK, len(places)))
            cosines = group[block] @ group.T
            cosines[np.arange(len(block)), block] = -np.inf
            near = np.argpartition(-cosines, wanted - 1, axis=1)[:, :wanted]
            order = np.argsort(-np.take_along_axis(cosines, near, 1), axis=1, kind="stable")
            for row, others in zip(block, np.take_along_axis(near, order, 1), strict=True):
                name = names[places[row]]
                allowed = [
                    int(place) for place in places[others] if (name, names[place]) not in antonyms
                ]
                similar[int(places[row])] = allowed[:count]
    return similar


def _partners(pairs: set[tuple[str, str]]) -> dict[str, list[str]]:
    partners: dict[str, list[str]] = {}
    for one, other in pairs:
        partners.setdefault(one, []).append(other)
    return partners


def _holds_vectors(path: Path) -> bool:
    """Tell by the first line after the counts whether numbers follow a word."""
    for line, text in read_lines(path):
        fields = text.split()
        if line == 1 and len(fields) == 2 and all(field.isdecimal() for field in fields):
            continue
        return len(fields) > _MIN_DIMENSIONS and all(_is_number(field) for field in fields[1:])
    return False


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_vectors(path: Path, max_words: int) -> tuple[list[str], np.ndarray]:
    words: list[str] = []
    rows: list[np.ndarray] = []
    for line, text in read_lines(path):
        word, *fields = text.split()
        if line == 1 and len(fields) == 1 and word.isdecimal() and fields[0].isdecimal():
            continue
        if rows and len(fields) != len(rows[0]):
            raise DataError(
                f"{path}:{line}: {len(fields)} numbers after {word!r}, {len(rows[0])} in the lines "
                "before"
            )
        try:
            rows.append(np.array(fields, np.float32))
        except ValueError:
            raise DataError(f"{path}:{line}: expected numbers after {word!r}") from None
        words.append(word)
        if len(words) == max_words:
            break
    return words, np.stack(rows)
