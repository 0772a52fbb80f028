"""`python -m mindmlm inspect` on files of other libraries, and on two checkpoints."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from mindmlm.checkpoint import find_in_folder, save_checkpoint
from mindmlm.cli.main import main
from mindmlm.conversion.convert import Conversion, convert
from mindmlm.testing.tiny_bert import TOKENS

FIXTURE = Path(__file__).parent / "tf1_bert"


def inspect(*words, capsys) -> tuple[int, dict]:
    code = main(["inspect", *map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.fixture
def run(huggingface_folder, tmp_path) -> Path:
    convert(Conversion(huggingface_folder, tmp_path / "run", "mindmlm"))
    return tmp_path / "run"


def test_a_hugging_face_folder(huggingface_folder, masked_lm, capsys) -> None:
    code, found = inspect(huggingface_folder, capsys=capsys)
    assert (code, found["format"], found["verified"]) == (0, "huggingface", True)
    assert found["number_of_parameters"] == sum(p.numel() for p in masked_lm.parameters())
    assert found["model_config"]["num_attention_heads"] == 3
    assert found["vocabulary"] == len(TOKENS)
    assert "header only" in found["verified_by"]


def test_text_of_every_format(huggingface_folder, tmp_path, capsys) -> None:
    convert(Conversion(huggingface_folder, tmp_path / "ours", "huggingface"))
    convert(Conversion(huggingface_folder, tmp_path / "x.ckpt", "mindspore"))
    for path, part in (
        (tmp_path / "ours", "every file has its SHA-256"),
        (tmp_path / "x.ckpt", "where the file carries a CRC-32"),
        (FIXTURE / "bert_model.ckpt", "every tensor has its CRC-32C"),
    ):
        assert main(["inspect", str(path)]) == 0
        text = capsys.readouterr().out
        assert part in text and "finite:      yes, every value" in text


def test_values_that_are_no_numbers_are_counted(huggingface_folder, tmp_path, capsys) -> None:
    state = load_file(huggingface_folder / "model.safetensors")
    state["cls.predictions.bias"][[1, 5, 9]] = np.nan
    save_file(state, tmp_path / "x.safetensors")
    _, found = inspect(tmp_path / "x.safetensors", capsys=capsys)
    bad = {t["name"]: t["not_finite"] for t in found["tensors"] if t["not_finite"]}
    assert bad == {"cls.predictions.bias": 3}
    assert found["model"] is None
    main(["inspect", str(tmp_path / "x.safetensors")])
    assert "no, 3 values are NaN or infinite" in capsys.readouterr().out


def test_two_formats_of_one_model_are_the_same(huggingface_folder, run, tmp_path, capsys) -> None:
    convert(Conversion(huggingface_folder, tmp_path / "ckpt", "mindspore", names="mindformers"))
    for other in (run, tmp_path / "ckpt"):
        code, found = inspect(huggingface_folder, other, capsys=capsys)
        assert (code, found["same"], found["equal"]) == (0, True, len(found_names(run)))


def found_names(run: Path) -> dict:
    return find_in_folder(run).checkpoint.records("model")


def test_differences_of_two_checkpoints_of_ours(run, tmp_path, capsys) -> None:
    checkpoint = find_in_folder(run).checkpoint
    model = {name: array.copy() for name, array in checkpoint.tensors("model").items()}
    model["head.bias"][3] += 0.5
    model["head.bias"][4] -= 0.25
    model["bert.embeddings.position"] = model["bert.embeddings.position"][:7]
    config = json.loads(json.dumps(checkpoint.config))
    config["seed"] = 7
    tensors = {"model": model, "optimizer": {"step": np.zeros(1, np.float32)}}
    save_checkpoint(tmp_path / "other" / "checkpoint", 12, tensors, checkpoint.state, config, 1)
    code, found = inspect(run, tmp_path / "other", capsys=capsys)
    assert code == 1
    (different,) = found["different"]
    assert (different["name"], different["values"]) == ("model/head.bias", 2)
    assert different["largest_difference"] == pytest.approx(0.5, abs=1e-6)
    assert found["other_shape"] == [
        {"name": "model/bert.embeddings.position", "shapes": [[20, 24], [7, 24]]}
    ]
    assert found["only_in_second"] == ["optimizer/step"]
    assert found["state"] == {"step": [0, 12]}
    assert found["config"] == {"seed": [42, 7]}
    assert main(["inspect", str(run), str(tmp_path / "other")]) == 1
    text = capsys.readouterr().out
    assert "2 values" in text and "by up to 0.5" in text and "they differ" in text


def test_what_training_changed_is_seen_against_the_folder_it_began_with(
    run, huggingface_folder, tmp_path, capsys
) -> None:
    state = load_file(huggingface_folder / "model.safetensors")
    state["bert.encoder.layer.0.output.dense.weight"][0] *= 2
    for name in ("config.json", "vocab.txt"):
        (tmp_path / name).write_text((huggingface_folder / name).read_text())
    save_file(state, tmp_path / "model.safetensors")
    code, found = inspect(run, tmp_path / "model.safetensors", capsys=capsys)
    assert code == 1
    assert [item["name"] for item in found["different"]] == ["bert.layers.0.output.weight"]


def test_nothing_in_common_is_an_error(huggingface_folder, tmp_path, capsys) -> None:
    save_file({"x": np.ones(2, np.float32)}, tmp_path / "x.safetensors")
    code, found = inspect(huggingface_folder, tmp_path / "x.safetensors", capsys=capsys)
    assert code == 2 and "no tensor of one name" in found["reason"]


@pytest.mark.parametrize("name", ["nothing", "bert_base_uncased"])
def test_what_is_not_there(name, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("MINDMLM_HOME", str(tmp_path / "home"))
    code, found = inspect(name, capsys=capsys)
    assert code == 2
    assert str(tmp_path / "home" / name) in found["reason"]
