"""Answers to questions of users: places in their own text, the same as an evaluation finds."""

import json
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from mindmlm import build
from mindmlm.config import load_config
from mindmlm.data.question_answering.answers import AnswerSettings
from mindmlm.data.question_answering.prepare import FeatureSettings
from mindmlm.errors import DataError
from mindmlm.inference.question_answering import QuestionAnswering
from mindmlm.models.bert.question_answering import BertForQuestionAnswering
from mindmlm.parallel.agreement import Agreement
from mindmlm.parallel.place import Place
from mindmlm.testing.questions import FOODS, NAMES, VOCABULARY, write_squad, write_vocabulary
from mindmlm.tokenizers.bert import BertTokenizer

TOKENIZER = BertTokenizer(VOCABULARY)
FEATURES = FeatureSettings(max_seq_length=24, doc_stride=4, max_question_length=6)
QUESTION = "Where do I live?"
OPTIONS = (
    "context.device_target=CPU",
    "run_mode=train",
    "model.model_config.num_hidden_layers=1",
    "model.model_config.hidden_size=24",
    "model.model_config.intermediate_size=48",
    "model.model_config.initializer_range=0.5",
    "train_dataset.max_seq_length=24",
    "train_dataset.max_question_length=6",
    "train_dataset.doc_stride=4",
)


@pytest.fixture(scope="module")
def load(project_root, tmp_path_factory):
    """A function (options...) -> configuration of a run on questions that were made for it."""
    folder = tmp_path_factory.mktemp("asked")
    flags = {
        "dataset_dir": str(write_squad(folder / "squad", paragraphs=6)),
        "vocab_file": str(write_vocabulary(folder / "vocab.txt")),
        "output_dir": str(folder / "out"),
    }
    path = project_root / "configs" / "qa" / "run_qa_bert_tiny.yaml"
    return lambda *options: load_config(path, [*OPTIONS, *options], flags=flags).config


@pytest.fixture(scope="module")
def model(load, graph_mode):
    """A model with random weights that has opinions."""
    found = build.build_model(load(), TOKENIZER)
    rng = np.random.default_rng(3)
    for value in found.parameters():
        if value.name.startswith("qa."):
            value.set_data(ms.Tensor(rng.normal(0, 3, value.shape).astype(np.float32)))
    return found


def answering(model, features=FEATURES, top_k=1, batch_size=4, **settings) -> QuestionAnswering:
    assert isinstance(model.cell, BertForQuestionAnswering)
    answers = AnswerSettings(**settings)
    return QuestionAnswering(model.cell, TOKENIZER, features, answers, batch_size, top_k)


def long_text(seed: int, words: int) -> str:
    rng = np.random.default_rng(seed)
    return "  ".join(str(word) for word in rng.choice([*NAMES, *FOODS, "Émma!", "-"], words))


def test_answers_are_places_in_the_text_of_the_user(model):
    texts = [long_text(seed, 60) for seed in range(3)]
    results = answering(model, top_k=4)([f"{text} - {QUESTION}" for text in texts])
    assert [len(answers) for answers in results] == [4, 4, 4]
    for text, answers in zip(texts, results, strict=True):
        scores = [answer["score"] for answer in answers]
        assert scores == sorted(scores, reverse=True) and 0.0 < sum(scores) <= 1.0 + 1e-6
        assert len({(answer["start"], answer["end"]) for answer in answers}) == 4
        for answer in answers:
            assert answer["text"] == text[answer["start"] : answer["end"]] != ""


def test_one_question_has_a_list_and_several_a_list_of_lists(model):
    asked = {"context": long_text(0, 9), "question": QUESTION}
    ask = answering(model)
    (answer,) = ask([asked])
    assert set(answer) == {"text", "score", "start", "end"}
    assert ask([asked, f"{long_text(1, 9)} - {QUESTION}"])[0] == [answer]


def test_batches_change_no_answer(model):
    asked = [f"{long_text(seed, 5 + 11 * seed)} - {QUESTION}" for seed in range(5)]
    together = answering(model, batch_size=4)(asked)
    # A batch of one row takes another matrix product, which rounds in another way.
    for alone, answers in zip(asked, together, strict=True):
        (found,) = answering(model, batch_size=3)([alone])
        assert (found["start"], found["end"]) == (answers[0]["start"], answers[0]["end"])
        assert found["score"] == pytest.approx(answers[0]["score"], rel=1e-3)


