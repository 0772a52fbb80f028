"""Question answering beside transformers: training steps, answers and scores on real files."""

import json
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from mindmlm import build
from mindmlm.config import load_config
from mindmlm.conversion.architectures import BERT_QA
from mindmlm.data.question_answering.answers import AnswerSettings
from mindmlm.data.question_answering.metrics import METRICS
from mindmlm.optim.moments import is_decayed
from mindmlm.parallel.agreement import Agreement
from mindmlm.parallel.place import Place
from mindmlm.testing.answer_rules import Window, plain_answers
from mindmlm.testing.questions import write_squad, write_vocabulary
from mindmlm.testing.small_run import SmallRun
from mindmlm.tokenizers.files import load_tokenizer

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

STEPS = 30
SMALL = (
    "context.device_target=CPU",
    "model.model_config.num_hidden_layers=2",
    "model.model_config.hidden_size=32",
    "model.model_config.intermediate_size=64",
    "model.model_config.hidden_dropout_prob=0",
    "model.model_config.attention_probs_dropout_prob=0",
    "model.model_config.initializer_range=0.1",
)
ROWS = (
    "train_dataset.max_seq_length=40",
    "train_dataset.max_question_length=12",
    "train_dataset.doc_stride=8",
)


def huggingface_model(config, rows: int, weights: dict[str, np.ndarray]):
    """transformers' model with these weights, and its parameters by our names."""
    settings = config.model.settings
    keys = (
        "hidden_size num_hidden_layers num_attention_heads intermediate_size "
        "max_position_embeddings hidden_dropout_prob attention_probs_dropout_prob"
    )
    theirs = transformers.BertForQuestionAnswering(
        transformers.BertConfig(
            vocab_size=rows, **{key: getattr(settings, key) for key in keys.split()}
        )
    )
    recipes = BERT_QA.table("huggingface").recipes(weights)
    state = {recipes[name].theirs: torch.tensor(value) for name, value in weights.items()}
    theirs.load_state_dict(state)
    parameters = dict(theirs.named_parameters())
    return theirs, {name: parameters[recipes[name].theirs] for name in weights}


@pytest.fixture(scope="module")
def small_questions(project_root, tmp_path_factory, graph_mode):
    """A function (options...) -> SmallRun on questions that were made for it."""
    folder = tmp_path_factory.mktemp("questions")
    flags = {
        "dataset_dir": str(write_squad(folder / "squad")),
        "vocab_file": str(write_vocabulary(folder / "vocab.txt")),
        "output_dir": str(folder / "out"),
    }

    def create(*options: str) -> SmallRun:
        path = project_root / "configs" / "qa" / "run_qa_bert_tiny.yaml"
        config = load_config(path, [*SMALL, *ROWS, *options], flags=flags).config
        return SmallRun.create(config, folder / "cache")

    return create


def torch_loss(theirs, micro_batches):
    """The loss of transformers on the rows of a global batch."""
    arrays = zip(*(micro.inputs for micro in micro_batches), strict=True)
    ids, mask, segments, starts, ends, _ = (
        torch.tensor(np.concatenate(parts), dtype=torch.long) for parts in arrays
    )
    return theirs(
        input_ids=ids,
        attention_mask=mask,
        token_type_ids=segments,
        start_positions=starts,
        end_positions=ends,
    ).loss


