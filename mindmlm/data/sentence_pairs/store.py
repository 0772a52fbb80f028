"""Whole documents on disk, from which every epoch makes other pairs of segments."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType

import numpy as np

from mindmlm.data.array_folder import ArrayFolder, ArrayFolderWriter
from mindmlm.data.hashing import derive_keys
from mindmlm.data.sentence_pairs.sampling import (
    RANDOM_DOCUMENT_TRIES,
    SPECIAL_TOKENS,
    Pair,
    PairSampler,
    Span,
    segments_between,
)
from mindmlm.data.store import token_dtype
from mindmlm.errors import DataError
from mindmlm.runtime.files import sync_directory

FORMAT_VERSION = 1
# Longer documents are cut into sections of so many segments: the pairs of a section are made anew
# for each row of it, so its length is what a row costs.
SECTION_SEGMENTS = 128
_TOKENS, _WORD_STARTS = "tokens", "word_starts"
_SEGMENT_ENDS, _SECTION_ENDS = "segment_ends", "section_ends"
_DOCUMENT_ENDS, _ROW_ENDS = "document_ends", "row_ends"
# What a folder of this kind has and no other.
ROWS_FILE = f"{_ROW_ENDS}.bin"
_COUNT_SEED = 20181011
_PAIR_SEED_OFFSET = 0x70616972


@dataclass(frozen=True)
class PairSettings:
    """How segments become pairs.

    Attributes:
        sentence_pairs: "nsp" or "sop", see `PairSampler`.
        max_seq_length: tokens of a row with its special ones.
        short_seq_prob: part of the sections whose rows aim at a random smaller length.
    """

    sentence_pairs: str
    max_seq_length: int
    short_seq_prob: float

    def pairs(self, documents: "PairStore | _OneSection", section: int, key: int) -> list[Pair]:
        """Return the pairs of one pass over a section; random choices depend on the key alone."""
        random = np.random.Generator(np.random.Philox(key=key))
        room = self.max_seq_length - SPECIAL_TOKENS
        sampler = PairSampler(documents, self.sentence_pairs, room, random)
        return sampler.pairs(section, self.short_seq_prob)


class PairStore:
    """Documents in sections and segments, read from a folder that `PairStoreWriter` wrote.

    A section is a document, or a part of a long one. It has as many samples as one pass over it
    gave pairs when the text was prepared. In every epoch it is passed over anew, and its samples
    are the pairs of that pass, beginning at a random one and going round: where a pass has more
    pairs, some are left out, where it has fewer, some come twice.

    Attributes:
        path: the folder.
        num_samples, num_tokens: totals.
        fingerprint: hexadecimal digest of everything.
        all_tokens: token ids, one document after the other.
        word_starts: bool, of each token.

    Raises:
        DataError: the folder is missing, incomplete, damaged or of another version.
    """

    def __init__(self, path: Path) -> None:
        folder = ArrayFolder(path, FORMAT_VERSION)
        self.path = path
        self.settings = PairSettings(**folder.facts)
        self.fingerprint = folder.fingerprint
        self.all_tokens = folder.arrays[_TOKENS]
        self.word_starts = folder.arrays[_WORD_STARTS]
        self._segment_ends = folder.arrays[_SEGMENT_ENDS]
        self._section_ends = folder.arrays[_SECTION_ENDS]
        self._document_ends = folder.arrays[_DOCUMENT_ENDS]
        self._row_ends = folder.arrays[_ROW_ENDS]
        if not len(self._row_ends):
            raise DataError(f"{path}: prepared data is incomplete or damaged: no rows")
        self.num_samples = int(self._row_ends[-1])
        self.num_tokens = len(self.all_tokens)

    def tokens(self, begin: int, count: int) -> np.ndarray:
        """Return ``count`` tokens from place ``begin`` on."""
        return np.asarray(self.all_tokens[begin : begin + count])

    def segments(self, document: int) -> list[Span]:
        """Return the segments of a section; see `sampling.Documents`."""
        first = int(self._section_ends[document - 1]) if document else 0
        return segments_between(self._segment_ends, first, int(self._section_ends[document]))

    def another(self, document: int, random: np.random.Generator) -> int:
        """Return a random section of another document; see `sampling.Documents`."""
        own = int(np.searchsorted(self._document_ends, document, side="right"))
        other = own
        for _ in range(RANDOM_DOCUMENT_TRIES):
            other = int(random.integers(len(self._document_ends)))
            if other != own:
                break
        first = int(self._document_ends[other - 1]) if other else 0
        return int(random.integers(first, int(self._document_ends[other])))

    def pairs(
        self, sample_ids: np.ndarray, epochs: np.ndarray, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the pairs of samples: a function of (seed, epoch, sample id) and nothing else.

        Args:
            sample_ids: int64 [B], each in -1 .. num_samples - 1; -1 gives two empty segments.
            epochs: int64 [B].
            seed: any integer.

        Returns:
            spans int64 [B, 4], begin and end of A and of B in all tokens; labels int8 [B].
        """
        sections = np.searchsorted(self._row_ends, sample_ids, side="right")
        keys = derive_keys(seed + _PAIR_SEED_OFFSET, epochs, sections)
        spans = np.zeros((len(sample_ids), 4), np.int64)
        labels = np.zeros(len(sample_ids), np.int8)
        passes: dict[int, list[Pair]] = {}
        for row, (sample, section, key) in enumerate(
            zip(sample_ids.tolist(), sections.tolist(), keys.tolist(), strict=True)
        ):
            if sample < 0:
                continue
            if key not in passes:
                passes[key] = self.settings.pairs(self, section, key)
            number = sample - (int(self._row_ends[section - 1]) if section else 0)
            first, second, labels[row] = passes[key][(key + number) % len(passes[key])]
            spans[row] = (*first, *second)
        return spans, labels


