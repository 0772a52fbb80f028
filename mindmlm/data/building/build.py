"""Build a prepared data set from a source of documents."""

import copy
import hashlib
import json
import shutil
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mindmlm.data.building.columns import ColumnMaker
from mindmlm.data.building.encoded import DocumentArrays, EncodedDocuments, split_chunk
from mindmlm.data.building.sampling import SINGLE, sample_rows
from mindmlm.data.building.shards import (
    TFRECORD,
    ShardFolder,
    check_same_build,
    finished_manifest,
    publish_records,
)
from mindmlm.data.encoding_pool import encode_documents
from mindmlm.data.masking import MaskingSettings, VocabularyInfo
from mindmlm.data.records.manifest import Manifest
from mindmlm.data.records.rows import STATIC
from mindmlm.data.records.tfrecord import read_tfrecord
from mindmlm.data.report import ReadReport
from mindmlm.data.segmentation import DEFAULT_OPTIONS, SegmenterOptions, segmenter_version
from mindmlm.data.sources.base import Document, Position, Source
from mindmlm.errors import DataError
from mindmlm.runtime.files import write_text_atomic
from mindmlm.tokenizers.bert import BertTokenizer

FORMAT_VERSION = 1
DATASET_FILE = "dataset.json"
_PARTS_SUFFIX = ".parts"


@dataclass(frozen=True)
class BuildSettings:
    """How documents become rows.

    Attributes:
        record_format: "mindrecord" or "tfrecord".
        form: "static" masks now; "dynamic" leaves it to training.
        max_seq_length: tokens of a row with its special ones.
        masking: of static rows.
        sentence_pairs, short_seq_prob: see `sample_rows`.
        dupe_factor: passes over the text, each with other masks and other short rows.
        random_seed: of everything random.
        segmenter, segmenter_options: how words are found.
        shard_bytes: text of one shard, which is in memory at once.
        workers: processes that tokenize; no influence on the result.
    """

    record_format: str = TFRECORD
    form: str = STATIC
    max_seq_length: int = 128
    masking: MaskingSettings = field(default_factory=MaskingSettings)
    sentence_pairs: str = SINGLE
    short_seq_prob: float = 0.1
    dupe_factor: int = 10
    random_seed: int = 12345
    segmenter: str = "none"
    segmenter_options: SegmenterOptions = DEFAULT_OPTIONS
    shard_bytes: int = 32 << 20
    workers: int = 2

    def identity(self) -> dict[str, Any]:
        """Return all that decides the rows, for a digest."""
        values = asdict(self)
        del values["workers"]
        return {**values, "segmenter": segmenter_version(self.segmenter)}


@dataclass(frozen=True)
class BuildResult:
    """What was built: the record files, rows in all of them, and what was read."""

    files: list[Path]
    rows: int
    report: ReadReport


def build_dataset(
    source: Source,
    tokenizer: BertTokenizer,
    settings: BuildSettings,
    output: Path,
    resume: bool = False,
    progress: bool = False,
) -> BuildResult:
    """Write the rows of all documents as records with manifests.

    An ``output`` that ends in ``.tfrecord`` or ``.mindrecord`` is one file, made from shards in
    ``OUTPUT.parts``; any other is a folder of shards. A shard is on disk as soon as its text was
    read, so a build that ended early goes on behind the last one.

    Raises:
        DataError: the source is faulty or empty; ``output`` exists and ``resume`` is False, or it
            was made from something else.
    """
    one_file = output.suffix in (".tfrecord", ".mindrecord")
    if one_file:
        folder = ShardFolder(output.with_name(output.name + _PARTS_SUFFIX), TFRECORD)
    else:
        folder = ShardFolder(output, settings.record_format)
    builder = _Builder(source, tokenizer, settings, folder, progress)
    with folder.locked():
        if one_file and output.exists():
            result = _finished_file(output, builder.digest, resume)
        else:
            result = builder.run(resume)
            if one_file:
                result = builder.merge(output, result)
    if one_file:
        shutil.rmtree(folder.path)
    return result


def _finished_file(output: Path, build: str, resume: bool) -> BuildResult:
    done = finished_manifest(output) if resume else None
    if done is None:
        raise _exists_already(output)
    check_same_build([done], build, output)
    return BuildResult([output], done.rows, ReadReport.from_dict(done.report))


def _exists_already(output: Path) -> DataError:
    return DataError(
        f"{output}: exists already; go on with it by --resume if it is an unfinished build, else "
        "remove it or choose another --output_file"
    )


@dataclass(frozen=True)
class _ShardEnd:
    documents: int
    position: Position
    report: dict[str, Any]


class _Reader:
    """Streams documents and notes where each shard ends."""

    def __init__(self, source: Source, shard_bytes: int, last: Manifest | None) -> None:
        self._source = source
        self._shard_bytes = shard_bytes
        self._start = tuple(last.source_end) if last else None
        self.report = ReadReport.from_dict(last.report) if last else ReadReport()
        self.ends: deque[_ShardEnd] = deque()

    def documents(self) -> Iterator[Document]:
        size, position = 0, self._start
        for position, document in self._source.documents(self.report, start=self._start):
            self.report.documents += 1
            size += sum(len(line.encode()) for line in document.lines)
            if size >= self._shard_bytes:
                self._end_shard(position)
                size = 0
            yield document
        if size and position is not None:
            self._end_shard(position)

    def _end_shard(self, position: Position) -> None:
        # A copy: the counts go on while earlier shards are still being encoded.
        report = copy.deepcopy(self.report.to_dict())
        self.ends.append(_ShardEnd(self.report.documents, position, report))


