"""`pipeline` on checkpoints of every kind gives the answers of `Trainer.predict`."""

import json
import random

import pytest

from mindmlm import Trainer, pipeline
from mindmlm.errors import CheckpointError, ConfigError, DataError
from mindmlm.testing import tiny_bert, tiny_gpt2

BLANKS = ["word3 [MASK] word5", "[MASK]", "word1 [MASK] [MASK] word7 word8"]
PROMPTS = ["the and", "an on in", "a"]
QUESTIONS = [
    "word1 word2 - word3 word4 - word5 word6",
    {"context": "word9 word8 word7 word6 word5", "question": "word4 word3"},
]
# Rows that the tiny models have positions for.
SHORT = {
    "train_dataset": {"max_seq_length": 16, "max_question_length": 6, "doc_stride": 2},
    "context": {"device_target": "CPU"},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Task -> a folder of Hugging Face's with a random model; MINDMLM_HOME is above them."""
    home = tmp_path_factory.mktemp("models")
    heads = {"fill_mask": "BertForMaskedLM", "question_answering": "BertForQuestionAnswering"}
    folders = {
        task: tiny_bert.save_huggingface(tiny_bert.huggingface_bert(head), home / task)
        for task, head in heads.items()
    }
    folders["text_generation"] = tiny_gpt2.save_huggingface(
        tiny_gpt2.huggingface_gpt2(), home / "text_generation"
    )
    return folders


def trainer(task, folder, tmp_path):
    names = {"fill_mask": "bert_tiny_en", "text_generation": "gpt2_tiny"}
    args = {**SHORT, "output_dir": str(tmp_path), "load_checkpoint": str(folder)}
    return Trainer(args, task=task, model=names.get(task, "qa_bert_tiny"))


@pytest.mark.parametrize(
    ("task", "inputs", "settings"),
    [
        ("fill_mask", BLANKS, {}),
        ("text_generation", PROMPTS, {"max_new_tokens": 4}),
        ("text_generation", PROMPTS, {"max_new_tokens": 3, "do_sample": True, "seed": 3}),
    ],
)
def test_the_answers_of_the_trainer_in_batches_of_any_size(
    models, tmp_path, task, inputs, settings
):
    expected = trainer(task, models[task], tmp_path).predict(input_data=inputs, **settings)
    assert len(expected) == len(inputs)
    for batch_size in (1, 2, 8):
        ask = pipeline(task, str(models[task]), batch_size=batch_size, **settings)
        found = ask(iter(inputs))
        assert rounded(found) == rounded(expected)
    one = random.Random(len(settings)).randrange(1)
    assert rounded(ask(inputs[one])) == rounded(expected[one : one + 1])
    assert repr(ask) == f"Pipeline('{task}')"
    assert list(tmp_path.iterdir()) == []


def rounded(value):
    """The value with all floats rounded: another batch size adds up in another order."""
    return json.loads(json.dumps(value), parse_float=lambda text: round(float(text), 5))


def test_questions(models, tmp_path):
    folder = models["question_answering"]
    asked = trainer("question_answering", folder, tmp_path)
    expected = asked.predict(input_data=QUESTIONS, top_k=2)
    assert [len(answers) for answers in expected] == [2, 2]
    contexts = ["word1 word2 - word3 word4", QUESTIONS[1]["context"]]
    for context, answers in zip(contexts, expected, strict=True):
        for answer in answers:
            assert context[answer["start"] : answer["end"]] == answer["text"]
    ask = pipeline("question_answering", folder, top_k=2, **SHORT["train_dataset"])
    assert rounded(ask(QUESTIONS)) == rounded(expected)
    assert rounded(ask(QUESTIONS[0])) == rounded(expected[0])


def test_a_name(models, monkeypatch):
    home = models["fill_mask"].parent
    monkeypatch.setenv("MINDMLM_HOME", str(home))
    by_path, by_name = (pipeline("fill_mask", model) for model in (home / "fill_mask", "fill_mask"))
    assert by_name(BLANKS) == by_path(BLANKS)
    with pytest.raises(CheckpointError, match="no checkpoint at bert_base_uncased"):
        pipeline("fill_mask")


@pytest.mark.parametrize(
    ("words", "settings", "message"),
    [
        (["fill-mask", "fill_mask"], {}, "did you mean fill_mask"),
        (["fill_mask", "text_generation"], {}, "holds a GPT2LMHeadModel"),
        (["fill_mask", "nowhere"], {}, "no checkpoint at .*nowhere"),
        (["fill_mask", "fill_mask"], {"top_k": 3}, "task fill_mask has no setting top_k"),
        (["text_generation", "text_generation"], {"max_tokens": 3}, "did you mean max_new_tokens"),
        (["text_generation", "text_generation"], {"temperature": -1.0}, "temperature"),
        (["fill_mask", "fill_mask", "nowhere.txt"], {}, "nowhere.txt"),
        (["fill_mask", "fill_mask"], {"batch_size": 0}, r"pipeline\(batch_size\)"),
    ],
)
def test_what_is_refused(models, words, settings, message):
    task, name, *tokenizer = words
    folder = models["fill_mask"].parent / name
    with pytest.raises((ConfigError, CheckpointError, DataError), match=message):
        pipeline(task, folder, *tokenizer, **settings)


def test_a_model_that_is_none():
    with pytest.raises(ConfigError, match="model is a int; expected the path or name"):
        pipeline("fill_mask", 3)
