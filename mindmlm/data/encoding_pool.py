"""Encode a stream of documents in order, in this process or in several."""

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from mindmlm.data.encoding import EncodedChunk, make_encoder
from mindmlm.data.encoding_worker import read_chunk, write_json
from mindmlm.data.references import ReferenceLines
from mindmlm.data.segmentation import DEFAULT_OPTIONS, SegmenterOptions
from mindmlm.data.sources.base import Document
from mindmlm.errors import DataError
from mindmlm.tokenizers.files import AnyTokenizer

CHUNK_CHARACTERS = 1 << 17
_AHEAD_PER_WORKER = 2
# The lines of some documents, and the word ids of all these lines if they come from a file.
Chunk = tuple[list[tuple[str, ...]], list[list[int]] | None]


def encode_documents(
    documents: Iterable[Document],
    tokenizer: AnyTokenizer,
    segmenter: str,
    workers: int,
    options: SegmenterOptions = DEFAULT_OPTIONS,
    references: ReferenceLines | None = None,
) -> Iterator[EncodedChunk]:
    """Yield encoded chunks in the order of the documents, whatever the number of workers.

    Args:
        documents: read as they are needed; a few chunks are in flight at any time.
        tokenizer, segmenter: see `make_encoder`.
        workers: processes; 1 = in this process.
        options: of jieba and rjieba.
        references: word ids from a file.

    Raises:
        DataError: a worker process died (out of memory, killed); the references do not fit.
    """
    chunks = _with_references(_chunks(documents), references)
    if workers == 1:
        encoder = make_encoder(tokenizer, segmenter, options)
        for lines, places in chunks:
            yield encoder.encode(lines, places)
        return
    with _Workers(tokenizer, segmenter, options, workers) as pool:
        yield from pool.encode(chunks)


def _with_references(
    chunks: Iterator[list[tuple[str, ...]]], references: ReferenceLines | None
) -> Iterator[Chunk]:
    for chunk in chunks:
        yield chunk, references.take(sum(map(len, chunk))) if references else None


def _chunks(documents: Iterable[Document]) -> Iterator[list[tuple[str, ...]]]:
    chunk: list[tuple[str, ...]] = []
    characters = 0
    for document in documents:
        chunk.append(document.lines)
        characters += sum(map(len, document.lines))
        if characters >= CHUNK_CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


class _Workers:
    """Processes, each served by one thread that waits for it."""

    def __init__(
        self, tokenizer: AnyTokenizer, segmenter: str, options: SegmenterOptions, workers: int
    ) -> None:
        self._setup = {
            "tokenizer": tokenizer.setup(),
            "segmenter": segmenter,
            "user_words": options.user_words,
            "hmm": options.hmm,
        }
        self._workers = workers
        self._processes: list[subprocess.Popen[bytes]] = []
        self._closed = False
        self._lock = threading.Lock()
        self._local = threading.local()
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="encoding")

    def __enter__(self) -> "_Workers":
        return self

    def __exit__(self, *exception: object) -> None:
        # Killing first frees threads that wait for an answer nobody wants any more.
        with self._lock:
            self._closed = True
            for process in self._processes:
                process.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for process in self._processes:
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with suppress(BrokenPipeError):
                        stream.close()

    def encode(self, chunks: Iterator[Chunk]) -> Iterator[EncodedChunk]:
        pending: deque[Future[EncodedChunk]] = deque()
        for chunk in chunks:
            pending.append(self._threads.submit(self._ask, chunk))
            if len(pending) > self._workers * _AHEAD_PER_WORKER:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()

    def _ask(self, chunk: Chunk) -> EncodedChunk:
        requests: list[Any] = [chunk]
        if not hasattr(self._local, "process"):
            self._local.process = self._start()
            requests.insert(0, self._setup)
        process = self._local.process
        try:
            for request in requests:
                write_json(process.stdin, request)
            return read_chunk(process.stdout)
        except (OSError, EOFError):
            raise DataError(
                f"a process that prepares text ended with code {process.wait()} (out of memory?); "
                "set train_dataset.num_parallel_workers to 1 to prepare in one process"
            ) from None

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "TOKENIZERS_PARALLELISM": "false",
        }
        with self._lock:
            if self._closed:
                raise CancelledError
            process = subprocess.Popen(
                [sys.executable, "-m", "mindmlm.data.encoding_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
            )
            self._processes.append(process)
        return process
