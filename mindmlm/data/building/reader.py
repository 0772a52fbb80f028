"""A source divided into shards of encoded documents."""

import copy
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from mindmlm.data.building.encoded import DocumentBuffer, EncodedDocuments
from mindmlm.data.building.settings import BuildSettings
from mindmlm.data.encoding_pool import encode_documents
from mindmlm.data.records.manifest import Manifest
from mindmlm.data.references import ReferenceLines
from mindmlm.data.report import ReadReport
from mindmlm.data.segmentation import REFERENCE_FILE
from mindmlm.data.sources.base import Document, Position, Source
from mindmlm.tokenizers.files import AnyTokenizer

# MindSpore's index of a file takes about 1.5 kB of memory a row while it is written.
_ROWS_OF_SHARD = 1 << 16


@dataclass(frozen=True)
class ShardEnd:
    """Where a shard ends: documents and lines up to there, the position, what was read."""

    documents: int
    lines: int
    position: Position
    report: dict[str, Any]


class ShardReader:
    """Streams documents and notes where each shard ends.

    Args:
        source: the text.
        tokenizer: of the text.
        settings: see `BuildSettings`.
        last: manifest of the shard that reading goes on behind; None = from the beginning.
    """

    def __init__(
        self,
        source: Source,
        tokenizer: AnyTokenizer,
        settings: BuildSettings,
        last: Manifest | None,
    ) -> None:
        self._source = source
        self._tokenizer = tokenizer
        self._settings = settings
        self._start = tuple(last.source_end) if last else None
        self._documents = last.documents if last else 0
        self._lines = last.lines if last else 0
        self.report = ReadReport.from_dict(last.report) if last else ReadReport()
        self._ends: deque[ShardEnd] = deque()

    def shards(self) -> Iterator[tuple[ShardEnd, EncodedDocuments]]:
        """Yield the documents of each shard, and where it ends.

        Raises:
            DataError: the source or the reference file is faulty.
        """
        count = self._documents
        held = DocumentBuffer()
        references = self._references()
        chunks = encode_documents(
            self._read(),
            self._tokenizer,
            self._settings.segmenter,
            self._settings.workers,
            self._settings.segmenter_options,
            references,
        )
        words = self.report.segmented_lines, self.report.fallback_lines
        for chunk in chunks:
            begin, size = 0, len(chunk.lines)
            while begin < size:
                end = min(size, self._ends[0].documents - count) if self._ends else size
                held.add(chunk, begin, end)
                part = slice(begin, end)
                words = (
                    words[0] + int(chunk.segmented[part].sum()),
                    words[1] + int(chunk.fallbacks[part].sum()),
                )
                begin = end
                if self._ends and self._ends[0].documents == count + end:
                    yield self._finish(words), held.take()
            count += size
        if self._ends:
            # The last chunk was full, so the end was found behind it.
            yield self._finish(words), held.take()
        if references and self._settings.num_samples is None:
            references.expect_end()

    def _finish(self, words: tuple[int, int]) -> ShardEnd:
        end = self._ends.popleft()
        end.report.update(segmented_lines=words[0], fallback_lines=words[1])
        return end

    def _read(self) -> Iterator[Document]:
        settings, size, first = self._settings, 0, self._documents
        stream = self._source.documents(self.report, settings.part, self._start)
        left = None if settings.num_samples is None else settings.num_samples - self._documents
        position = self._start
        for position, document in islice(stream, left):
            self.report.documents += 1
            self._documents += 1
            self._lines += len(document.lines)
            size += sum(len(line.encode()) for line in document.lines)
            if self._is_full(size, self._documents - first):
                self._end_shard(position)
                size, first = 0, self._documents
            yield document
        if size and position is not None:
            self._end_shard(position)

    def _is_full(self, size: int, documents: int) -> bool:
        passes, limit = self._settings.dupe_factor, self._settings.shard_bytes
        return size * passes >= limit or documents * passes >= _ROWS_OF_SHARD

    def _end_shard(self, position: Position) -> None:
        # A copy: the counts go on while earlier shards are still being encoded.
        report = copy.deepcopy(self.report.to_dict())
        self._ends.append(ShardEnd(self._documents, self._lines, position, report))

    def _references(self) -> ReferenceLines | None:
        if self._settings.segmenter != REFERENCE_FILE:
            return None
        references = ReferenceLines(Path(self._settings.reference_file))
        references.skip(self._lines)
        return references
