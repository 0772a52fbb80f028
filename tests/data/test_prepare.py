import hashlib
import io
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from mindmlm.data import corpus_job, encoding_pool
from mindmlm.data.encoding import CorpusEncoder, EncodedChunk
from mindmlm.data.encoding_worker import read_chunk, serve, write_json
from mindmlm.data.prepare import (
    CorpusSettings,
    PreparedCorpus,
    prepare_corpus,
    prepare_evaluation,
)
from mindmlm.data.report import ReadReport
from mindmlm.data.sample_making import SampleSettings
from mindmlm.data.samples import chinese_sample_path, english_topics, write_sample
from mindmlm.data.segmentation import SegmenterOptions
from mindmlm.data.sources.cleaned import Cleaning, cleaned
from mindmlm.data.sources.files import FileSource
from mindmlm.data.sources.options import ReadOptions
from mindmlm.data.store import TokenStore
from mindmlm.errors import DataError
from mindmlm.tokenizers.bert import SPECIAL_TOKENS, BertTokenizer

LETTERS = "abcdefghij学习数据深度"
TOKENIZER = BertTokenizer([*SPECIAL_TOKENS, *LETTERS, *("##" + c for c in LETTERS), "，"])


def random_text(seed: int, documents: int, lines: int = 3) -> str:
    rng = random.Random(seed)
    return "\n\n".join(
        "\n".join("".join(rng.choices(LETTERS + " ，", k=30)) for _ in range(lines))
        for _ in range(documents)
    )


def source_of(path: Path, **options: str) -> FileSource:
    return FileSource.of_paths(path, options=ReadOptions(text_format="document", **options))


def settings_for(path: Path, **options: object) -> CorpusSettings:
    samples = SampleSettings(max_seq_length=32, segmenter="jieba")
    return replace(CorpusSettings(source_of(path), samples=samples), **options)


