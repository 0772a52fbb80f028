"""Prepared samples on disk, memory-mapped: data of any size costs no memory."""

import hashlib
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from mindmlm.data.text_size import TextSize
from mindmlm.errors import DataError
from mindmlm.runtime.files import sync_directory, write_text_atomic

FORMAT_VERSION = 4
_TOKENS, _WORD_STARTS, _ENDS, _META = "tokens.bin", "word_starts.bin", "ends.bin", "meta.json"
_LABELS = "labels.bin"
_BUFFERED_TOKENS = 1 << 16
# What special tokens inside of a sample mean, see `TokenStore.row_form`.
SINGLE, PAIRS, DOCUMENTS, BLOCKS = "single", "pairs", "documents", "blocks"


def token_dtype(vocab_size: int) -> np.dtype:
    """Return uint16 when every id fits into it, else uint32."""
    return np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4")


class TokenStore:
    """Samples of varying length, read from a folder that `TokenStoreWriter` wrote.

    Attributes:
        path: the folder.
        num_samples, num_tokens: totals.
        fingerprint: hexadecimal digest of all tokens, word starts and borders.
        row_form: "single": a sample is one text; "pairs": `A [SEP] B`, two segments, and a label
            (1 = B does not follow A; 0 where nobody knows); "documents":
            `A [SEP] [CLS] B ...`, texts that must not see each other; "blocks": a piece of a stream
            in which every token is predicted from those before it. Blocks have no word starts.
        text: words and bytes of what is predicted, where they were counted.

    Raises:
        DataError: the folder is missing, incomplete, damaged or of another version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        meta = _read_meta(path)
        self.num_samples: int = meta["num_samples"]
        self.num_tokens: int = meta["num_tokens"]
        self.fingerprint: str = meta["fingerprint"]
        self.row_form: str = meta["row_form"]
        self.text = TextSize(**meta["text"]) if meta["text"] else None
        # As plain arrays: every slice of a `memmap` costs more than the copy of a row.
        token_type = np.dtype(meta["token_dtype"])
        self._tokens = np.asarray(np.memmap(path / _TOKENS, token_type, "r"))
        self._word_starts: np.ndarray | None = None
        if self.row_form != BLOCKS:
            self._word_starts = np.asarray(np.memmap(path / _WORD_STARTS, np.bool_, "r"))
        self._ends = np.asarray(np.memmap(path / _ENDS, np.dtype("<i8"), "r"))
        self._labels: np.ndarray | None = None
        if self.row_form == PAIRS:
            self._labels = np.asarray(np.memmap(path / _LABELS, np.dtype("u1"), "r"))

    def lengths(self, sample_ids: np.ndarray) -> np.ndarray:
        """Return the number of tokens of each sample, int64."""
        return self._ends[sample_ids] - self._begins(sample_ids)

    def labels(self, sample_ids: np.ndarray) -> np.ndarray:
        """Return the label of each pair, uint8 [B]; 1 = the second part does not follow.

        Samples of other forms than "pairs" have none.
        """
        assert self._labels is not None
        return np.where(sample_ids < 0, 0, self._labels[np.maximum(sample_ids, 0)])

    def gather(self, sample_ids: np.ndarray, width: int) -> tuple[np.ndarray, ...]:
        """Read samples into rows.

        Args:
            sample_ids: int64 [B], each in 0 .. num_samples - 1.
            width: columns; longer samples are cut.

        Returns:
            tokens int32 [B, width] (0 beyond the end), word starts bool [B, width] (True beyond
            the end), lengths int64 [B].
        """
        tokens = np.zeros((len(sample_ids), width), np.int32)
        word_starts = np.ones((len(sample_ids), width), np.bool_)
        return tokens, word_starts, self.fill(sample_ids, tokens, word_starts)

    def fill(
        self, sample_ids: np.ndarray, tokens: np.ndarray, word_starts: np.ndarray | None = None
    ) -> np.ndarray:
        """Write samples into the front of rows; what lies behind them stays.

        Args:
            sample_ids: int64 [B], each in -1 .. num_samples - 1; -1 writes nothing.
            tokens: int32 [B, width]; longer samples are cut.
            word_starts: bool [B, width]; None = not wanted.

        Returns:
            lengths int64 [B].
        """
        known = np.maximum(sample_ids, 0)
        begins = self._begins(known)
        lengths = np.minimum(self._ends[known] - begins, tokens.shape[1])
        lengths = np.where(sample_ids < 0, 0, lengths)
        width = int(lengths.max(initial=0))
        inside = None if (lengths == width).all() else np.arange(width) < lengths[:, None]
        for values, rows in ((self._tokens, tokens), (self._word_starts, word_starts)):
            if values is not None and rows is not None:
                _copy_rows(values, begins, inside, rows[:, :width])
        return lengths

    def tokens(self, begin: int, count: int) -> np.ndarray:
        """Return ``count`` tokens from place ``begin`` on, over the borders of samples."""
        return np.asarray(self._tokens[begin : begin + count])

    def _begins(self, sample_ids: np.ndarray) -> np.ndarray:
        return np.where(sample_ids > 0, self._ends[np.maximum(sample_ids, 1) - 1], 0)


def _copy_rows(
    values: np.ndarray, begins: np.ndarray, inside: np.ndarray | None, rows: np.ndarray
) -> None:
    """Write ``values[begin : begin + width]`` into each row [B, width], where it is ``inside``.

    Overlapping windows of one width are copied by one call, which takes a tenth of the time of
    copies of one row each, or of an array of places.
    """
    width = rows.shape[1]
    last = len(values) - width
    windows: np.ndarray = np.ndarray(
        (last + 1, width), values.dtype, values, strides=values.strides * 2
    )
    found = windows[np.minimum(begins, last)]
    # Near the end of all values a window is too wide for a short sample; it begins earlier.
    for row in np.flatnonzero(begins > last):
        found[row, : len(values) - begins[row]] = values[begins[row] :]
    if inside is None:
        rows[...] = found
    else:
        np.copyto(rows, found, where=inside)


class TokenStoreWriter:
    """Write a `TokenStore` sample by sample; as a context it commits when the block succeeds.

    The files grow in ``NAME.partial`` beside the folder, which is renamed at the end, so a folder
    of the final name is always complete.

    Args:
        path: the folder to make; an existing one is replaced at the end.
        vocab_size: decides the width of a token on disk.
        row_form: see `TokenStore`.

    Attributes:
        num_samples, num_tokens: totals so far.
        text: see `TokenStore`; may be set before the end.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """

    def __init__(self, path: Path, vocab_size: int, row_form: str = SINGLE) -> None:
        self._path = path
        self._row_form = row_form
        self._partial = path.with_name(path.name + ".partial")
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir(parents=True)
        self._dtype = token_dtype(vocab_size)
        self._files: dict[str, BinaryIO] = {
            name: (self._partial / name).open("xb") for name in _file_names(row_form)
        }
        self._digests = {name: hashlib.blake2b(digest_size=16) for name in self._files}
        self._pending: list[tuple[np.ndarray, ...]] = []
        self._pending_labels: list[int] = []
        self._pending_tokens = 0
        self.num_samples = 0
        self.num_tokens = 0
        self.text: TextSize | None = None

    def __enter__(self) -> "TokenStoreWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._commit()
        else:
            self._discard()

    def append(
        self, tokens: np.ndarray, word_starts: np.ndarray | None = None, label: int = 0
    ) -> None:
        """Add one sample of at least one token; both arrays are [n] and are copied.

        Samples of the form "blocks" have no word starts, all others have. The label is kept of
        "pairs" only.
        """
        # Views would keep the whole chunk they were cut from in memory.
        sample = [tokens.astype(self._dtype)]
        if self._row_form != BLOCKS:
            assert word_starts is not None
            sample.append(word_starts.astype(np.bool_))
        self._pending.append(tuple(sample))
        self._pending_labels.append(label)
        self._pending_tokens += len(tokens)
        self.num_samples += 1
        self.num_tokens += len(tokens)
        if self._pending_tokens >= _BUFFERED_TOKENS:
            self._flush()

    def _flush(self) -> None:
        if not self._pending:
            return
        arrays = [np.concatenate(parts) for parts in zip(*self._pending, strict=True)]
        lengths = np.array([len(sample[0]) for sample in self._pending], "<i8")
        ends = np.cumsum(lengths) + (self.num_tokens - self._pending_tokens)
        arrays.append(ends)
        if self._row_form == PAIRS:
            arrays.append(np.array(self._pending_labels, np.uint8))
        for name, array in zip(self._files, arrays, strict=True):
            data = array.tobytes()
            self._files[name].write(data)
            self._digests[name].update(data)
        self._pending, self._pending_labels, self._pending_tokens = [], [], 0

    def _commit(self) -> None:
        try:
            self._flush()
            for file in self._files.values():
                file.flush()
                os.fsync(file.fileno())
                file.close()
            write_text_atomic(self._partial / _META, json.dumps(self._meta(), indent=1))
            shutil.rmtree(self._path, ignore_errors=True)
            self._partial.rename(self._path)
            sync_directory(self._path.parent)
        except BaseException:
            self._discard()
            raise

    def _discard(self) -> None:
        for file in self._files.values():
            file.close()
        shutil.rmtree(self._partial, ignore_errors=True)

    def _meta(self) -> dict[str, Any]:
        parts = "".join(digest.hexdigest() for digest in self._digests.values())
        return {
            "format_version": FORMAT_VERSION,
            "token_dtype": self._dtype.str,
            "row_form": self._row_form,
            "text": asdict(self.text) if self.text else None,
            "num_samples": self.num_samples,
            "num_tokens": self.num_tokens,
            "sizes": {name: (self._partial / name).stat().st_size for name in self._files},
            "fingerprint": hashlib.blake2b(parts.encode(), digest_size=16).hexdigest(),
        }


def _file_names(row_form: str) -> list[str]:
    """Return the files of a store; word starts only where there are words, labels of pairs."""
    words = [] if row_form == BLOCKS else [_WORD_STARTS]
    return [_TOKENS, *words, _ENDS, *([_LABELS] if row_form == PAIRS else [])]


def _read_meta(path: Path) -> dict[str, Any]:
    try:
        meta = json.loads((path / _META).read_text(encoding="utf-8"))
        if meta["format_version"] != FORMAT_VERSION:
            raise DataError(f"{path}: prepared data of format {meta['format_version']}")
        for name, size in meta["sizes"].items():
            found = (path / name).stat().st_size
            if found != size:
                raise DataError(f"{path / name}: {found} bytes, {size} were written")
        _check_consistent(path, meta)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: prepared data is incomplete or damaged: {error}") from None
    return meta


def _check_consistent(path: Path, meta: dict[str, Any]) -> None:
    width = np.dtype(meta["token_dtype"]).itemsize
    expected = {
        _TOKENS: meta["num_tokens"] * width,
        _WORD_STARTS: meta["num_tokens"],
        _ENDS: meta["num_samples"] * 8,
        _LABELS: meta["num_samples"],
    }
    expected = {name: expected[name] for name in _file_names(meta["row_form"])}
    if meta["sizes"] != expected or not meta["num_samples"] or not meta["fingerprint"]:
        raise DataError(f"{path / _META}: its sizes and totals do not agree")
