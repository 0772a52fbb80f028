"""Python objects as data sets."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindmlm.data.report import ReadReport
from mindmlm.data.sources.base import read_documents
from mindmlm.data.sources.files import FileSource
from mindmlm.errors import ConfigError, DataError
from mindmlm.trainer.datasets import QUESTIONS, TEXTS, write_dataset

QUESTION = {
    "id": "q1",
    "title": "Ada",
    "context": "Ada lives in London - in a house.",
    "question": "Where?",
    "answers": {"text": ["London"], "answer_start": [13]},
}


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=30), min_size=1))
def test_texts_come_back_line_by_line(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("texts")
    path = write_dataset((text for text in texts), TEXTS, folder)
    documents = list(read_documents(FileSource.of_paths(path), ReadReport()))
    lines = [
        tuple(line.removesuffix("\r") for line in text.split("\n") if line and not line.isspace())
        for text in texts
    ]
    assert [document.lines for document in documents] == [found for found in lines if found]
    assert [entry.name for entry in folder.iterdir()] == [path.name]


def test_the_name_is_that_of_the_contents(tmp_path):
    first = write_dataset(["a", "b"], TEXTS, tmp_path)
    assert first == write_dataset(({"text": text} for text in "ab"), TEXTS, tmp_path)
    assert first != write_dataset(["ab"], TEXTS, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_questions_in_the_layout_of_squad(tmp_path):
    listed = {**QUESTION, "answers": [{"text": "London", "answer_start": 13}]}
    path = write_dataset([QUESTION, listed | {"id": 2}], QUESTIONS, tmp_path)
    first, second = json.loads(path.read_text(encoding="utf-8"))["data"]
    assert first == {
        "title": "Ada",
        "paragraphs": [
            {
                "context": QUESTION["context"],
                "qas": [
                    {
                        "id": "q1",
                        "question": "Where?",
                        "answers": [{"text": "London", "answer_start": 13}],
                    }
                ],
            }
        ],
    }
    assert second["paragraphs"][0]["qas"][0]["answers"] == listed["answers"]
    whole = json.loads(path.read_text(encoding="utf-8"))
    assert write_dataset(whole, QUESTIONS, tmp_path) == path
    assert write_dataset(whole["data"], QUESTIONS, tmp_path) == path


@pytest.mark.parametrize(
    ("items", "kind", "message"),
    [
        (["a", 3], TEXTS, "item 2 of the data set is 3; expected a text"),
        ([{"txt": "a"}], TEXTS, "item 1 of the data set is {'txt': 'a'}"),
        ([], TEXTS, "the data set is empty"),
        ([], QUESTIONS, "the data set is empty"),
        (["a - b"], QUESTIONS, "item 1 of the data set is 'a - b'; expected a mapping with"),
        ([QUESTION | {"answers": {"text": ["a"]}}], QUESTIONS, "1 answers and 0 places"),
        ([QUESTION | {"context": b"a"}], QUESTIONS, "no JSON"),
        (3, TEXTS, "a path or a sequence of texts, got 3"),
    ],
)
def test_faulty_data_leave_no_file(tmp_path, items, kind, message):
    with pytest.raises((DataError, ConfigError), match=message):
        write_dataset(items, kind, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match="choose another output_dir"):
        write_dataset(["a"], TEXTS, tmp_path / "given")


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "given").write_text("")
    with pytest.raises(ConfigError, match="choose another output_dir"):
        write_dataset(["a"], TEXTS, tmp_path / "given")
