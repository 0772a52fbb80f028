"""Similar words of the same number of pieces (Cui et al., 2020, MacBERT)."""

from collections.abc import Mapping, Sequence

import numpy as np

from mindmlm.data.masking.piece_hash import fingerprint_of, hashes_of


class SimilarWords:
    """A table of words, each with others that may take its place.

    Words and replacements are sequences of tokens; a replacement has as many as the word, because
    every token of the input is a label of its own.

    Args:
        words: token ids of each word; no two are equal.
        similar: place of a word -> places of its similar words, all of the same length.
    """

    def __init__(self, words: Sequence[np.ndarray], similar: Mapping[int, Sequence[int]]) -> None:
        self._sizes = np.array([len(word) for word in words], np.int64)
        self._first = np.cumsum(self._sizes) - self._sizes
        self._pieces = np.concatenate([np.zeros(0, np.int32), *words]).astype(np.int32)
        hashes = hashes_of(self._pieces, self._first, self._sizes)
        self._order = np.argsort(hashes)
        self._hashes = hashes[self._order]
        self._bucket_bits = max(1, (4 * len(hashes)).bit_length())
        numbers = np.arange(1 << self._bucket_bits)
        self._bucket = np.searchsorted(self._hashes >> self._shift(), numbers.astype(np.uint64))
        self._deepest = int(np.diff(self._bucket, append=len(hashes)).max(initial=0))
        lists = [similar.get(place, ()) for place in range(len(words))]
        self._counts = np.array([len(entry) for entry in lists], np.int64)
        self._begin = np.cumsum(self._counts) - self._counts
        self._similar = np.array([place for entry in lists for place in entry], np.int64)
        self._by_size = {
            int(size): np.flatnonzero(self._sizes == size) for size in np.unique(self._sizes)
        }
        # The place of each word of one piece, by its token, and -1 at the end for all others.
        single = self._by_size.get(1, np.zeros(0, np.int64))
        tokens = self._pieces[self._first[single]]
        self._of_token = np.full(int(tokens.max(initial=-1)) + 2, -1, np.int32)
        self._of_token[tokens] = single
        self._hashed = np.zeros(int(self._sizes.max(initial=0)) + 2, np.bool_)
        self._hashed[[size for size in self._by_size if size > 1]] = True

    def __len__(self) -> int:
        return len(self._sizes)

    @property
    def number_with_similar(self) -> int:
        """Words that have at least one similar word."""
        return int((self._counts > 0).sum())

    def fingerprint(self) -> str:
        """Return a digest of the words and what each may become."""
        return fingerprint_of([self._sizes, self._pieces, self._counts, self._similar])

    def look_up(self, ids: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Return int64 [w], the places in the table of stretches of ``ids``; -1 = not in it."""
        size = end - begin
        places = np.full(len(size), -1, np.int64)
        single = np.flatnonzero(size == 1)
        places[single] = self._of_token.take(ids.take(begin[single]), mode="clip")
        hashed = np.flatnonzero(self._hashed.take(size, mode="clip"))
        if len(hashed):
            places[hashed] = self._find(hashes_of(ids, begin[hashed], size[hashed]))
        return places

    def _find(self, hashes: np.ndarray) -> np.ndarray:
        """Return int64 [w], the places of the words with these hashes; -1 = there is none."""
        # The first bits of a hash say where its like begin; few hashes share them. (A binary
        # search takes several times as long.)
        place = self._bucket.take((hashes >> self._shift()).astype(np.int64))
        result = np.full(len(hashes), -1, np.int64)
        last = len(self._hashes) - 1
        for step in range(self._deepest):
            near = np.minimum(place + step, last)
            same = np.flatnonzero(self._hashes.take(near) == hashes)
            result[same] = self._order.take(near[same])
        return result

    def _shift(self) -> np.uint64:
        return np.uint64(64 - self._bucket_bits)

    def draw_similar(self, places: np.ndarray, bits: np.ndarray) -> np.ndarray:
        """Return int64 [w], a similar word of each place; -1 where there is none.

        Args:
            places: from `look_up`.
            bits: uint64 [w].
        """
        known = np.flatnonzero(places >= 0)
        known = known[self._counts.take(places[known]) > 0]
        chosen = np.full(len(places), -1, np.int64)
        places = places[known]
        drawn = _scale(bits[known], self._counts.take(places))
        chosen[known] = self._similar.take(self._begin.take(places) + drawn)
        return chosen

    def draw_any(self, sizes: np.ndarray, bits: np.ndarray) -> np.ndarray:
        """Return int64 [w], any word of ``sizes`` pieces; -1 where the table has none."""
        chosen = np.full(len(sizes), -1, np.int64)
        for size in np.flatnonzero(np.bincount(sizes)):
            words = self._by_size.get(int(size))
            if words is not None:
                here = np.flatnonzero(sizes == size)
                chosen[here] = words[_scale(bits[here], np.array(len(words)))]
        return chosen

    def pieces(self, place: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """Return int32 tokens: number ``offset`` of word ``place``."""
        return self._pieces.take(self._first.take(place) + offset)


def _scale(bits: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return int64 in [0, size), as `mindmlm.data.hashing.to_range`."""
    shift = np.uint64(32)
    return (((bits >> shift) * sizes.astype(np.uint64)) >> shift).astype(np.int64)
