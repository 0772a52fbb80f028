"""`Trainer` does what the command line does, and takes objects besides."""

import contextlib
import io
import json
import math
import signal
import threading

import pytest

from mindmlm import Trainer, TrainingArguments, pipeline
from mindmlm.errors import ConfigError

TIMINGS = ("tokens_per_second", "samples_per_second")
TEXTS = ["今天[MASK]气", "[MASK]天是[MASK]"]
NAME = {"task": "fill_mask", "model": "bert_tiny_zh"}


def metrics(folder):
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        {key: value for key, value in json.loads(line).items() if key not in TIMINGS}
        for line in lines
    ]


def command_line(*words):
    """The command line in this process; what it prints on standard output."""
    from mindmlm.cli.run import main

    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        assert main([str(word) for word in words]) == 0
    return json.loads(out.getvalue() or "null")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, files, small):
    """(trainer, output folder, what `train` returned); read only."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    trainer = Trainer(
        small(folder),
        **NAME,
        train_dataset=files.text,
        eval_dataset=str(files.held_out),
        tokenizer=files.vocabulary,
    )
    return trainer, folder, trainer.train()


@pytest.fixture(scope="module")
def yaml_file(trained, tmp_path_factory):
    return trained[0].save_config_to_yaml(tmp_path_factory.mktemp("yaml") / "run.yaml")


def test_the_command_line_gives_the_same_numbers(trained, yaml_file, tmp_path):
    _, folder, output = trained
    command_line(f"--config={yaml_file}", f"--output_dir={tmp_path}")
    assert metrics(tmp_path) == metrics(folder)
    losses = [line["loss"] for line in metrics(folder) if "loss" in line]
    assert len(losses) == output.global_step == 3
    assert output.training_loss == losses[-1]
    assert not output.interrupted
    assert output.checkpoint == folder / "checkpoint" / "step_00000003"


def test_evaluation_is_the_last_one_of_training_and_that_of_the_command_line(trained, yaml_file):
    trainer, folder, output = trained
    before, lines = trainer.config, len(metrics(folder))
    result = trainer.evaluate()
    assert result == trainer.evaluate(eval_checkpoint=True)
    assert result == {"step": 3, **output.metrics}
    words = ("--run_mode=eval", "--load_checkpoint=latest")
    assert command_line(f"--config={yaml_file}", *words) == result
    assert trainer.config == before
    assert len(metrics(folder)) == lines + 3


def test_a_checkpoint_brings_its_network_and_vocabulary(trained, files, small, tmp_path):
    _, folder, output = trained
    # The hidden size is that of bert_tiny_zh, and no vocabulary is named.
    other = Trainer(small(tmp_path, model={}), **NAME, eval_dataset=files.held_out)
    assert other.evaluate(folder) == {"step": 3, **output.metrics}
    assert other.evaluate(output.checkpoint) == {"step": 3, **output.metrics}


def test_prediction_and_pipeline_are_those_of_the_command_line(trained, yaml_file, tmp_path):
    trainer, folder, _ = trained
    answers = trainer.predict(predict_checkpoint=True, input_data=TEXTS)
    assert [answer["text"] for answer in answers] == TEXTS
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(TEXTS), encoding="utf-8")
    words = ("--run_mode=predict", "--load_checkpoint=latest", f"--predict_data={file}")
    assert command_line(f"--config={yaml_file}", *words) == answers
    assert trainer.predict(input_data=file) == answers
    fill = pipeline("fill_mask", folder)
    assert fill(text for text in TEXTS) == answers
    assert fill(TEXTS[0]) == trainer.predict(input_data=TEXTS[0], batch_size=1)
    with pytest.raises(ConfigError, match=r"write pipeline\('fill_mask'"):
        pipeline("text_generation", folder)


def test_loaders_give_what_training_and_evaluation_take(trained):
    trainer, folder, _ = trained
    training, evaluation = trainer.get_train_dataloader(), trainer.get_eval_dataloader()
    batches = list(training)
    assert len(batches) == len(training) == 3
    for batch in batches:
        assert batch["input_ids"].shape == (4, 32)
        assert batch["masked_lm_weights"].any()
    assert (next(iter(training))["sample_ids"] == batches[0]["sample_ids"]).all()
    rows = sum(len(batch["input_ids"]) for batch in evaluation)
    assert rows >= 12
    assert trainer.get_last_checkpoint() == folder / "checkpoint" / "step_00000003"


def test_a_second_training_needs_another_folder_or_the_checkpoint(trained, small, tmp_path):
    trainer, folder, _ = trained
    with pytest.raises(ConfigError, match="holds the checkpoints of an earlier run"):
        trainer.train(False)
    again = trainer.train(True)
    assert (again.global_step, again.training_loss, again.metrics) == (3, None, {})
    assert Trainer(small(tmp_path), **NAME).get_last_checkpoint() is None
    assert (folder / "checkpoint" / "latest").read_text() == "step_00000003\n"


def interrupting(step):
    from mindmlm.training.loop import Callback

    class Interrupt(Callback):
        """Presses Ctrl-C in the step before the last one that is done."""

        def on_step_end(self, run, finished):
            if run.state.step == step:
                signal.raise_signal(signal.SIGINT)

    return Interrupt()


def test_objects_interrupted_and_resumed_are_the_same_run(trained, files, small, tmp_path):
    from mindmlm.tokenizers.bert import BertTokenizer

    lines = files.text.read_text(encoding="utf-8").splitlines()
    arguments = {
        "train_dataset": (line for line in lines),
        "eval_dataset": [
            {"text": line} for line in files.held_out.read_text(encoding="utf-8").splitlines()
        ],
        "tokenizer": BertTokenizer.from_vocab_file(files.vocabulary, True),
        "compute_metrics": lambda result: {"bits": result.values["loss"] / math.log(2)},
    }
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    trainer = Trainer(small(tmp_path), **NAME, **arguments, callbacks=[interrupting(1)])
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert trainer.get_last_checkpoint() == tmp_path / "checkpoint" / "step_00000002"
    output = trainer.train(True)
    assert output.metrics["eval_bits"] == pytest.approx(output.metrics["eval_loss"] / math.log(2))
    assert trainer.evaluate()["eval_bits"] == output.metrics["eval_bits"]
    with_bits = metrics(tmp_path)[:-1]
    for line in with_bits:
        line.pop("eval_bits", None)
    # The first run of the module, from files; evaluations that others have added come after it.
    assert with_bits == metrics(trained[1])[: len(with_bits)]


def test_a_network_is_trained_in_place_in_a_thread(trained, files, small, tmp_path):
    from mindmlm.optim.adamw import AdamW
    from mindmlm.optim.moments import MomentSettings

    made = []

    def halved(parameters):
        made.append(AdamW(parameters, MomentSettings(weight_decay=0.5)))
        return made[-1]

    trainer, _, output = trained
    network = trainer.build_network(True)
    own = Trainer(
        small(tmp_path),
        model=network,
        tokenizer=files.vocabulary,
        train_dataset=files.text,
        eval_dataset=files.held_out,
        optimizers=halved,
    )
    assert own.config.trainer.type == "MaskedLanguageModelingTrainer"
    before = own.evaluate()
    assert {**before, "step": 3} == trainer.evaluate()
    own._callbacks = (stopping(own),)
    results = []
    thread = threading.Thread(target=lambda: results.append(own.train()))
    thread.start()
    thread.join(300)
    (result,) = results
    assert result.interrupted
    assert result.global_step == 2
    assert len(made) == 1
    after = own.evaluate()
    assert after["eval_loss"] != before["eval_loss"]
    assert after["eval_loss"] == own.evaluate(True)["eval_loss"]
    answers = own.predict(input_data=TEXTS)
    assert answers == pipeline("fill_mask", network, files.vocabulary)(TEXTS)
    assert answers == pipeline("fill_mask", tmp_path)(TEXTS)
    assert output.metrics["eval_loss"] == before["eval_loss"]


def stopping(trainer):
    from mindmlm.training.loop import Callback

    class StopAfterTheFirst(Callback):
        def on_step_end(self, run, finished):
            trainer.stop()

    return StopAfterTheFirst()


def test_recomputing_reaches_the_layers_and_changes_no_number(files, small, tmp_path):
    from mindmlm.training.loop import Callback

    class Parts(Callback):
        def on_train_begin(self, run):
            self.parts = len(run.train_step.gradients._parts)

    shape = {**small(tmp_path)["model"]["model_config"], "num_hidden_layers": 2}
    outputs, parts = [], []
    for recompute in (False, True):
        folder, seen = tmp_path / str(recompute), Parts()
        args = small(folder, model={"model_config": shape}, runner_config={"max_steps": 1})
        trainer = Trainer(
            args, **NAME, train_dataset=files.text, tokenizer=files.vocabulary, callbacks=[seen]
        )
        trainer.set_recompute_config(recompute=recompute)
        outputs.append(trainer.train().training_loss)
        parts.append(seen.parts)
    assert parts == [1, 2]
    assert outputs[0] == pytest.approx(outputs[1], rel=1e-6)


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ({"callbacks": [print]}, "builtin_function_or_method is not derived from"),
        ({"optimizers": lambda parameters: parameters}, "expected an mindmlm.optim.adamw.AdamW"),
        ({"compute_metrics": lambda result: 3}, "gave int, expected numbers by name"),
        ({"compute_metrics": lambda result: {"a": "b"}}, "a is 'b', expected a number"),
    ],
)
def test_objects_that_are_none(files, small, tmp_path, objects, message):
    args = small(tmp_path, context={"device_target": "CPU", "mode": 1})
    trainer = Trainer(args, **NAME, train_dataset=files.text, tokenizer=files.vocabulary, **objects)
    with pytest.raises(ConfigError, match=message):
        trainer.train()
    assert trainer.get_last_checkpoint() is None


def test_networks_that_do_not_fit(trained, files, small, tmp_path):
    import mindspore as ms
    from mindspore import nn

    from mindmlm.config.schema import BertModelConfig
    from mindmlm.models.bert.heads import BertForMaskedLM

    with pytest.raises(ConfigError, match="Dense is no network that can be trained"):
        Trainer(small(tmp_path), model=nn.Dense(2, 2))
    data = {"train_dataset": files.text, "tokenizer": files.vocabulary}
    config = BertModelConfig(type="BertConfig", **small(tmp_path)["model"]["model_config"])
    refused = {300: "its weights are all zero", 20: "its word embedding has 20 rows"}
    for rows, message in refused.items():
        with pytest.raises(ConfigError, match=message):
            Trainer(small(tmp_path), model=BertForMaskedLM(config, rows), **data).train()
    network = BertForMaskedLM(config, 300)
    for value in network.get_parameters():
        value.set_data(ms.Tensor(value.asnumpy() + 0.1))
    network.config = config.model_copy(update={"intermediate_size": 128})
    with pytest.raises(ConfigError, match="in the network and"):
        Trainer(small(tmp_path), model=network, **data).train()


def test_a_bar_in_a_notebook(monkeypatch):
    import sys
    import types

    from mindmlm.training.callbacks.progress import ProgressCallback

    run = types.SimpleNamespace(total_steps=3, state=types.SimpleNamespace(step=0))
    for module, shows in ((None, False), (types.ModuleType("ipykernel"), True)):
        monkeypatch.setitem(sys.modules, "ipykernel", module) if module else None
        callback = ProgressCallback(10)
        callback.on_train_begin(run)
        assert (callback.bar is not None) == shows
        callback.on_train_end(run)


def test_training_arguments_reach_the_run(files, small, tmp_path):
    arguments = TrainingArguments(
        output_dir=str(tmp_path), max_steps=2, batch_size=2, save_steps=1, save_total_limit=1
    )
    shape = small(tmp_path)["model"]["model_config"]
    trainer = Trainer(
        arguments,
        task="fill_mask",
        model=shape,
        train_dataset=files.text,
        tokenizer=files.vocabulary,
    )
    assert trainer.train().global_step == 2
    assert [path.name for path in (tmp_path / "checkpoint").glob("step_*")] == ["step_00000002"]
    assert {line["global_batch_size"] for line in metrics(tmp_path) if "loss" in line} == {2}
