"""Blocks in record files: built from text, made by others, faulty."""

import logging
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.data.building.build import build_dataset
from mindmlm.data.building.settings import BuildSettings
from mindmlm.data.causal.record_blocks import BlockWriters, block_rows
from mindmlm.data.prepare import CorpusSettings, RecordSettings, prepare_corpus
from mindmlm.data.records.files import RecordFile, record_files
from mindmlm.data.records.rows import CAUSAL, STATIC, Ragged
from mindmlm.data.records.tfrecord import write_tfrecord
from mindmlm.data.sources.files import FileSource
from mindmlm.data.store import TokenStore
from mindmlm.errors import DataError
from mindmlm.tokenizers.bert import SPECIAL_TOKENS, BertTokenizer
from mindmlm.tokenizers.byte_level_bpe import train_byte_level_bpe
from mindmlm.tokenizers.gpt2 import GPT2Tokenizer

TOKENIZER = GPT2Tokenizer.of_bpe(train_byte_level_bpe(["今天天气很好", "the hat sat"] * 3, 270))
END, WIDTH = TOKENIZER.end_id, 24
SETTINGS = BuildSettings(
    record_format="tfrecord", form=CAUSAL, max_seq_length=WIDTH, dupe_factor=1, shard_bytes=3000,
    workers=1,
)  # fmt: skip
LOADER = {"tfrecord": "TFRecordDataset", "mindrecord": "MindDataset"}


@pytest.fixture(scope="module")
def documents() -> list[str]:
    rng = np.random.default_rng(0)
    return [
        "".join(rng.choice(list("the sat今天好"), rng.integers(1, 90))).strip() + str(number)
        for number in range(200)
    ]


@pytest.fixture(scope="module")
def source(documents: list[str], tmp_path_factory: pytest.TempPathFactory) -> FileSource:
    path = tmp_path_factory.mktemp("text") / "raw.txt"
    path.write_text("\n".join(documents) + "\n", encoding="utf-8")
    return FileSource.of_paths(path)


def build(source: FileSource, output: Path, settings: BuildSettings) -> tuple[RecordFile, ...]:
    build_dataset(source, TOKENIZER, settings, output)
    loader = LOADER[settings.record_format]
    return tuple(RecordFile(path, loader) for path in record_files(str(output), loader))


def records(train: tuple[RecordFile, ...], *evaluation: RecordFile) -> CorpusSettings:
    return CorpusSettings(None, records=RecordSettings(train, evaluation, WIDTH))


def rows_of(store: TokenStore) -> list[list[int]]:
    rows = np.full((store.num_samples, WIDTH + 1), -1, np.int32)
    store.fill(np.arange(store.num_samples), rows)
    return [[token for token in row if token >= 0] for row in rows.tolist()]


@pytest.mark.parametrize("sample_mode", ["packed", "line"])
@pytest.mark.parametrize("record_format", ["tfrecord", "mindrecord"])
def test_built_blocks_predict_every_token_once(
    tmp_path: Path, source: FileSource, documents: list[str], record_format: str, sample_mode: str
) -> None:
    if record_format == "mindrecord":
        pytest.importorskip("mindspore")
    settings = replace(SETTINGS, record_format=record_format, sample_mode=sample_mode)
    files = build(source, tmp_path / "records", settings)
    assert len(files) > 3
    corpus = prepare_corpus(records(files, *files), TOKENIZER, tmp_path / "cache")
    assert isinstance(corpus.train, TokenStore)
    rows = rows_of(corpus.train)
    assert rows_of(corpus.evaluation) == rows
    whole = TOKENIZER.decode(token for row in rows for token in row[1:])
    assert whole.split("<|endoftext|>") == [*documents, ""]
    size = corpus.evaluation.text
    assert size is not None
    assert size.bytes == sum(len(text.encode()) for text in documents)
    assert size.words == sum(len(text.split()) for text in documents)
    if sample_mode == "packed":
        assert sum(len(row) <= WIDTH for row in rows) <= len(files)
    else:
        assert sum(row[0] == END for row in rows) == len(documents)


