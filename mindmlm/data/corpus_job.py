"""One source of documents made into cached stores of samples."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mindmlm.data.cache import cached_folder
from mindmlm.data.encoding import EncodedChunk
from mindmlm.data.encoding_pool import encode_documents
from mindmlm.data.references import ReferenceLines, reference_state
from mindmlm.data.report import ReadReport
from mindmlm.data.sample_making import AnyWriter, SampleForm, SampleSettings
from mindmlm.data.segmentation import REFERENCE_FILE, segmenter_version
from mindmlm.data.sentence_pairs.store import ROWS_FILE, PairStore
from mindmlm.data.sources.base import Source, read_documents
from mindmlm.data.store import BLOCKS, FORMAT_VERSION, TokenStore
from mindmlm.errors import DataError
from mindmlm.runtime.files import write_text_atomic
from mindmlm.tokenizers.files import AnyTokenizer

MULTI_PROCESS_BYTES = 8 << 20
TRAIN, EVALUATION = "train", "evaluation"
_REPORT = "report.json"
TextStore = TokenStore | PairStore
_HASH_RANGE = 1 << 64


@dataclass(frozen=True)
class _HashRange:
    """Smallest and largest hash of the documents that have tokens."""

    smallest: int = _HASH_RANGE
    largest: int = -1

    def including(self, value: int) -> "_HashRange":
        return _HashRange(min(self.smallest, value), max(self.largest, value))


@dataclass(frozen=True)
class CorpusJob:
    """Text to prepare.

    Attributes:
        source: see `Source`.
        settings: see `SampleSettings`.
        tokenizer: its kind decides what the samples are for.
        num_samples: most documents read; None = all.
        progress: show a bar on standard error.
        for_evaluation: all of it is evaluation text.
    """

    source: Source
    settings: SampleSettings
    tokenizer: AnyTokenizer
    num_samples: int | None
    progress: bool
    for_evaluation: bool = False

    @property
    def _form(self) -> SampleForm:
        return SampleForm(self.settings, self.tokenizer)

    def prepare(self, cache_dir: Path) -> tuple[TextStore, ReadReport]:
        """Return a store of all documents.

        Raises:
            DataError: faulty text, or none.
        """
        folder = cached_folder(
            cache_dir, self._key(0.0), self._build, lambda path: _check(path, (TRAIN,))
        )
        return _open(folder / TRAIN), _read_report(folder)

    def prepare_with_holdout(
        self, cache_dir: Path, fraction: float
    ) -> tuple[TextStore, TextStore, ReadReport]:
        """Return stores for training and evaluation; ``fraction`` of the documents is held out.

        Raises:
            DataError: faulty text, or fewer than two different documents.
        """
        folder = cached_folder(
            cache_dir,
            self._key(fraction),
            lambda path: self._build_with_holdout(path, fraction),
            lambda path: _check(path, (TRAIN, EVALUATION)),
        )
        return _open(folder / TRAIN), _open(folder / EVALUATION), _read_report(folder)

    def _build(self, folder: Path) -> None:
        hashes = self._write(folder, [TRAIN], 0)
        if hashes.largest < 0:
            raise DataError(f"{self.source.name}: there is no text to make samples of")

    def _build_with_holdout(self, folder: Path, fraction: float) -> None:
        threshold = int(fraction * _HASH_RANGE)
        sides = [TRAIN, EVALUATION]
        hashes = self._write(folder, sides, threshold)
        if hashes.smallest >= hashes.largest:
            raise DataError(
                f"{self.source.name}: fewer than 2 different documents, so none can be held out "
                "for evaluation; give more text or a text for evaluation (--eval_dataset_dir), and "
                "look at train_dataset.data_loader.text_format (line or document)"
            )
        if hashes.smallest >= threshold:
            self._write(folder, sides, hashes.smallest + 1)
        elif hashes.largest < threshold:
            self._write(folder, sides, hashes.largest)

    def _write(self, folder: Path, sides: list[str], threshold: int) -> _HashRange:
        """Write the stores; documents with a hash below ``threshold`` go to the second one."""
        report = ReadReport()
        hashes = _HashRange()
        with ExitStack() as stack:
            form = self._form
            writers: list[AnyWriter] = []
            for side in sides:
                writers.append(form.writer(folder / side))
                stack.push(writers[-1])
            makers = [
                form.maker(writer, self.for_evaluation or side == EVALUATION)
                for writer, side in zip(writers, sides, strict=True)
            ]
            for text_hash, tokens, word_starts, lengths in self._documents(report):
                held_out = text_hash < threshold
                if held_out:
                    word_starts = form.evaluation_starts(tokens, word_starts)
                makers[held_out].add(tokens, word_starts, lengths)
                hashes = hashes.including(text_hash)
            try:
                report.dropped_tokens = sum(maker.finish() for maker in makers)
            except DataError as error:
                raise DataError(f"{self.source.name}: {error}") from None
        report.samples = sum(writer.num_samples for writer in writers)
        report.tokens = sum(writer.num_tokens for writer in writers)
        write_text_atomic(folder / _REPORT, json.dumps(report.to_dict(), ensure_ascii=False))
        return hashes

    def _documents(
        self, report: ReadReport
    ) -> Iterator[tuple[int, np.ndarray, np.ndarray, list[int]]]:
        """Yield (hash, tokens, word starts, tokens of each line) of documents that have tokens."""
        total = self.source.size_bytes()
        is_small = total is not None and total <= MULTI_PROCESS_BYTES
        references = self._references()
        chunks = encode_documents(
            read_documents(self.source, report, self.num_samples),
            self.tokenizer,
            self.settings.segmenter,
            1 if is_small else self.settings.workers,
            self.settings.segmenter_options,
            references,
        )
        number = 0
        with tqdm(
            total=total, unit="B", unit_scale=True, desc="preparing text", disable=not self.progress
        ) as bar:
            for chunk in chunks:
                report.segmented_lines += int(chunk.segmented.sum())
                report.fallback_lines += int(chunk.fallbacks.sum())
                for document in _split_chunk(chunk):
                    number += 1
                    if len(document[1]):
                        yield document
                    else:
                        report.skip("document without tokens", f"document {number}")
                bar.update(report.bytes_read - bar.n)
        if references and self.num_samples is None:
            references.expect_end()

    def _references(self) -> ReferenceLines | None:
        if self.settings.segmenter != REFERENCE_FILE:
            return None
        return ReferenceLines(Path(self.settings.reference_file))

    def _key(self, fraction: float) -> str:
        settings = asdict(self.settings)
        del settings["workers"]
        parts: dict[str, Any] = {
            "format": FORMAT_VERSION,
            "source": self.source.identity(),
            "tokenizer": self.tokenizer.fingerprint(),
            "tokenizers": metadata.version("tokenizers"),
            "segmenter": segmenter_version(self.settings.segmenter),
            "references": self._reference_state(),
            "settings": settings,
            "num_samples": self.num_samples,
            "holdout_fraction": fraction,
            "keeps_rest": self.for_evaluation and self._form.row_form == BLOCKS,
        }
        text = json.dumps(parts, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def _reference_state(self) -> list[object]:
        if self.settings.segmenter != REFERENCE_FILE:
            return []
        return reference_state(Path(self.settings.reference_file))


def _split_chunk(
    chunk: EncodedChunk,
) -> Iterator[tuple[int, np.ndarray, np.ndarray, list[int]]]:
    line, token = 0, 0
    for text_hash, lines in zip(chunk.hashes.tolist(), chunk.lines.tolist(), strict=True):
        lengths = chunk.lengths[line : line + lines].tolist()
        end = token + sum(lengths)
        yield text_hash, chunk.tokens[token:end], chunk.word_starts[token:end], lengths
        line, token = line + lines, end


def _open(path: Path) -> TextStore:
    return PairStore(path) if (path / ROWS_FILE).exists() else TokenStore(path)


def _read_report(folder: Path) -> ReadReport:
    try:
        return ReadReport.from_dict(json.loads((folder / _REPORT).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: prepared data is incomplete or damaged: {error}") from None


def _check(folder: Path, sides: Sequence[str]) -> None:
    for side in sides:
        _open(folder / side)
    _read_report(folder)