class _Builder:
    def __init__(
        self,
        source: Source,
        tokenizer: BertTokenizer,
        settings: BuildSettings,
        folder: ShardFolder,
        progress: bool,
    ) -> None:
        self._source = source
        self._tokenizer = tokenizer
        self._settings = settings
        self._folder = folder
        self._progress = progress
        self._maker = ColumnMaker(
            settings.form,
            settings.max_seq_length,
            settings.masking,
            VocabularyInfo.from_tokenizer(tokenizer),
            settings.random_seed,
        )
        parts = {
            "format": FORMAT_VERSION,
            "source": source.identity(),
            "tokenizer": tokenizer.fingerprint(),
            "tokenizers": metadata.version("tokenizers"),
            "settings": settings.identity(),
        }
        text = json.dumps(parts, sort_keys=True, default=str)
        self.digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def run(self, resume: bool) -> BuildResult:
        """Write all shards that are missing."""
        finished = self._folder.finished()
        if finished and not resume:
            raise _exists_already(self._folder.path)
        check_same_build(finished, self.digest, self._folder.path)
        if self._shards_of_finished_build() != len(finished):
            finished += self._write_missing(finished)
        if not finished:
            raise DataError(f"{self._source.name}: there is no text to make rows of")
        result = BuildResult(
            [self._folder.shard(number) for number in range(len(finished))],
            sum(manifest.rows for manifest in finished),
            ReadReport.from_dict(finished[-1].report),
        )
        summary = {"build": self.digest, "shards": len(result.files), "rows": result.rows}
        write_text_atomic(self._folder.path / DATASET_FILE, json.dumps(summary) + "\n")
        return result

    def _shards_of_finished_build(self) -> int | None:
        try:
            summary = json.loads((self._folder.path / DATASET_FILE).read_text(encoding="utf-8"))
            return int(summary["shards"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def merge(self, output: Path, parts: BuildResult) -> BuildResult:
        """Make one file of all shards."""
        batches = (columns for part in parts.files for _, columns in read_tfrecord(part))
        manifest = self._manifest(0, [], parts.report.documents, parts.report.to_dict())
        publish_records(output, self._settings.record_format, batches, manifest)
        return BuildResult([output], parts.rows, parts.report)

    def _write_missing(self, finished: list[Manifest]) -> list[Manifest]:
        last = finished[-1] if finished else None
        reader = _Reader(self._source, self._settings.shard_bytes, last)
        written: list[Manifest] = []
        with tqdm(
            total=self._source.size_bytes(),
            initial=reader.report.bytes_read,
            unit="B",
            unit_scale=True,
            desc="building records",
            disable=not self._progress,
        ) as bar:
            tokens, rows = reader.report.tokens, reader.report.samples
            for end, documents in self._shards(reader, last.documents if last else 0):
                number = len(finished) + len(written)
                tokens += sum(len(document[0]) for document in documents)
                end.report.update(tokens=tokens, samples=rows)
                written += self._write_shard(number, end, documents)
                rows = written[-1].report["samples"] if written else rows
                bar.update(end.report["bytes_read"] - bar.n)
        return written

    def _shards(
        self, reader: _Reader, count: int
    ) -> Iterator[tuple[_ShardEnd, list[DocumentArrays]]]:
        held: list[DocumentArrays] = []
        chunks = encode_documents(
            reader.documents(),
            self._tokenizer,
            self._settings.segmenter,
            self._settings.workers,
            self._settings.segmenter_options,
        )
        for chunk in chunks:
            for document in split_chunk(chunk):
                held.append(document)
                count += 1
                if reader.ends and reader.ends[0].documents == count:
                    yield reader.ends.popleft(), held
                    held = []
        if held:
            yield reader.ends.popleft(), held

    def _write_shard(
        self, number: int, end: _ShardEnd, documents: list[DocumentArrays]
    ) -> list[Manifest]:
        settings = self._settings
        joined = EncodedDocuments.join(documents)
        if not len(joined.tokens):
            return []
        passes = [
            sample_rows(
                joined,
                settings.sentence_pairs,
                settings.max_seq_length,
                settings.short_seq_prob,
                (settings.random_seed, number, number_of_pass),
            )
            for number_of_pass in range(settings.dupe_factor)
        ]
        end.report["samples"] += sum(map(len, passes))
        manifest = self._manifest(number, list(end.position), end.documents, end.report)
        batches = self._maker.batches(joined, passes, number)
        path = self._folder.shard(number)
        return [publish_records(path, self._folder.record_format, batches, manifest)]

    def _manifest(
        self, shard: int, position: list[int | str], documents: int, report: dict[str, Any]
    ) -> Manifest:
        return Manifest(
            files={},
            rows=0,
            form=self._settings.form,
            max_seq_length=self._settings.max_seq_length,
            tokenizer_fingerprint=self._tokenizer.fingerprint(),
            build=self.digest,
            shard=shard,
            source_end=position,
            documents=documents,
            report=report,
        )
