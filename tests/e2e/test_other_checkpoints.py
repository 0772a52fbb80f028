"""Runs that start from the checkpoints of other libraries."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from mindmlm.checkpoint import find_in_folder
from mindmlm.conversion.convert import Conversion, convert
from mindmlm.testing.run_ranks import run_ranks
from mindmlm.testing.tiny_bert import SHAPE, VOCAB, huggingface_bert, huggingface_logits

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TF1 = Path(__file__).resolve().parents[1] / "conversion" / "tf1_bert"
CHARACTERS = (
    "天地人你我他大小山水火木金土春夏秋冬东西南北上下左右花草树鸟鱼虫看听说读写走来去中国学生老"
)


@pytest.fixture(scope="module")
def model():
    return huggingface_bert(seed=4, num_attention_heads=4)


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory) -> Path:
    """A Hugging Face folder with a Chinese vocabulary."""
    path = tmp_path_factory.mktemp("home") / "tiny_chinese"
    model.save_pretrained(path)
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *CHARACTERS[: VOCAB - 5]]
    tokens += [f"x{number}" for number in range(VOCAB - len(tokens))]
    (path / "vocab.txt").write_text("\n".join(tokens), encoding="utf-8")
    (path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    return path


def words_of(command, output: Path, checkpoint: object, *more: str) -> list[str]:
    """The words of a run whose model and vocabulary come from the checkpoint alone."""
    words = command.words(output, f"--load_checkpoint={checkpoint}", *more)
    return [
        "--train_dataset.max_seq_length=20" if "max_seq_length" in word else word
        for word in words
        if "vocab_file" not in word and "model_config" not in word
    ]


def losses(output: Path) -> list[float]:
    lines = (json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines())
    return [line["loss"] for line in lines if "loss" in line]


def test_predictions_are_those_of_transformers(
    command, folder, model, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("MINDMLM_HOME", str(folder.parent))
    done = command.here(
        *words_of(
            command,
            tmp_path,
            "tiny_chinese",
            "--run_mode=predict",
            "--predict_data=天[MASK]人",
        )
    )
    assert done.code == 0, done.stderr
    (result,) = json.loads(done.stdout)
    ids = np.array([[2, 5, 4, 7, 3]], np.int32)
    batch = {"ids": ids, "mask": np.ones_like(ids), "segments": np.zeros_like(ids)}
    logits = torch.from_numpy(huggingface_logits(model, batch)[0, 2])
    scores = torch.softmax(logits.double(), 0)
    for candidate in result["blanks"][0]["candidates"]:
        vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
        expected = float(scores[vocabulary.index(candidate["token"])])
        assert candidate["score"] == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("run_mode", ["train", "finetune"])
def test_training_begins_there_and_resumes_as_its_own(
    run_mode, command, folder, model, tmp_path
) -> None:
    output = tmp_path / "out"
    schedule = ["--lr_schedule.learning_rate=1e-30", "--lr_schedule.type=constant"]
    schedule += ["--lr_schedule.warmup_ratio=null"]
    words = words_of(command, output, folder, f"--run_mode={run_mode}", *schedule)
    done = command.here(*words)
    assert done.code == 0, done.stderr
    assert "model_config.hidden_size: 24, from the checkpoint, not 128" in done.stderr
    weights = find_in_folder(output).checkpoint.tensors("model")
    expected = model.state_dict()["bert.encoder.layer.1.output.dense.weight"].numpy()
    np.testing.assert_array_equal(weights["bert.layers.1.output.weight"], expected)
    assert (output / "vocab.txt").read_text(encoding="utf-8").split("\n")[:5] == [
        "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",
    ]  # fmt: skip
    text = f"--dataset_dir={command.text}"
    again = command.here(
        f"--config={output / 'config.yaml'}", "--run_mode=train", "--load_checkpoint=latest",
        f"--output_dir={output}", "--max_steps=14", text,
    )  # fmt: skip
    assert again.code == 0, again.stderr
    assert "resumed at step 12" in again.stderr
    assert len(losses(output)) == 14


@pytest.mark.slow
def test_evaluation_of_every_format_is_the_same(command, folder, tmp_path) -> None:
    paths = [folder]
    for target in ("mindspore", "pytorch", "mindmlm"):
        convert(Conversion(folder, tmp_path / target, target))
        paths.append(tmp_path / target)
    found = []
    for number, path in enumerate(paths):
        words = words_of(command, tmp_path / f"out{number}", path, "--run_mode=eval")
        if path.name == "mindmlm":
            words += [f"--config={path / 'config.yaml'}"]
        done = command.here(*words)
        assert done.code == 0, done.stderr
        found.append({k: v for k, v in json.loads(done.stdout).items() if "second" not in k})
    assert all(line == found[0] for line in found)


def test_google_files_start_a_run(command, tmp_path) -> None:
    words = words_of(
        command, tmp_path / "out", TF1 / "with_slots.ckpt", "--run_mode=finetune",
        "--max_steps=2",
    )  # fmt: skip
    done = command.here(*words)
    assert done.code == 0, done.stderr
    assert "optimizer" in done.stderr and "next-sentence head" in done.stderr
    config = (tmp_path / "out" / "config.yaml").read_text()
    assert re.search(r"add_pooling_layer: true", config)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--load_checkpoint=bert_base_uncased"], "Nothing is downloaded: put config.json"),
        (["--train_dataset.max_seq_length=64"], "rows of 64 tokens are longer than"),
    ],
)
def test_mistakes_are_one_message(change, message, command, folder, tmp_path) -> None:
    words = words_of(command, tmp_path / "out", folder, "--run_mode=finetune")
    done = command.here(*words, *change)
    assert done.code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_damaged_weights_stop_the_run(command, folder, tmp_path) -> None:
    shutil.copytree(folder, tmp_path / "in")
    weights = tmp_path / "in" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    words = words_of(command, tmp_path / "out", tmp_path / "in", "--run_mode=finetune")
    done = command.here(*words)
    assert done.code == 2 and "not a whole safetensors file" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("axis", ["model_parallel", "pipeline_stage"])
def test_several_processes_begin_with_the_same_weights(axis, command, folder, tmp_path) -> None:
    common = ["--run_mode=finetune", "--max_steps=3"]
    alone = words_of(command, tmp_path / "alone", folder, *common)
    assert command.here(*alone).code == 0
    program = command.project_root / "run_mindformer.py"
    together = words_of(
        command, tmp_path / "two", folder, *common, "--use_parallel=True",
        "--parallel.parallel_mode=3", f"--parallel_config.{axis}=2",
        "--parallel_config.data_parallel=1",
    )  # fmt: skip
    run_ranks(program, 2, together, timeout=300)
    np.testing.assert_allclose(losses(tmp_path / "two"), losses(tmp_path / "alone"), rtol=1e-5)
    assert SHAPE["num_hidden_layers"] == 2