class _OneSection:
    """A section by itself, to count its pairs: which random part one gets does not matter."""

    def __init__(self, segments: list[Span]) -> None:
        self._segments = segments

    def segments(self, document: int) -> list[Span]:
        return self._segments

    def another(self, document: int, random: np.random.Generator) -> int:
        return document


class PairStoreWriter:
    """Write a `PairStore` document by document; as a context it commits when the block succeeds.

    The files grow in ``NAME.partial`` beside the folder, which is renamed at the end.

    Args:
        path: the folder to make; an existing one is replaced at the end.
        vocab_size: decides the width of a token on disk.
        settings: how segments become pairs.

    Attributes:
        num_samples, num_tokens: totals so far.
        most_segments: of one document.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """

    def __init__(self, path: Path, vocab_size: int, settings: PairSettings) -> None:
        self._path = path
        self._partial = path.with_name(path.name + ".partial")
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir(parents=True)
        self._settings = settings
        ends = dict.fromkeys(
            (_SEGMENT_ENDS, _SECTION_ENDS, _DOCUMENT_ENDS, _ROW_ENDS), np.dtype("<i8")
        )
        dtypes = {_TOKENS: token_dtype(vocab_size), _WORD_STARTS: np.dtype(np.bool_), **ends}
        self._arrays = ArrayFolderWriter(self._partial, dtypes, FORMAT_VERSION)
        self.num_samples = 0
        self.num_tokens = 0
        self.most_segments = 0
        self._segments = 0

    def __enter__(self) -> "PairStoreWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._arrays:
            if kind is None:
                self._arrays.finish(asdict(self._settings))
        if kind is None:
            shutil.rmtree(self._path, ignore_errors=True)
            self._partial.rename(self._path)
            sync_directory(self._path.parent)
        else:
            shutil.rmtree(self._partial, ignore_errors=True)

    def add(self, tokens: np.ndarray, word_starts: np.ndarray, lengths: Sequence[int]) -> None:
        """Take one document: its tokens [n], word starts [n] and the tokens of each line."""
        sizes = [length for length in lengths if length]
        if not sizes:
            return
        self.most_segments = max(self.most_segments, len(sizes))
        ends = self.num_tokens + np.cumsum(sizes)
        self._arrays.append(_TOKENS, tokens)
        self._arrays.append(_WORD_STARTS, word_starts)
        self._arrays.append(_SEGMENT_ENDS, ends)
        begin = self.num_tokens
        for first in range(0, len(sizes), SECTION_SEGMENTS):
            some = ends[first : first + SECTION_SEGMENTS]
            self._add_section(begin, some)
            begin = int(some[-1])
        self.num_tokens = int(ends[-1])
        self._arrays.append(_DOCUMENT_ENDS, [self._arrays.lengths[_SECTION_ENDS]])

    def _add_section(self, begin: int, ends: np.ndarray) -> None:
        number = self._arrays.lengths[_SECTION_ENDS]
        spans = list(pairwise([begin, *ends.tolist()]))
        key = int(derive_keys(_COUNT_SEED, np.array([number]))[0])
        self.num_samples += len(self._settings.pairs(_OneSection(spans), number, key))
        self._segments += len(spans)
        self._arrays.append(_SECTION_ENDS, [self._segments])
        self._arrays.append(_ROW_ENDS, [self.num_samples])
