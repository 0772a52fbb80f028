"""What is counted, left out and cached while questions become rows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mindmlm.data.question_answering import report as notes
from mindmlm.data.question_answering.batches import RowForm, question_batch
from mindmlm.data.question_answering.corpus import (
    QuestionFiles,
    prepare_evaluation_questions,
    prepare_questions,
)
from mindmlm.data.question_answering.prepare import FeatureSettings, QuestionJob
from mindmlm.data.question_answering.store import QuestionStore
from mindmlm.errors import DataError
from mindmlm.tokenizers.bert import SPECIAL_TOKENS, BertTokenizer

WORDS = [f"w{n}" for n in range(40)]
TOKENIZER = BertTokenizer([*SPECIAL_TOKENS, *WORDS, "𫚭"])
SETTINGS = FeatureSettings(max_seq_length=16, doc_stride=3, max_question_length=4)


def question(name: str, text: str, *answers: tuple[str, int | None], **more: Any) -> dict:
    listed = [{"text": answer, "answer_start": start} for answer, start in answers]
    return {"id": name, "question": text, "answers": listed, **more}


def file_of(path: Path, *paragraphs: tuple[str, list[dict]]) -> Path:
    data = [{"paragraphs": [{"context": c, "qas": qas}]} for c, qas in paragraphs]
    path.write_text(json.dumps({"data": data}), encoding="utf-8")
    return path


def paragraph(seed: int, questions: int = 2) -> tuple[str, list[dict]]:
    rng = np.random.default_rng(seed)
    words = rng.choice(WORDS, 20).tolist()
    context = " ".join(words)
    asked = []
    for number in range(questions):
        first = int(rng.integers(0, 20))
        start = len(" ".join(words[:first])) + (first > 0)
        asked.append(question(f"{seed}-{number}", "w1 w2", (words[first], start)))
    return context, asked


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    context = " ".join(WORDS[:20])
    return file_of(
        tmp_path / "train.json",
        (
            context,
            [
                question("good", "w1", ("w3 w4", context.index("w3"))),
                question("long", "w1 w2 w3 w4 w5 w6", ("w0", 0)),
                question("wide", "w1", (context, 0)),
                question("wrong", "w1", ("w3", 1)),
                question("none", "w1", is_impossible=True),
                question("mute", "   ", ("w0", 0)),
            ],
        ),
        ("𫚭 w0 w1", [question("utf16", "w1", ("w0", 3))]),
    )


def test_what_does_not_fit_is_counted(faulty: Path, tmp_path: Path) -> None:
    job = QuestionJob(faulty, TOKENIZER, SETTINGS, for_training=True)
    store, report = job.prepare(tmp_path / "cache")
    assert dict(report.notes) == {
        notes.CUT: 1,
        notes.NOT_IN_A_WINDOW: 1,
        notes.MISPLACED: 1,
        notes.WITHOUT_ANSWER: 1,
        notes.EMPTY: 1,
        notes.UTF16: 1,
    }
    assert report.examples[notes.MISPLACED] == "wrong"
    assert (report.questions, report.paragraphs, report.features) == (7, 2, store.num_samples)
    ids = [store.question_id(n) for n in range(store.num_questions)]
    assert ids == ["good", "long", "wide", "none", "mute", "utf16"]
    text = report.summary()
    assert "7 questions on 2 paragraphs" in text and "(first: wrong)" in text
    placed = sum(store.feature(n).end > 0 for n in range(store.num_samples))
    answered = sum(1 for n in range(store.num_samples) if store.answers(store.feature(n).question))
    assert report.features_without_place == answered - placed


def test_evaluation_keeps_every_question(faulty: Path, tmp_path: Path) -> None:
    store, _ = QuestionJob(faulty, TOKENIZER, SETTINGS).prepare(tmp_path / "cache")
    rows = question_batch(store, np.arange(store.num_samples), RowForm.of(TOKENIZER, 16))
    of_wrong = [store.question_id(store.feature(n).question) == "wrong" for n in rows.feature_ids]
    assert store.num_questions == 7 and any(of_wrong)
    np.testing.assert_array_equal(rows.weights, 1.0 - np.array(of_wrong))


def test_an_answer_stands_in_its_columns(tmp_path: Path) -> None:
    path = file_of(tmp_path / "train.json", *(paragraph(seed) for seed in range(30)))
    store, _ = QuestionJob(path, TOKENIZER, SETTINGS, for_training=True).prepare(tmp_path / "c")
    batch = question_batch(store, np.arange(store.num_samples), RowForm.of(TOKENIZER, 16))
    placed = np.flatnonzero(batch.end_positions)
    assert len(placed) >= 60
    for row in placed:
        columns = slice(batch.start_positions[row], batch.end_positions[row] + 1)
        words = [TOKENIZER.id_to_token(int(n)) for n in batch.input_ids[row, columns]]
        assert " ".join(words) == store.answers(store.feature(row).question)[0]


def test_questions_are_prepared_once_and_found_by_their_contents(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    path = file_of(tmp_path / "train.json", paragraph(0))
    first, _ = QuestionJob(path, TOKENIZER, SETTINGS).prepare(cache)
    (folder,) = cache.iterdir()
    made = folder.stat().st_ino
    moved = path.rename(tmp_path / "other.json")
    again, report = QuestionJob(moved, TOKENIZER, SETTINGS).prepare(cache)
    assert [p.stat().st_ino for p in cache.iterdir()] == [made]
    assert (again.fingerprint, report.file) == (first.fingerprint, "other.json")
    longer = FeatureSettings(20, 3, 4)
    other, _ = QuestionJob(moved, TOKENIZER, longer).prepare(cache)
    assert other.fingerprint != first.fingerprint and len(list(cache.iterdir())) == 2
    file_of(moved, paragraph(1))
    assert QuestionJob(moved, TOKENIZER, SETTINGS).prepare(cache)[0].fingerprint not in (
        first.fingerprint,
        other.fingerprint,
    )
    damaged = folder / "features.bin"
    damaged.write_bytes(damaged.read_bytes()[:-8])
    with pytest.raises(DataError, match=r"bytes, \d+ were written"):
        QuestionStore(folder)
    file_of(moved, paragraph(0))
    assert (
        QuestionJob(moved, TOKENIZER, SETTINGS).prepare(cache)[0].fingerprint == first.fingerprint
    )


def test_so_many_questions_are_read(tmp_path: Path) -> None:
    path = file_of(tmp_path / "train.json", *(paragraph(seed, 3) for seed in range(4)))
    store, report = QuestionJob(path, TOKENIZER, SETTINGS, num_samples=7).prepare(tmp_path / "c")
    assert (store.num_questions, report.paragraphs) == (7, 3)


def ids_of(store: QuestionStore) -> set[str]:
    return {store.question_id(n) for n in range(store.num_questions)}


def test_paragraphs_are_held_out_where_there_is_no_file(tmp_path: Path) -> None:
    path = file_of(tmp_path / "train.json", *(paragraph(seed) for seed in range(40)))
    files = QuestionFiles(path, None, holdout_fraction=0.3, features=SETTINGS)
    prepared = prepare_questions(files, TOKENIZER, tmp_path / "c")
    train, evaluation = ids_of(prepared.train), ids_of(prepared.evaluation)
    assert train and evaluation and not train & evaluation and len(train | evaluation) == 80
    # Whole paragraphs: nothing is known of their texts.
    assert not {name.split("-")[0] for name in train} & {name.split("-")[0] for name in evaluation}
    assert "training: train.json" in prepared.summary() and "evaluation: " in prepared.summary()
    few = QuestionFiles(file_of(tmp_path / "few.json", paragraph(0)), holdout_fraction=1e-9)
    with pytest.raises(DataError, match="too few paragraphs to hold some out"):
        prepare_evaluation_questions(few, TOKENIZER, tmp_path / "c")


def test_a_file_without_offsets_is_for_evaluation(tmp_path: Path) -> None:
    asked = [{"query_id": "Q", "query_text": "w1", "answers": ["w0"]}]
    path = tmp_path / "old.json"
    path.write_text(json.dumps([{"context_text": "w0 w1", "qas": asked}]))
    store, report = QuestionJob(path, TOKENIZER, SETTINGS).prepare(tmp_path / "c")
    assert store.answers(0) == ["w0"] and report.notes[notes.WITHOUT_OFFSET] == 1
    with pytest.raises(DataError, match="answers without an offset"):
        QuestionJob(path, TOKENIZER, SETTINGS, for_training=True).prepare(tmp_path / "c")