def test_thirty_steps_equal_huggingface_and_torch(small_questions):
    run = small_questions(
        "runner_config.batch_size=4",
        "runner_config.gradient_accumulation_steps=2",
        f"runner_config.max_steps={STEPS}",
        "lr_schedule.learning_rate=1e-3",
    )
    theirs, named = huggingface_model(run.config, run.tokenizer.vocab_size, run.weights())
    settings = run.config.optimizer
    groups = [
        {
            "params": [value for name, value in named.items() if is_decayed(name) is decayed],
            "weight_decay": settings.weight_decay if decayed else 0.0,
        }
        for decayed in (True, False)
    ]
    optimizer = torch.optim.AdamW(
        groups, lr=1.0, betas=(settings.beta1, settings.beta2), eps=settings.eps
    )
    schedule = build.build_schedule(run.config, STEPS)
    expected = []
    for step in range(STEPS):
        loss = torch_loss(theirs, run.micro_batches(step))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), run.config.runner_wrapper.max_grad_norm)
        for group in optimizer.param_groups:
            group["lr"] = schedule.at(step)
        optimizer.step()
        expected.append(loss.item())
    found = [step.loss for step in run.train(STEPS)]
    assert expected[-1] < 0.8 * expected[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_small_model_learns_to_answer(small_questions):
    run = small_questions(
        "model.model_config.initializer_range=0.02",
        "model.model_config.hidden_size=64",
        "runner_config.max_steps=60",
        "lr_schedule.learning_rate=2e-3",
    )
    evaluator = build.build_evaluator(
        run.config, run.model, run.corpus.evaluation, run.tokenizer, Agreement(Place.alone())
    )
    before = evaluator.run()
    run.train(60)
    after = evaluator.run()
    assert before.values["exact_match"] < 50.0
    assert after.values["exact_match"] >= 95.0 and after.values["f1"] >= 95.0
    assert after.values["loss"] < 0.5 * before.values["loss"]
    assert after.describe().endswith("(40 questions)")


@pytest.mark.parametrize(
    ("name", "vocabulary", "version", "count"),
    [
        ("squad-sample.json", "bert-base-uncased-vocab.txt", "squad", "null"),
        ("squad-sample.json", "bert-base-uncased-vocab.txt", "squad_v2", "100"),
        ("cmrc2018-trial.json", "bert-base-chinese-vocab.txt", "cmrc2018", "100"),
        pytest.param(
            *("cmrc2018-trial.json", "bert-base-chinese-vocab.txt", "cmrc2018", "null"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_answers_to_real_questions_equal_huggingface(
    project_root, shared_data: Path, tmp_path, graph_mode, name, vocabulary, version, count
):
    path = project_root / "configs" / "qa" / "run_qa_bert_base_uncased.yaml"
    flags = {
        "vocab_file": str(shared_data / vocabulary),
        "output_dir": str(tmp_path),
        "dataset_dir": str(shared_data / name),
        "eval_dataset_dir": str(shared_data / name),
    }
    options = [
        *SMALL,
        "run_mode=train",
        "model.model_config.vocab_size=null",
        "model.model_config.num_attention_heads=2",
        "model.model_config.initializer_range=0.3",
        "eval_dataset.batch_size=32",
        f"metric.version={version}",
        "metric.n_best_size=9",
        "metric.max_answer_length=12",
    ]
    options.append(f"eval_dataset.data_loader.num_samples={count}")
    config = load_config(path, options, flags=flags).config
    tokenizer = load_tokenizer(config.processor.tokenizer)
    data = build.corpus_settings(config, tmp_path)
    store, _ = build.task_of(config).prepare_evaluation(data, tokenizer, tmp_path / "c", False)
    model = build.build_model(config, tokenizer)
    weights = {value.name: value.asnumpy() for value in model.parameters()}
    rng = np.random.default_rng(5)
    weights["qa.weight"] = rng.normal(0, 2, weights["qa.weight"].shape).astype(np.float32)
    for value in model.parameters():
        value.set_data(ms.Tensor(weights[value.name]))
    result = build.build_evaluator(config, model, store, tokenizer, Agreement(Place.alone())).run()

    theirs, _ = huggingface_model(config, tokenizer.vocab_size, weights)
    settings = AnswerSettings(9, 12, version == "squad_v2", 0.0)
    expected = huggingface_predictions(theirs.eval(), store, config, tokenizer, settings)
    found = json.loads((tmp_path / "predictions.json").read_text(encoding="utf-8"))
    assert found == expected
    assert len(set(expected.values())) > 50
    metric = METRICS[version]
    answers = {store.question_id(n): store.answers(n) for n in range(store.num_questions)}
    for measure in ("exact_match", "f1"):
        judge = getattr(metric, measure)
        mean = 100.0 * np.mean([judge(answers[key], text) for key, text in expected.items()])
        assert result.values[measure] == pytest.approx(mean, abs=1e-9)


def huggingface_predictions(theirs, store, config, tokenizer, settings) -> dict[str, str]:
    """What transformers' model and rules answer to all questions of a store."""
    batches = build.task_of(config).evaluation_batches(store, tokenizer, 32)
    windows: dict[int, list[Window]] = {}
    for number in range(len(batches)):
        batch = batches.batch(number)
        arrays = (batch.input_ids, batch.input_mask, batch.segment_ids)
        with torch.no_grad():
            ids, mask, segments = (torch.tensor(array, dtype=torch.long) for array in arrays)
            output = theirs(input_ids=ids, attention_mask=mask, token_type_ids=segments)
        starts, ends = output.start_logits.numpy(), output.end_logits.numpy()
        for row, feature_id in enumerate(batch.feature_ids.tolist()):
            if feature_id < 0:
                continue
            feature = store.feature(feature_id)
            context = store.context(feature.question)
            part = slice(feature.first, feature.stop)
            column = 2 + len(store.question_tokens(feature.question))
            window = Window(
                starts[row], ends[row], column, context.begins[part], context.ends[part]
            )
            windows.setdefault(feature.question, []).append(window)
    return {
        store.question_id(n): plain_answers(found, settings, store.context_text(n))[0]
        for n, found in windows.items()
    }