@pytest.fixture
def corpus_file(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text(random_text(1, 200), encoding="utf-8")
    return path


def lines_of(store: TokenStore) -> list[tuple[int, ...]]:
    tokens, _, lengths = store.gather(np.arange(store.num_samples), 600)
    return [tuple(row[:n]) for row, n in zip(tokens.tolist(), lengths.tolist(), strict=True)]


def test_documents_are_held_out_by_hash(corpus_file: Path, tmp_path: Path) -> None:
    corpus = prepare_corpus(settings_for(corpus_file), TOKENIZER, tmp_path / "cache")
    documents = corpus_file.read_text(encoding="utf-8").split("\n\n")
    held, trained = [], []
    for document in documents:
        digest = hashlib.blake2b(document.encode(), digest_size=8).digest()
        side = held if int.from_bytes(digest, "little") < 0.05 * 2**64 else trained
        side += [t.ids.tolist() for t in TOKENIZER.encode_batch(document.split("\n"))]
    assert 3 * 2 < len(held) < 3 * 25
    assert sum(map(len, lines_of(corpus.evaluation))) == sum(map(len, held))
    assert tuple(chain(*lines_of(corpus.train))) == tuple(chain(*trained))
    assert corpus.reports["training text"].documents == 200
    assert "200 documents (799 lines" in corpus.summary()


def test_order_of_documents_does_not_choose(corpus_file: Path, tmp_path: Path) -> None:
    documents = corpus_file.read_text(encoding="utf-8").split("\n\n")
    other = tmp_path / "other.txt"
    other.write_text("\n\n".join(documents[::-1]), encoding="utf-8")
    first = prepare_corpus(settings_for(corpus_file), TOKENIZER, tmp_path / "cache")
    second = prepare_corpus(settings_for(other), TOKENIZER, tmp_path / "cache")
    assert sorted(lines_of(first.evaluation)) == sorted(lines_of(second.evaluation))
    assert first.fingerprint != second.fingerprint


@pytest.mark.parametrize("fraction", [1e-6, 1 - 1e-6])
@pytest.mark.parametrize("mode", ["line", "packed"])
def test_both_sides_always_have_something(tmp_path: Path, fraction: float, mode: str) -> None:
    path = tmp_path / "corpus.txt"
    path.write_text("a b c\n\nd e f\n\nd e f\n\ng h\n", encoding="utf-8")
    options = settings_for(path, holdout_fraction=fraction)
    options = replace(options, samples=replace(options.samples, sample_mode=mode))
    corpus = prepare_corpus(options, TOKENIZER, tmp_path / "cache")
    assert corpus.train.num_samples
    assert corpus.evaluation.num_samples
    assert not set(lines_of(corpus.train)) & set(lines_of(corpus.evaluation))


@pytest.mark.parametrize("text", ["a b", "a b\n\na b\n\n\na b", "a b\n\n\u200b\n"])
def test_one_document_is_not_enough(tmp_path: Path, text: str) -> None:
    path = tmp_path / "corpus.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"corpus\.txt: fewer than 2 different documents"):
        prepare_corpus(settings_for(path), TOKENIZER, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_separate_evaluation_text(corpus_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(corpus_file, folder / "train.txt")
    (folder / "valid.txt").write_text("a b c\nd e", encoding="utf-8")
    (folder / "test.txt").write_text("j j j", encoding="utf-8")
    options = settings_for(folder / "train.txt", evaluation=source_of(folder / "valid.txt"))
    corpus = prepare_corpus(options, TOKENIZER, tmp_path / "cache")
    assert lines_of(corpus.evaluation) == [(5, 6, 7), (8, 9)]
    assert set(corpus.reports) == {"training text", "evaluation text"}
    assert corpus.reports["training text"].documents == 200
    given = replace(options, evaluation=source_of(folder / "test.txt"))
    assert lines_of(prepare_corpus(given, TOKENIZER, tmp_path / "cache").evaluation) == [(14,) * 3]
    only = replace(given, train=None)
    store, report = prepare_evaluation(only, TOKENIZER, tmp_path / "cache")
    assert (store.num_samples, report.documents) == (1, 1)
    with pytest.raises(DataError, match="no training text"):
        prepare_evaluation(replace(only, evaluation=None), TOKENIZER, tmp_path / "cache")


def test_evaluation_alone_equals_the_held_out_part(corpus_file: Path, tmp_path: Path) -> None:
    store, _ = prepare_evaluation(settings_for(corpus_file), TOKENIZER, tmp_path / "one")
    corpus = prepare_corpus(settings_for(corpus_file), TOKENIZER, tmp_path / "two")
    assert store.fingerprint == corpus.evaluation.fingerprint


@pytest.mark.parametrize("separate", [False, True])
def test_evaluation_does_not_depend_on_the_segmenter(
    corpus_file: Path, tmp_path: Path, separate: bool
) -> None:
    options = settings_for(
        corpus_file, holdout_fraction=0.3, evaluation=source_of(corpus_file) if separate else None
    )
    corpora = [
        prepare_corpus(
            replace(
                options, samples=replace(options.samples, segmenter=segmenter, max_seq_length=12)
            ),
            TOKENIZER,
            tmp_path / "cache",
        )
        for segmenter in ("jieba", "none")
    ]
    assert corpora[0].evaluation.fingerprint == corpora[1].evaluation.fingerprint
    assert corpora[0].train.fingerprint != corpora[1].train.fingerprint


def cache_keys(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir()}


def test_the_cache_is_used_until_something_changes(
    corpus_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    base = settings_for(corpus_file)
    first = prepare_corpus(base, TOKENIZER, cache)
    assert len(cache_keys(cache)) == 1

    def forbidden(*_: object) -> None:
        raise AssertionError("the cache was not used")

    with monkeypatch.context() as patch:
        patch.setattr(corpus_job, "encode_documents", forbidden)
        again = prepare_corpus(base, TOKENIZER, cache)
        assert again.fingerprint == first.fingerprint
        assert again.summary() == first.summary()
        more_workers = replace(base, samples=replace(base.samples, workers=7))
        prepare_corpus(more_workers, TOKENIZER, cache)
    variants = [
        replace(base, holdout_fraction=0.2),
        replace(base, num_samples=50),
        replace(base, samples=replace(base.samples, sample_mode="packed")),
        replace(base, samples=replace(base.samples, max_seq_length=16)),
        replace(base, samples=replace(base.samples, segmenter="none")),
        replace(base, train=FileSource.of_paths(corpus_file)),
        replace(base, train=source_of(corpus_file, on_error="skip")),
        replace(base, train=cleaned(source_of(corpus_file), Cleaning(("nfkc",)))),
    ]
    seen = cache_keys(cache)
    for number, variant in enumerate(variants, start=2):
        prepare_corpus(variant, TOKENIZER, cache)
        seen |= cache_keys(cache)
        assert len(seen) == number
    cased = BertTokenizer(TOKENIZER.vocab, do_lower_case=False)
    prepare_corpus(base, cased, cache)
    seen |= cache_keys(cache)
    os.utime(corpus_file, ns=(1, 1))
    prepare_corpus(base, TOKENIZER, cache)
    assert len(seen | cache_keys(cache)) == len(variants) + 3


@pytest.mark.parametrize(
    "name", ["train/tokens.bin", "evaluation/meta.json", "report.json", "train/ends.bin"]
)
def test_a_damaged_cache_is_built_again(corpus_file: Path, tmp_path: Path, name: str) -> None:
    cache = tmp_path / "cache"
    first = prepare_corpus(settings_for(corpus_file), TOKENIZER, cache)
    (key,) = cache_keys(cache)
    path = cache / key / name
    path.write_bytes(path.read_bytes()[:-3])
    again = prepare_corpus(settings_for(corpus_file), TOKENIZER, cache)
    assert again.fingerprint == first.fingerprint
    assert cache_keys(cache) == {key}


def test_leftovers_of_dead_processes_are_removed(corpus_file: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    own = f"x.{socket.gethostname()}.{os.getppid()}.partial"
    for name in (f"x.{socket.gethostname()}.{dead.pid}.partial", own, "x.otherhost.1.partial"):
        (cache / name).mkdir(parents=True)
    prepare_corpus(settings_for(corpus_file), TOKENIZER, cache)
    assert {name for name in cache_keys(cache) if "partial" in name} == {
        own,
        "x.otherhost.1.partial",
    }


def test_faulty_text_leaves_no_cache(tmp_path: Path) -> None:
    path = tmp_path / "corpus.txt"
    path.write_bytes(b"a b\n\nc\xff\n")
    with pytest.raises(DataError, match=r"corpus\.txt:3: malformed"):
        prepare_corpus(settings_for(path), TOKENIZER, tmp_path / "cache")
    assert not cache_keys(tmp_path / "cache")


def test_lines_without_tokens_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "corpus.txt"
    path.write_text("a b\n\n\u200b\n\nc d\n\nd e", encoding="utf-8")
    corpus = prepare_corpus(settings_for(path), TOKENIZER, tmp_path / "cache")
    assert corpus.reports["training text"].skipped == {"document without tokens": 1}


def contents(corpus: PreparedCorpus) -> tuple[str, str]:
    return corpus.fingerprint, corpus.summary()


def test_any_number_of_processes_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus_job, "MULTI_PROCESS_BYTES", 0)
    monkeypatch.setattr(encoding_pool, "CHUNK_CHARACTERS", 1500)
    path = tmp_path / "corpus.txt"
    path.write_text(random_text(5, 120) + "\n\n穿adT恤", encoding="utf-8")
    results = set()
    for workers in (1, 2, 3):
        base = settings_for(path)
        base = replace(base, samples=replace(base.samples, workers=workers))
        results.add(contents(prepare_corpus(base, TOKENIZER, tmp_path / str(workers))))
    assert len(results) == 1


def test_a_dead_worker_is_an_error_not_a_hang(
    corpus_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus_job, "MULTI_PROCESS_BYTES", 0)
    start = encoding_pool._Workers._start

    def start_and_kill(self: encoding_pool._Workers) -> subprocess.Popen:
        process = start(self)
        process.send_signal(signal.SIGKILL)
        return process

    monkeypatch.setattr(encoding_pool._Workers, "_start", start_and_kill)
    with pytest.raises(DataError, match="ended with code -9"):
        prepare_corpus(settings_for(corpus_file), TOKENIZER, tmp_path / "cache")


def test_memory_does_not_grow_with_the_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus_job, "MULTI_PROCESS_BYTES", 1 << 40)
    peaks = []
    for copies in (2, 6):
        path = tmp_path / f"{copies}.txt"
        path.write_text(random_text(1, 1500 * copies), encoding="utf-8")
        base = settings_for(path)
        base = replace(base, samples=replace(base.samples, segmenter="none"))
        tracemalloc.start()
        prepare_corpus(base, TOKENIZER, tmp_path / "cache")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_english_sample_is_prose(tmp_path: Path) -> None:
    path = write_sample("en", tmp_path / "new")
    text = path.read_text(encoding="utf-8")
    documents = [document.split("\n") for document in text.strip().split("\n\n")]
    assert documents == list(english_topics())
    assert len(documents) > 50
    assert len(text) > 200_000
    assert "::=" not in text
    assert not [line for paragraphs in documents for line in paragraphs if line != line.strip()]
    with pytest.raises(ValueError, match="en and zh"):
        write_sample("fr", tmp_path)


def test_chinese_sample_is_the_shipped_one(tmp_path: Path) -> None:
    path = write_sample("zh", tmp_path)
    assert path.read_bytes() == chinese_sample_path().read_bytes()
    report = ReadReport()
    documents = list(source_of(path).documents(report))
    assert len(documents) > 10
    assert not report.skipped


def test_a_worker_answers_what_the_encoder_gives_and_ends_with_its_input() -> None:
    documents = [["学习 abc", "d"], ["数据，深度"], ["\u200b"]]
    requests, replies = io.BytesIO(), io.BytesIO()
    setup = {
        "tokenizer": TOKENIZER.setup(),
        "segmenter": "jieba",
        "user_words": ["学习数据 1000"],
        "hmm": False,
    }
    for value in (setup, [documents, None], [[], None]):
        write_json(requests, value)
    requests.seek(0)
    serve(requests, replies)
    replies.seek(0)
    direct = CorpusEncoder(TOKENIZER, "jieba", SegmenterOptions(("学习数据 1000",), False))
    for expected in (direct.encode(documents), direct.encode([])):
        answer = read_chunk(replies)
        for name in EncodedChunk.__dataclass_fields__:
            assert getattr(answer, name).tolist() == getattr(expected, name).tolist()
    assert not replies.read()
