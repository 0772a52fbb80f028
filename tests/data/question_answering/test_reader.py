"""Files of questions are read as they are, or refused with file and question."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.data.question_answering.examples import Answer, locate
from mindmlm.data.question_answering.files import find_question_file, question_file
from mindmlm.data.question_answering.reader import read_paragraphs
from mindmlm.errors import DataError

QUESTION = {"id": "q1", "question": "Who?", "answers": [{"text": "Ada", "answer_start": 0}]}


def squad(*questions: dict[str, Any], context: str = "Ada lives here.") -> dict[str, Any]:
    return {"version": "x", "data": [{"paragraphs": [{"context": context, "qas": questions}]}]}


def written(path: Path, content: Any, prefix: str = "") -> Path:
    path.write_text(prefix + json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def test_the_layout_of_squad(tmp_path: Path) -> None:
    none = {"id": "q2", "question": "Why?", "answers": [], "is_impossible": True}
    plausible = [{"text": "here", "answer_start": 10}]
    # SQuAD 2.0 keeps wrong answers of such questions beside them.
    none |= {"plausible_answers": plausible}
    path = written(tmp_path / "a.json", squad(QUESTION, none), prefix="\ufeff \n")
    (paragraph,) = read_paragraphs(path)
    assert paragraph.context == "Ada lives here."
    first, second = paragraph.questions
    assert (first.id, first.text, first.answers) == ("q1", "Who?", (Answer("Ada", 0),))
    assert (second.id, second.answers) == ("q2", ())


def test_the_older_layout_of_cmrc_has_no_offsets(tmp_path: Path) -> None:
    questions = [{"query_id": "Q0", "query_text": "谁？", "answers": ["甲", "甲乙"]}]
    item = {"context_id": "C", "context_text": "甲乙丙", "title": "t", "qas": questions}
    (paragraph,) = read_paragraphs(written(tmp_path / "a.json", [item]))
    assert paragraph.context == "甲乙丙"
    assert paragraph.questions[0].answers == (Answer("甲", None), Answer("甲乙", None))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"data": []}, ["no questions in it"]),
        ([], ["no questions in it"]),
        ({"text": 3}, ["no questions in it", "expected"]),
        ({"data": [3]}, ["article 1", "expected an object", "'3'"]),
        ({"data": [{"title": "t"}]}, ["article 1", '"paragraphs" is missing; there is title']),
        (squad(context=7), ["article 1, paragraph 1", '"context"', "expected a text, got '7'"]),
        (squad({**QUESTION, "id": 5}), ['"id"', "expected a text"]),
        (squad({"question": "Who?"}), ['"id" is missing; there is question']),
        (squad(QUESTION, QUESTION), ["question q1", "stands twice"]),
        (squad({**QUESTION, "answers": {}}), ["question q1", "expected a list"]),
        (
            squad({**QUESTION, "answers": [{"text": "Ada", "answer_start": True}]}),
            ["question q1, answers", "expected a whole number, got 'True'"],
        ),
        (
            squad({**QUESTION, "answers": [{"text": "Ada", "answer_start": -1}]}),
            ["question q1, answers", "-1"],
        ),
        (squad({**QUESTION, "answers": [{"text": " ", "answer_start": 1}]}), ['"text" is empty']),
        (
            squad({**QUESTION, "answers": [], "is_impossible": False}),
            ["question q1", "no answers, and is_impossible is false"],
        ),
        (
            [{"context_text": "c", "qas": [{"query_id": "Q", "query_text": "?", "answers": [3]}]}],
            ["question Q, answers", "expected a text"],
        ),
    ],
)
def test_a_faulty_file_is_refused_with_its_place(
    tmp_path: Path, content: Any, words: list[str]
) -> None:
    path = written(tmp_path / "faulty.json", content)
    with pytest.raises(DataError) as caught:
        list(read_paragraphs(path))
    assert all(word in str(caught.value) for word in ["faulty.json", *words])


@pytest.mark.parametrize("cut", [1, 40, 120])
def test_a_file_that_ends_early_is_refused(tmp_path: Path, cut: int) -> None:
    path = written(tmp_path / "cut.json", squad(QUESTION))
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DataError, match=r"cut\.json: not JSON"):
        list(read_paragraphs(path))
    with pytest.raises(DataError, match=r"none\.json: cannot read"):
        list(read_paragraphs(tmp_path / "none.json"))


@settings(deadline=None)
@given(st.text(min_size=1), st.text(min_size=1), st.text())
def test_an_answer_is_found_by_its_offset_in_either_count(
    before: str, answer: str, behind: str
) -> None:
    context = before + answer + behind
    place = (len(before), len(before) + len(answer))
    assert locate(context, Answer(answer, len(before))) == place
    units = len(before.encode("utf-16-le", "surrogatepass")) // 2
    found = locate(context, Answer(answer, units))
    # Where both readings fit, characters are meant.
    assert found == place or context[units : units + len(answer)] == answer
    assert locate(context, Answer(answer + "\0x", len(before))) is None
    assert locate(context, Answer(answer, None)) is None


def test_files_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file of questions \(train-v1\.1\.json"):
        question_file(str(tmp_path), "train")
    assert find_question_file(str(tmp_path), "dev") is None
    for name in ("train-v1.1.json", "dev-v2.0.json", "cmrc2018_train.json"):
        written(tmp_path / name, {})
    assert question_file(str(tmp_path), "dev").name == "dev-v2.0.json"
    with pytest.raises(DataError, match=r"several .*: cmrc2018_train\.json, train-v1\.1\.json"):
        question_file(str(tmp_path), "train")
    named = str(tmp_path / "cmrc2018_train.json")
    assert question_file(named, "train") == question_file(named, "dev") == Path(named)
    with pytest.raises(DataError, match="no such file or folder"):
        question_file(str(tmp_path / "nothing"), "dev")
