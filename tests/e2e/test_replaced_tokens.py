"""ELECTRA through the command line: train, resume, judge, ask, hand the discriminator on."""

import json
import math
import re
import shlex
import shutil

import numpy as np
import pytest

from mindmlm.data.samples import chinese_sample_path
from mindmlm.testing.command import SMALL_OPTIONS


@pytest.fixture(scope="module")
def words(command):
    """A function of the output folder: arguments of a run of 12 steps."""

    def arguments(folder, *more):
        config = command.project_root / "configs" / "electra" / "run_electra_tiny.yaml"
        first, *others = command.words(folder)
        assert first.startswith("--config=")
        return [f"--config={config}", *others, "--model.model_config.embedding_size=16", *more]

    return arguments


@pytest.fixture(scope="module")
def run(command, words, tmp_path_factory):
    """The output folder of a finished run; read only."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    done = command.here(*words(folder))
    assert done.code == 0, done.stderr
    return folder


def test_metrics_have_both_losses(run, metrics):
    lines = metrics(run)
    steps = [line for line in lines if "loss" in line]
    assert len(steps) == 12
    for line in steps:
        assert line["loss"] == pytest.approx(
            line["generator_loss"] + 50.0 * line["discriminator_loss"], rel=1e-6
        )
    judged = [line for line in lines if "eval_loss" in line]
    assert [line["step"] for line in judged] == [0, 6, 12]
    last = judged[-1]
    assert last["eval_perplexity"] == pytest.approx(math.exp(last["eval_generator_loss"]))
    for name in ("masked_accuracy", "replaced_accuracy", "replaced_precision", "replaced_recall"):
        assert 0.0 <= last[f"eval_{name}"] <= 1.0


def test_each_token_has_a_probability_that_transformers_agrees_with(command, words, run, tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from mindmlm.cli.convert_checkpoint import main

    text = command.text.read_text(encoding="utf-8").splitlines()[0]
    more = ["--run_mode=predict", f"--load_checkpoint={run}", f"--predict_data={text}"]
    done = command.here(*words(tmp_path / "none", *more))
    assert done.code == 0, done.stderr
    (answer,) = json.loads(done.stdout)
    assert answer["text"] == text and len(answer["tokens"]) > 5
    for token in answer["tokens"]:
        assert text[token["start"] : token["end"]] == token["token"].removeprefix("##")
    exported = tmp_path / "exported"
    assert main(["--input", str(run), "--output", str(exported), "--to", "huggingface"]) == 0
    model = transformers.ElectraForPreTraining.from_pretrained(exported).eval()
    inputs = transformers.AutoTokenizer.from_pretrained(exported)(text, return_tensors="pt")
    with torch.no_grad():
        expected = torch.sigmoid(model(**inputs).logits)[0, 1:-1].numpy()
    found = np.array([token["replaced"] for token in answer["tokens"]])
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [("   ", "has no token in it"), ("fox " * 600, "reads at most 512")],
)
def test_texts_that_cannot_be_read(command, words, run, text, message):
    more = ["--run_mode=predict", f"--load_checkpoint={run}", f"--predict_data={text}"]
    done = command.here(*words(run.parent / "none", *more))
    assert done.code == 2
    assert message in done.stderr


@pytest.mark.slow
def test_a_resumed_run_is_the_unbroken_one(command, words, run, metrics, tensor_hashes, tmp_path):
    half = tmp_path / "half"
    shutil.copytree(run, half)
    shutil.rmtree(half / "checkpoint" / "step_00000012")
    (half / "checkpoint" / "latest").unlink()
    done = command.here(*words(half, "--load_checkpoint=latest"))
    assert done.code == 0, done.stderr
    assert "resumed at step 8" in done.stderr
    assert metrics(half) == metrics(run)
    assert tensor_hashes(half) == tensor_hashes(run)
    more = ["--run_mode=eval", f"--load_checkpoint={run}"]
    asked = [word for word in words(tmp_path / "judged", *more) if "--dataset_dir" not in word]
    # The held-out part of the training text, as in training.
    held_out = f"--train_dataset.data_loader.dataset_dir={command.text}"
    judged = command.here(*asked, held_out)
    assert judged.code == 0, judged.stderr
    assert json.loads(judged.stdout) == pytest.approx(metrics(run)[-1])


def documented(page) -> list[list[str]]:
    """The words of the commands of docs/electra.md, without the interpreter."""
    blocks = re.findall(r"^```bash\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines()]


@pytest.mark.slow
def test_the_documented_commands(command, tmp_path, monkeypatch):
    from mindmlm.cli.convert_checkpoint import main
    from mindmlm.pipelines import pipeline

    pytest.importorskip("transformers")
    (tmp_path / "configs").symlink_to(command.project_root / "configs")
    for name in ("news.txt", "other.txt"):
        shutil.copy(command.text, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    page = (command.project_root / "docs" / "electra.md").read_text(encoding="utf-8")
    small = [f"--{option}" for option in SMALL_OPTIONS]
    said = []
    for program, *words in documented(page):
        if program == "tools/convert_checkpoint.py":
            assert main(words) == 0
            continue
        trains = not any(word in ("eval", "predict") for word in words)
        done = command.here(*words, *small, *(["--max_steps=2"] if trains else []))
        assert done.code == 0, done.stderr
        said.append(done)
    _, judged, asked, from_discriminator, from_pair = said
    assert "eval_replaced_accuracy" in json.loads(judged.stdout)
    assert [token["token"] for token in json.loads(asked.stdout)[0]["tokens"]][:2] == ["今", "天"]
    # The generator is new where only the discriminator was given.
    assert "fresh: generator.layers.0.attention.query.weight" in from_discriminator.stderr
    assert "fresh: discriminator" not in from_discriminator.stderr
    assert "fresh" not in from_pair.stderr
    finder = pipeline("replaced_tokens", "output/electra")
    assert finder("今天天气很好") == json.loads(asked.stdout)
    for name in ("my-electra", "my-generator"):
        assert (tmp_path / name / "model.safetensors").is_file()


@pytest.mark.slow
def test_a_tiny_run_learns_from_the_sample(command, metrics, tmp_path):
    config = command.project_root / "configs" / "electra" / "run_electra_tiny.yaml"
    words = [
        f"--config={config}",
        f"--output_dir={tmp_path / 'run'}",
        f"--dataset_dir={chinese_sample_path()}",
        "--max_steps=300",
        "--device_target=CPU",
        "--callbacks.EvalMonitor.eval_steps=300",
        "--save_checkpoint_steps=300",
    ]
    done = command.here(*words)
    assert done.code == 0, done.stderr
    before, after = (line for line in metrics(tmp_path / "run") if "eval_loss" in line)
    assert after["eval_perplexity"] < 0.35 * before["eval_perplexity"]
    # Better than one who knows how many tokens are replaced, but not which.
    share = after["eval_replaced_share"]
    guessing = -share * math.log(share) - (1 - share) * math.log(1 - share)
    assert after["eval_discriminator_loss"] < guessing - 0.005
    assert before["eval_discriminator_loss"] > 0.6
    assert after["eval_replaced_accuracy"] > 0.84 > before["eval_replaced_accuracy"]