def test_an_answer_far_behind_is_found(model):
    """The windows over a long text are all looked at: the best answer of each alone comes first."""
    words = long_text(7, 90)
    best = answering(model, top_k=1)([f"{words} - {QUESTION}"])[0]
    wider = answering(model, FeatureSettings(24, 0, 6))([f"{words} - {QUESTION}"])[0]
    assert best["end"] <= len(words) and wider["end"] <= len(words)
    starts = [
        answering(model)([f"{long_text(seed, 90)} - {QUESTION}"])[0]["start"] for seed in range(8)
    ]
    first_window = 15 * max(len(word) for word in NAMES)
    assert max(starts) > first_window


def test_settings_of_the_answers(model):
    asked = [f"{long_text(2, 40)} - {QUESTION}"]
    long, short = answering(model)(asked)[0], answering(model, max_answer_length=1)(asked)[0]
    assert " " not in short["text"] and short["start"] != short["end"]
    never = answering(model, allow_no_answer=True, null_score_diff_threshold=1e9)(asked)[0]
    always = answering(model, allow_no_answer=True, null_score_diff_threshold=-1e9)(asked)[0]
    assert never["text"] == long["text"]
    assert (always["text"], always["start"], always["end"]) == ("", 0, 0)
    few = answering(model, top_k=9, n_best_size=2)(asked)
    assert 1 <= len(few) <= 2


def test_a_text_without_a_question_is_refused(model):
    with pytest.raises(DataError, match=r"question 2 .* no ' - '"):
        answering(model)([f"a - {QUESTION}", "Where do I live?"])


def evaluated(load, model, *options):
    """Predictions, measures and rows of an evaluation under these options."""
    config = load(*options)
    cache = Path(config.output_dir) / "cache"
    data = build.corpus_settings(config, cache)
    store, _ = build.task_of(config).prepare_evaluation(data, TOKENIZER, cache, False)
    evaluator = build.build_evaluator(config, model, store, TOKENIZER, Agreement(Place.alone()))
    values = evaluator.run().values
    predictions = (cache.parent / "predictions.json").read_text(encoding="utf-8")
    return json.loads(predictions), values, store.num_samples


def test_keys_that_change_the_rows_and_the_answers(load, model):
    predictions, values, rows = evaluated(load, model)
    assert evaluated(load, model, "train_dataset.doc_stride=14")[2] > rows
    assert evaluated(load, model, "train_dataset.max_question_length=1")[2] < rows
    assert all(predictions.values())
    shorter, _, _ = evaluated(load, model, "metric.max_answer_length=1")
    assert shorter != predictions and not any(" " in text for text in shorter.values())
    assert evaluated(load, model, "metric.n_best_size=1")[0] != predictions
    never = ("metric.version=squad_v2", "metric.null_score_diff_threshold=-1e9")
    nothing, without, _ = evaluated(load, model, *never)
    assert not any(nothing.values()) and without["f1"] == 0.0
    characters = evaluated(load, model, "metric.version=cmrc2018")
    assert characters[0] == predictions and characters[1]["f1"] != values["f1"]


def test_a_predictor_answers_as_its_configuration_says(load, model):
    config = load("metric.top_k=3", "runner_config.batch_size=2", "metric.max_answer_length=2")
    task = build.task_of(config)
    ask = task.predictor(model, TOKENIZER, Agreement(Place.alone()))
    text = f"{long_text(4, 30)} - {QUESTION}"
    found = ask(task.inputs(text))
    assert len(found) == 3 and found == ask([text])
    assert all(len(answer["text"].split()) <= 2 for answer in found)


def test_answers_of_users_are_those_of_an_evaluation(load, model):
    config = load()
    predictions, _, _ = evaluated(load, model)
    path = Path(config.train_dataset.data_loader.dataset_dir) / "dev-v1.1.json"
    task = build.task_of(config)
    ask = task.predictor(model, TOKENIZER, Agreement(Place.alone()))
    answers = ask(task.inputs(str(path)))
    assert [found[0]["text"] for found in answers] == list(predictions.values())
