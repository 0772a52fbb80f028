"""From record files to cached stores of samples for training and evaluation."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mindmlm.data.cache import cached_folder
from mindmlm.data.causal.record_blocks import BlockWriters
from mindmlm.data.record_rows import OriginalRows, originals, select, static_matrices
from mindmlm.data.records.files import RecordFile
from mindmlm.data.records.rows import CAUSAL, STATIC, Columns, count_rows
from mindmlm.data.report import ReadReport
from mindmlm.data.row_store import RowStore, RowStoreWriter
from mindmlm.data.segmentation import piece_groups
from mindmlm.data.store import FORMAT_VERSION, PAIRS, SINGLE, TokenStore, TokenStoreWriter
from mindmlm.errors import DataError
from mindmlm.runtime.files import write_text_atomic
from mindmlm.tokenizers.files import AnyTokenizer, MaskingTokenizer

TRAIN, EVALUATION = "train", "evaluation"
_REPORT = "report.json"
_STATIC_MARK = "input_ids.bin"
_HASH_RANGE = 1 << 64
SampleStore = TokenStore | RowStore


@dataclass(frozen=True)
class RecordJob:
    """Record files to make stores of.

    Attributes:
        files: read in this order.
        tokenizer: of the vocabulary of their ids; its kind says what the rows must be.
        max_seq_length: L of the run.
        predictions: P of the run; None = that of the files.
        num_samples: most rows read; None = all.
        progress: show a bar on standard error.
        pairs: every row must be a pair with a label.
    """

    files: Sequence[RecordFile]
    tokenizer: AnyTokenizer
    max_seq_length: int
    predictions: int | None = None
    num_samples: int | None = None
    progress: bool = False
    pairs: bool = False

    def prepare(self, cache_dir: Path) -> tuple[SampleStore, ReadReport]:
        """Return a store of all rows: as they were masked, or to be masked in training.

        Raises:
            DataError: damaged files, or rows that do not fit the run.
        """
        folder = self._cached(cache_dir, "train", lambda path: self._write_all(path, False))
        return _open(folder / TRAIN), _read_report(folder)

    def prepare_for_evaluation(self, cache_dir: Path) -> tuple[TokenStore, ReadReport]:
        """Return a store of all rows before masking: evaluation has masks of its own.

        Raises:
            DataError: see `prepare`.
        """
        folder = self._cached(cache_dir, "evaluation", lambda path: self._write_all(path, True))
        return TokenStore(folder / EVALUATION), _read_report(folder)

    def prepare_with_holdout(
        self, cache_dir: Path, fraction: float
    ) -> tuple[SampleStore, TokenStore, ReadReport]:
        """Return stores for training and evaluation; ``fraction`` of the rows is held out.

        Rows are chosen by a hash of their tokens before masking, so all copies of a row that
        differ in their masks only stand on one side.

        Raises:
            DataError: see `prepare`; fewer than two different rows.
        """
        folder = self._cached(
            cache_dir, f"holdout {fraction}", lambda path: self._write_with_holdout(path, fraction)
        )
        return _open(folder / TRAIN), TokenStore(folder / EVALUATION), _read_report(folder)

    def _cached(self, cache_dir: Path, use: str, build: Callable[[Path], None]) -> Path:
        parts = {
            "format": FORMAT_VERSION,
            "use": use,
            "files": [file.identity() for file in self.files],
            "tokenizer": self.tokenizer.fingerprint(),
            "shape": [self.max_seq_length, self.predictions, self.num_samples],
            "pairs": self.pairs,
        }
        key = hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()
        return cached_folder(cache_dir, key, build, _check)

    def _write_all(self, folder: Path, for_evaluation: bool) -> None:
        lowest, _ = self._write(folder, _HASH_RANGE if for_evaluation else 0)
        if lowest == _HASH_RANGE:
            raise DataError(f"{self.files[0].path}: there are no rows in the records")

    def _write_with_holdout(self, folder: Path, fraction: float) -> None:
        threshold = int(fraction * _HASH_RANGE)
        lowest, highest = self._write(folder, threshold)
        if lowest >= highest:
            raise DataError(
                f"{self.files[0].path}: fewer than 2 different rows, so none can be held out for "
                "evaluation; give more rows or a text for evaluation (--eval_dataset_dir)"
            )
        if lowest >= threshold:
            self._write(folder, lowest + 1)
        elif highest < threshold:
            self._write(folder, highest)

    def _write(self, folder: Path, threshold: int) -> tuple[int, int]:
        """Write the stores; rows with a hash below ``threshold`` go to evaluation.

        Returns:
            The smallest and largest hash.
        """
        report = ReadReport(files=len(self.files))
        for side in (TRAIN, EVALUATION):
            shutil.rmtree(folder / side, ignore_errors=True)
        lowest, highest = _HASH_RANGE, -1
        with ExitStack() as stack:
            writers = self._writers(folder, stack)
            for place, form, columns in self._batches(report):
                rows = writers.originals(form, columns, place)
                hashes = rows.hashes()
                held_out = (
                    np.ones(len(hashes), np.bool_)
                    if threshold == _HASH_RANGE
                    else hashes < np.uint64(threshold)
                )
                writers.write(form, columns, rows, held_out, place)
                lowest = min(lowest, int(hashes.min(initial=_HASH_RANGE - 1)))
                highest = max(highest, int(hashes.max(initial=0)))
            writers.finish(report)
        write_text_atomic(folder / _REPORT, json.dumps(report.to_dict(), ensure_ascii=False))
        return lowest, highest

    def _writers(self, folder: Path, stack: ExitStack) -> "_MaskedWriters | BlockWriters":
        if isinstance(self.tokenizer, MaskingTokenizer):
            return _MaskedWriters(folder, self, self.tokenizer, stack)
        sides = (TRAIN, EVALUATION)
        return BlockWriters(folder, sides, self.tokenizer, self.max_seq_length, stack)

    def _batches(self, report: ReadReport) -> Iterator[tuple[str, str, Columns]]:
        left = self.num_samples
        total = sum(file.path.stat().st_size for file in self.files)
        with tqdm(
            total=total,
            unit="B",
            unit_scale=True,
            desc="reading records",
            disable=not self.progress,
        ) as bar:
            for file in self.files:
                for form, columns in file.batches(self.tokenizer):
                    count = count_rows(columns)
                    if left is not None and count > left:
                        columns, count = select(columns, np.arange(count) < left), left
                    if count:
                        yield str(file.path), form, columns
                    report.documents += count
                    if left is not None and (left := left - count) == 0:
                        return
                size = file.path.stat().st_size
                report.bytes_read += size
                bar.update(size)


class _MaskedWriters:
    """The stores of both sides, made when the form of the first rows is known."""

    def __init__(
        self, folder: Path, job: RecordJob, tokenizer: MaskingTokenizer, stack: ExitStack
    ) -> None:
        self._folder = folder
        self._job = job
        self._tokenizer = tokenizer
        self._stack = stack
        self._form: str | None = None
        self._row_form = SINGLE
        self._tokens: dict[str, TokenStoreWriter] = {}
        self._rows: RowStoreWriter | None = None

    def originals(self, form: str, columns: Columns, place: str) -> OriginalRows:
        if form == CAUSAL:
            raise DataError(
                f"{place}: its rows have no column but input_ids, as those of a GPT-2, and the run "
                "trains a BERT; build records with its tokenizer"
            )
        return originals(form, columns, place)

    def write(
        self, form: str, columns: Columns, rows: OriginalRows, held_out: np.ndarray, place: str
    ) -> None:
        if self._form is None:
            self._form = form
            self._row_form = PAIRS if rows.second_segment.any() else SINGLE
        if form != self._form:
            raise DataError(
                f"{place}: its rows are {form} and those of the files before it {self._form}; "
                "train on one kind at a time"
            )
        if self._job.pairs and (rows.labels is None or not rows.second_segment.any()):
            raise DataError(
                f"{place}: its rows are no pairs with next_sentence_labels, which "
                "train_dataset.sentence_pairs needs; build them with tools/build_dataset.py "
                "--sentence_pairs nsp (or sop), or train with sentence_pairs none"
            )
        if form == STATIC:
            self._write_static(select(columns, ~held_out), place)
            self._write_tokens(EVALUATION, rows, held_out, place)
            return
        self._write_tokens(TRAIN, rows, ~held_out, place)
        self._write_tokens(EVALUATION, rows, held_out, place)

    def _write_static(self, columns: Columns, place: str) -> None:
        if not len(columns["input_ids"].lengths):
            return
        matrices = static_matrices(columns, place)
        length = matrices["input_ids"].shape[1]
        predictions = matrices["masked_lm_ids"].shape[1]
        job = self._job
        if length != job.max_seq_length or job.predictions not in (None, predictions):
            raise DataError(
                f"{place}: its masked rows have {length} tokens and {predictions} predictions, the "
                f"run {job.max_seq_length} and {job.predictions}; set train_dataset.max_seq_length "
                f"to {length} and max_predictions_per_seq to null"
            )
        if self._rows is None:
            path, vocab_size = self._folder / TRAIN, self._tokenizer.vocab_size
            self._rows = RowStoreWriter(path, vocab_size, length, predictions)
            self._stack.callback(self._rows.close)
        self._rows.append(matrices)

    def _write_tokens(self, side: str, rows: OriginalRows, chosen: np.ndarray, place: str) -> None:
        if not chosen.any():
            return
        if rows.second_segment.any() and self._row_form == SINGLE:
            raise DataError(
                f"{place}: has rows of two segments and those before it of one; train on one kind "
                "at a time"
            )
        if side not in self._tokens:
            self._tokens[side] = self._stack.enter_context(
                TokenStoreWriter(self._folder / side, self._tokenizer.vocab_size, self._row_form)
            )
        begins = np.concatenate([[0], rows.ends[:-1]])
        if (rows.ends - begins).max() > self._job.max_seq_length:
            raise DataError(
                f"{place}: has rows of {(rows.ends - begins).max()} tokens; raise "
                f"train_dataset.max_seq_length, which is {self._job.max_seq_length}"
            )
        starts = self._word_starts(side, rows)
        labels = np.zeros(len(begins), np.int64) if rows.labels is None else rows.labels
        for begin, end, label in zip(
            (begins[chosen] + 1).tolist(),
            (rows.ends[chosen] - 1).tolist(),
            labels[chosen].tolist(),
            strict=True,
        ):
            if end > begin:
                self._tokens[side].append(rows.tokens[begin:end], starts[begin:end], label)

    def _word_starts(self, side: str, rows: OriginalRows) -> np.ndarray:
        # Evaluation masks tokens; its samples must not depend on the segmenter.
        if rows.word_starts is None or side == EVALUATION:
            return piece_groups(self._tokenizer.is_continuation[rows.tokens])
        return rows.word_starts

    def finish(self, report: ReadReport) -> None:
        if self._rows is not None:
            self._rows.finish()
            report.samples += self._rows.num_samples
            report.tokens += self._rows.num_samples * self._job.max_seq_length
        for writer in self._tokens.values():
            report.samples += writer.num_samples
            report.tokens += writer.num_tokens


def _open(path: Path) -> SampleStore:
    return RowStore(path) if (path / _STATIC_MARK).exists() else TokenStore(path)


def _read_report(folder: Path) -> ReadReport:
    try:
        return ReadReport.from_dict(json.loads((folder / _REPORT).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: prepared data is incomplete or damaged: {error}") from None


def _check(folder: Path) -> None:
    for side in (TRAIN, EVALUATION):
        if (folder / side).exists():
            _open(folder / side)
    _read_report(folder)
