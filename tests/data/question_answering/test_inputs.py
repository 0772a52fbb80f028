"""What users ask: texts, mappings and files."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.data.question_answering.inputs import Asked, read_asked
from mindmlm.errors import DataError

FIRST = {"context": "Ada lives in London", "question": "Where?"}
SECOND = {"context": "Bo lives in Rome", "question": "Who?"}
ASKED = [Asked(**FIRST), Asked(**SECOND)]


@settings(deadline=None)
@given(st.text(min_size=1).filter(str.strip), st.text(min_size=1).filter(str.strip))
def test_a_text_is_divided_at_its_last_hyphen_between_spaces(context: str, question: str) -> None:
    question = question.replace(" - ", "-")
    while " - " in f" - {question}"[1:]:
        question = question.lstrip("- ") or "q"
    asked = read_asked([f"{context} - a - b - {question}"])
    assert asked == [Asked(f"{context} - a - b", question)]


def test_every_form_gives_the_same_questions(tmp_path: Path) -> None:
    text = "{context} - {question}"
    lines = [text.format(**item) for item in (FIRST, SECOND)]
    (tmp_path / "a.txt").write_text("\n".join(["", *lines, ""]))
    (tmp_path / "b.json").write_text(json.dumps([FIRST, SECOND]))
    (tmp_path / "c.json").write_text(json.dumps([lines[0], SECOND]))
    qas = [[{"id": str(n), "question": item["question"]}] for n, item in enumerate([FIRST, SECOND])]
    paragraphs = [
        {"context": item["context"], "qas": asked}
        for item, asked in zip((FIRST, SECOND), qas, strict=True)
    ]
    (tmp_path / "d.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    for given_as in (lines, [FIRST, SECOND], [FIRST, lines[1]], *map(str, tmp_path.iterdir())):
        assert read_asked(given_as) == ASKED, given_as
    (tmp_path / "e.json").write_text(json.dumps(FIRST))
    for given_as in (lines[0], FIRST, [FIRST], str(tmp_path / "e.json")):
        assert read_asked(given_as) == ASKED[:1]


@pytest.mark.parametrize(
    ("given_as", "words"),
    [
        ("Ada lives in London-Where?", ["question 1", "no ' - ' between", "My name is Ada"]),
        ([FIRST, "Where"], ["question 2 ('Where')"]),
        ([FIRST, {"context": "c"}], ["question 2", "got context; expected"]),
        ([{**FIRST, "id": "x"}], ["got context, question, id"]),
        ([{**FIRST, "question": "  "}], ["question is '  '; expected a text"]),
        ([{**FIRST, "context": 3}], ["context is 3"]),
        ([3], ["question 1: got 3"]),
        ([], ["no question in it"]),
    ],
)
def test_what_is_no_question_is_refused(given_as: Any, words: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        read_asked(given_as)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_faulty_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for content, fault in ((b"[{", "no JSON"), (b"\xff", "UTF-8"), (b"[]", "no question in it")):
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"a\.json: .*{fault}"):
            read_asked(str(path))
