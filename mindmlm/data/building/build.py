"""Build a prepared data set from a source of documents."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tqdm import tqdm

from mindmlm.data.building.encoded import EncodedDocuments
from mindmlm.data.building.reader import ShardEnd, ShardReader
from mindmlm.data.building.settings import BuildSettings
from mindmlm.data.building.shard_rows import shard_rows
from mindmlm.data.building.shards import (
    TFRECORD,
    ShardFolder,
    check_same_build,
    finished_manifest,
    publish_records,
)
from mindmlm.data.records.manifest import Manifest
from mindmlm.data.records.tfrecord import read_tfrecord
from mindmlm.data.report import ReadReport
from mindmlm.data.sources.base import Source
from mindmlm.errors import DataError
from mindmlm.runtime.files import write_text_atomic
from mindmlm.tokenizers.files import AnyTokenizer

FORMAT_VERSION = 3
DATASET_FILE = "dataset.json"
_PARTS_SUFFIX = ".parts"


@dataclass(frozen=True)
class BuildResult:
    """What was built: the record files, rows in all of them, and what was read."""

    files: list[Path]
    rows: int
    report: ReadReport


def build_dataset(
    source: Source,
    tokenizer: AnyTokenizer,
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


class _Builder:
    def __init__(
        self,
        source: Source,
        tokenizer: AnyTokenizer,
        settings: BuildSettings,
        folder: ShardFolder,
        progress: bool,
    ) -> None:
        self._source = source
        self._tokenizer = tokenizer
        self._settings = settings
        self._folder = folder
        self._progress = progress
        self._rows = shard_rows(settings, tokenizer)
        parts = {
            "format": FORMAT_VERSION,
            "source": source.identity(),
            "tokenizer": tokenizer.fingerprint(),
            "tokenizers": metadata.version("tokenizers"),
            "settings": settings.identity(),
        }
        text = json.dumps(parts, sort_keys=True)
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
        report = parts.report
        manifest = self._manifest(0, ShardEnd(report.documents, 0, (), report.to_dict()))
        publish_records(output, self._settings.record_format, batches, manifest)
        return BuildResult([output], parts.rows, parts.report)

    def _write_missing(self, finished: list[Manifest]) -> list[Manifest]:
        last = finished[-1] if finished else None
        reader = ShardReader(self._source, self._tokenizer, self._settings, last)
        report = reader.report
        tokens, rows = report.tokens, report.samples
        written: list[Manifest] = []
        with tqdm(
            total=self._source.size_bytes(),
            initial=report.bytes_read,
            unit="B",
            unit_scale=True,
            desc="building records",
            disable=not self._progress,
        ) as bar:
            for end, documents in reader.shards():
                number = len(finished) + len(written)
                tokens += len(documents.tokens)
                end.report.update(tokens=tokens, samples=rows)
                if len(documents):
                    written.append(self._write_shard(number, end, documents))
                    rows = written[-1].report["samples"]
                bar.update(end.report["bytes_read"] - bar.n)
        return written

    def _write_shard(self, number: int, end: ShardEnd, documents: EncodedDocuments) -> Manifest:
        count, batches = self._rows.of(documents, self._settings.number_of(number))
        end.report["samples"] += count
        path = self._folder.shard(number)
        return publish_records(
            path, self._folder.record_format, batches, self._manifest(number, end)
        )

    def _manifest(self, shard: int, end: ShardEnd) -> Manifest:
        return Manifest(
            files={},
            rows=0,
            form=self._settings.form,
            max_seq_length=self._settings.max_seq_length,
            tokenizer_fingerprint=self._tokenizer.fingerprint(),
            build=self.digest,
            shard=shard,
            source_end=list(end.position),
            documents=end.documents,
            lines=end.lines,
            report=end.report,
        )
