"""Terms of a domain: kept together and chosen more often than other words."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mindmlm.data.masking.piece_hash import RollingHash, fingerprint_of, hash_of
from mindmlm.data.word_files import read_lines
from mindmlm.errors import DataError
from mindmlm.tokenizers.files import MaskingTokenizer

_FILTER_BITS = 16


class TermTable:
    """Sequences of tokens that are found in rows.

    Args:
        terms: token ids of each term; none of them special.
        weight: how many times as likely as another word a term is to be the next choice.
    """

    def __init__(self, terms: Iterable[np.ndarray], weight: float) -> None:
        self.weight = weight
        by_length: dict[int, set[int]] = {}
        for ids in terms:
            by_length.setdefault(len(ids), set()).add(hash_of(ids))
        self._hashes: dict[int, np.ndarray] = {}
        self._filters: dict[int, np.ndarray] = {}
        for length, hashes in by_length.items():
            self._hashes[length] = np.array(sorted(hashes), np.uint64)
            self._filters[length] = np.zeros(1 << _FILTER_BITS, np.bool_)
            self._filters[length][self._hashes[length] >> np.uint64(64 - _FILTER_BITS)] = True

    @classmethod
    def from_file(cls, path: Path, tokenizer: MaskingTokenizer, weight: float) -> "TermTable":
        """Read terms, one a line; what follows a tab is not looked at.

        Raises:
            DataError: unreadable, empty, or no term of it can be written with the vocabulary.
        """
        texts = [text.split("\t")[0].strip() for _, text in read_lines(path)]
        known = [ids for ids in tokenizer.encode_words(texts) if len(ids)]
        known = [ids for ids in known if not np.isin(ids, tokenizer.special_ids).any()]
        if not known:
            raise DataError(
                f"{path}: none of its {len(texts)} terms can be written with the vocabulary; "
                f"every one gives {tokenizer.id_to_token(tokenizer.unk_id)}"
            )
        return cls(known, weight)

    @property
    def longest(self) -> int:
        """Tokens of the longest term."""
        return max(self._hashes)

    @property
    def number(self) -> int:
        """How many terms there are."""
        return sum(map(len, self._hashes.values()))

    def fingerprint(self) -> str:
        """Return a digest of the terms and their weight."""
        parts = [np.array([self.weight])]
        parts += [hashes for _, hashes in sorted(self._hashes.items())]
        return fingerprint_of(parts)

    def find(self, input_ids: np.ndarray, word_starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mark the terms in rows.

        A term counts where it begins and ends with a word; it is one word afterwards, and so are
        terms that overlap.

        Args:
            input_ids: int32 [B, L].
            word_starts: bool [B, L].

        Returns:
            bool [B, L], tokens of terms; bool [B, L], the new word starts.
        """
        rolling = RollingHash(input_ids.ravel())
        begins = word_starts.ravel()
        borders = np.append(begins, True)
        is_term = np.zeros(begins.shape, np.bool_)
        starts = begins.copy()
        for length, hashes in self._hashes.items():
            if length > len(begins):
                continue
            found = rolling.of_all(length)
            maybe = self._filters[length][found >> np.uint64(64 - _FILTER_BITS)]
            maybe &= borders[: len(found)] & borders[length:]
            places = np.flatnonzero(maybe)
            nearest = np.minimum(np.searchsorted(hashes, found[places]), len(hashes) - 1)
            places = places[hashes[nearest] == found[places]]
            inside = places[:, None] + np.arange(length)
            is_term[inside] = True
            starts[inside[:, 1:]] = False
        return is_term.reshape(input_ids.shape), starts.reshape(input_ids.shape)
