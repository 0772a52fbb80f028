"""Rows of questions and windows are those of transformers."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from mindmlm.data.question_answering.batches import QuestionEvalBatches, RowForm, question_batch
from mindmlm.data.question_answering.examples import locate
from mindmlm.data.question_answering.prepare import FeatureSettings, QuestionJob
from mindmlm.data.question_answering.reader import read_paragraphs
from mindmlm.data.question_answering.windows import window_bounds
from mindmlm.tokenizers.bert import BertTokenizer

transformers = pytest.importorskip("transformers")

LENGTH, STRIDE = 384, 128


def expected_span(encoding, row: int, begin: int, stop: int) -> tuple[int, int]:
    """The columns of an answer, as `run_qa.py` states them.

    The last token of the context that begins at or before the answer, and the first that ends at or
    behind its end; [CLS] where the window does not hold all of it.
    """
    columns = [n for n, side in enumerate(encoding.sequence_ids(row)) if side == 1]
    if not columns:
        return 0, 0
    offsets = encoding["offset_mapping"][row]
    if offsets[columns[0]][0] > begin or offsets[columns[-1]][1] < stop:
        return 0, 0
    starts = [column for column in columns if offsets[column][0] <= begin]
    ends = [column for column in columns if offsets[column][1] >= stop]
    return starts[-1], ends[0]


@pytest.mark.parametrize(
    ("name", "vocabulary"),
    [
        ("squad-sample.json", "bert-base-uncased-vocab.txt"),
        ("cmrc2018-trial.json", "bert-base-chinese-vocab.txt"),
    ],
)
def test_real_files_become_the_rows_of_transformers(
    shared_data: Path, tmp_path: Path, name: str, vocabulary: str
) -> None:
    path, vocab_file = shared_data / name, shared_data / vocabulary
    ours = BertTokenizer.from_vocab_file(vocab_file)
    theirs = transformers.BertTokenizerFast(str(vocab_file), do_lower_case=True)
    store, _ = QuestionJob(path, ours, FeatureSettings(LENGTH, STRIDE, 64)).prepare(tmp_path)
    form = RowForm.of(ours, LENGTH)
    number = question = 0
    for paragraph in read_paragraphs(path):
        encoding = theirs(
            [item.text for item in paragraph.questions],
            [paragraph.context] * len(paragraph.questions),
            truncation="only_second",
            max_length=LENGTH,
            stride=STRIDE,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            padding="max_length",
        )
        rows = len(encoding["input_ids"])
        batch = question_batch(store, np.arange(number, number + rows), form)
        np.testing.assert_array_equal(batch.input_ids, encoding["input_ids"])
        np.testing.assert_array_equal(batch.input_mask, encoding["attention_mask"])
        np.testing.assert_array_equal(batch.segment_ids, encoding["token_type_ids"])
        for row, sample in enumerate(encoding["overflow_to_sample_mapping"]):
            item = paragraph.questions[sample]
            place = locate(paragraph.context, item.answers[0])
            assert place is not None
            found = (batch.start_positions[row], batch.end_positions[row])
            assert found == expected_span(encoding, row, *place), item.id
            assert store.question_id(store.feature(number + row).question) == item.id
        assert store.context_text(question) == paragraph.context
        assert store.answers(question) == [answer.text for answer in paragraph.questions[0].answers]
        number, question = number + rows, question + len(paragraph.questions)
    assert (number, question) == (store.num_samples, store.num_questions)


@pytest.mark.parametrize("seed", range(20))
def test_windows_are_those_of_tokenizers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    room = int(rng.integers(2, 12))
    tokens, overlap = int(rng.integers(0, 60)), int(rng.integers(0, room))
    other = Tokenizer(models.WordLevel({"w": 0}, "w"))
    other.pre_tokenizer = pre_tokenizers.Whitespace()
    other.enable_truncation(room, stride=overlap)
    encoding = other.encode("w " * tokens)
    theirs = [[a for a, _ in window.offsets] for window in (encoding, *encoding.overflowing)]
    ours = window_bounds(tokens, room, overlap)
    assert theirs == [[2 * n for n in range(first, stop)] for first, stop in ours]


def test_every_row_is_in_one_part_with_its_question(shared_data: Path, tmp_path: Path) -> None:
    tokenizer = BertTokenizer.from_vocab_file(shared_data / "bert-base-chinese-vocab.txt")
    job = QuestionJob(
        shared_data / "cmrc2018-trial.json", tokenizer, FeatureSettings(128, 32, 32), 60
    )
    store, _ = job.prepare(tmp_path)
    form = RowForm.of(tokenizer, 128)
    for parts in (1, 3, 7):
        seen: list[int] = []
        questions: list[set[int]] = []
        for part in range(parts):
            batches = QuestionEvalBatches(store, 8, form, part, parts)
            ids = [n for batch in batches for n in batch.feature_ids.tolist() if n >= 0]
            seen += ids
            questions.append({store.feature(n).question for n in ids})
        assert seen == list(range(store.num_samples))
        assert sum(map(len, questions)) == store.num_questions == 60
