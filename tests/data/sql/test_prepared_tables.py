"""From a configuration that names a table to stores of samples."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mindmlm.build_data.sources import corpus_sources
from mindmlm.config import load_config
from mindmlm.data.prepare import CorpusSettings, PreparedCorpus, prepare_corpus
from mindmlm.data.report import ReadReport
from mindmlm.data.sample_making import SampleSettings
from mindmlm.data.sources.base import read_documents
from mindmlm.data.sources.sql_connection import Database
from mindmlm.tokenizers.bert import SPECIAL_TOKENS, BertTokenizer

CONFIG = """\
train_dataset:
  max_seq_length: 16
  data_loader:
    type: SqlDataLoader
    url: {url}
    query: SELECT number, body FROM articles WHERE language = :language AND number >= :least
    key_column: number
    text_field: body
    parameters: [language=no, least=10]
    cleaning: [whitespace]
"""
TOKENIZER = BertTokenizer([*SPECIAL_TOKENS, *"abcdefghij", "##a"])
ROWS = [(n, "no" if n % 2 else "en", f"{'abcdefghij'[n % 10]} \u3000 b") for n in range(60)]


def sources(tmp_path: Path, url: str, *options: str) -> Any:
    (tmp_path / "run.yaml").write_text(CONFIG.format(url=url))
    loaded = load_config(tmp_path / "run.yaml", options)
    return corpus_sources(loaded.config, tmp_path / "spool")


def prepare(tmp_path: Path, found: Any) -> PreparedCorpus:
    settings = CorpusSettings(
        train=found.train, evaluation=found.evaluation, samples=SampleSettings(max_seq_length=16)
    )
    return prepare_corpus(settings, TOKENIZER, tmp_path / "cache")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    connection = sqlite3.connect(tmp_path / "t.db")
    with connection:
        connection.execute("CREATE TABLE articles (number INTEGER, language TEXT, body TEXT)")
        connection.executemany("INSERT INTO articles VALUES (?, ?, ?)", ROWS)
    connection.close()
    return f"sqlite:///{tmp_path}/t.db"


def test_sqlite_rows_become_samples(tmp_path: Path, sqlite_url: str) -> None:
    found = sources(tmp_path, sqlite_url)
    assert found.evaluation is None
    first = next(read_documents(found.train, ReadReport()))
    assert first.lines == ("b b",)
    corpus = prepare(tmp_path, found)
    assert corpus.train.num_samples + corpus.evaluation.num_samples == 25
    assert prepare(tmp_path, sources(tmp_path, sqlite_url)).fingerprint == corpus.fingerprint
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_rows_for_evaluation_come_from_a_query_of_their_own(
    tmp_path: Path, sqlite_url: str
) -> None:
    query = "SELECT number, body FROM articles WHERE number < 5"
    found = sources(tmp_path, sqlite_url, f"eval_dataset.data_loader.query={query}")
    corpus = prepare(tmp_path, found)
    assert (corpus.train.num_samples, corpus.evaluation.num_samples) == (25, 5)


def test_slicing_and_batches_of_rows(tmp_path: Path, sqlite_url: str) -> None:
    loader = "train_dataset.data_loader"
    options = [f"{loader}.cleaning=[]", f"{loader}.slicing=modulo", f"{loader}.batch_rows=7"]
    source = sources(tmp_path, sqlite_url, *options).train
    assert (source.slicing, source.batch_rows) == ("modulo", 7)


def test_postgres_rows_become_samples(tmp_path: Path, postgres: Any, sqlite_url: str) -> None:
    engine = Database(postgres.url).engine()
    with engine.begin() as connection:
        connection.execute(
            sa.text("CREATE TABLE articles (number bigint, language text, body text)")
        )
        connection.execute(
            sa.text("INSERT INTO articles VALUES (:a, :b, :c)"),
            [dict(zip("abc", row, strict=True)) for row in ROWS],
        )
    try:
        corpus = prepare(tmp_path / "postgres", sources(tmp_path, postgres.url))
        expected = prepare(tmp_path / "sqlite", sources(tmp_path, sqlite_url))
        assert corpus.fingerprint == expected.fingerprint
    finally:
        with engine.begin() as connection:
            connection.execute(sa.text("DROP TABLE articles"))