def test_any_number_of_workers_and_held_out_rows(tmp_path: Path, source: FileSource) -> None:
    files = build(source, tmp_path / "one", SETTINGS)
    others = build(source, tmp_path / "two", replace(SETTINGS, workers=2))
    for one, two in zip(files, others, strict=True):
        assert one.path.read_bytes() == two.path.read_bytes()
    corpus = prepare_corpus(records(files), TOKENIZER, tmp_path / "cache")
    assert isinstance(corpus.train, TokenStore)
    held, trained = rows_of(corpus.evaluation), rows_of(corpus.train)
    assert 0 < len(held) < len(trained)
    assert not {tuple(row) for row in held} & {tuple(row) for row in trained}
    assert corpus.evaluation.text is not None
    assert corpus.evaluation.text.bytes == sum(
        len(TOKENIZER.token_bytes[token]) for row in held for token in row[1:] if token != END
    )


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.lists(st.sampled_from([END, 1, 2]), min_size=2, max_size=9)), max_size=6)
)
def test_padding_of_others(rows: list[tuple[list[int]]]) -> None:
    lines = [line for (line,) in rows]
    column = Ragged(
        np.array([token for line in lines for token in line], np.int32),
        np.array([len(line) for line in lines], np.int64),
    )
    found = block_rows({"input_ids": column}, END, "here")
    expected = []
    for line in lines:
        while len(line) > 2 and line[-1] == line[-2] == END:
            line = line[:-1]
        expected.append(line)
    begins = [0, *found.ends.tolist()]
    cut = [found.tokens[a:b].tolist() for a, b in pairwise(begins)]
    assert cut == expected


def test_faults_are_explained(tmp_path: Path, source: FileSource) -> None:
    def file(name: str, rows: list[list[int]]) -> RecordFile:
        path = tmp_path / f"{name}.tfrecord"
        lengths = np.array([len(row) for row in rows], np.int64)
        column = Ragged(np.array([token for row in rows for token in row], np.int64), lengths)
        with path.open("wb") as stream:
            write_tfrecord(stream, [{"input_ids": column}])
        return RecordFile(path, "TFRecordDataset")

    good = [[1] * WIDTH, [2] * (WIDTH + 1)]
    cases = {
        "short": ([[1]], "a row has fewer than 2 tokens"),
        "long": ([[1] * 31], "rows of 31 tokens .*the run reads 24; .*max_seq_length to 30"),
        "other": ([[1, 270]], "row 1 holds the token 270, and the vocabulary has 270"),
    }
    for name, (rows, message) in cases.items():
        with pytest.raises(DataError, match=message):
            prepare_corpus(records((file(name, rows),)), TOKENIZER, tmp_path / "cache")
    fine = file("good", good)
    corpus = prepare_corpus(records((fine,), fine), TOKENIZER, tmp_path / "cache")
    assert isinstance(corpus.train, TokenStore)
    assert rows_of(corpus.train) == good
    bert = BertTokenizer([*SPECIAL_TOKENS, *map(str, range(300))])
    with pytest.raises(DataError, match=r"no column but input_ids.*the run trains a BERT"):
        prepare_corpus(records((fine,)), bert, tmp_path / "cache")
    with ExitStack() as stack, pytest.raises(DataError, match=r"static ones for BERT"):
        writers = BlockWriters(tmp_path, ("train", "evaluation"), TOKENIZER, WIDTH, stack)
        writers.originals(STATIC, {}, "here")
    built = build(source, tmp_path / "built", SETTINGS)
    stranger = GPT2Tokenizer(TOKENIZER.vocab, TOKENIZER.merges[:-1])
    with pytest.raises(DataError, match="built with another vocabulary"):
        prepare_corpus(records(built), stranger, tmp_path / "cache")
    with pytest.raises(ValueError, match="BertTokenizer has no causal rows"):
        build_dataset(source, bert, SETTINGS, tmp_path / "wrong")


def test_records_made_elsewhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """MindFormers' writer: whole blocks, int32, no manifest, other columns beside input_ids."""
    mindrecord = pytest.importorskip("mindspore.mindrecord")
    rows = np.random.default_rng(1).integers(0, END, (9, WIDTH + 1)).astype(np.int32)
    path = tmp_path / "wikitext.mindrecord"
    writer = mindrecord.FileWriter(str(path), 1)
    whole = {"type": "int32", "shape": [-1]}
    writer.add_schema({"input_ids": whole, "attention_mask": whole}, "wikitext")
    writer.write_raw_data([{"input_ids": row, "attention_mask": row * 0 + 1} for row in rows])
    writer.commit()
    files = (RecordFile(path, "MindDataset"),)
    with caplog.at_level(logging.INFO):
        corpus = prepare_corpus(records(files, *files), TOKENIZER, tmp_path / "cache")
    assert "9 rows" in caplog.text
    assert isinstance(corpus.train, TokenStore)
    assert rows_of(corpus.train) == rows.tolist()
