"""Names, tokenizers, other numbers of rows, averages, and the command itself."""

import json
from pathlib import Path

import numpy as np
import pytest
import transformers
from safetensors.numpy import load_file

from mindmlm.checkpoint import find_in_folder, save_checkpoint
from mindmlm.cli.convert_checkpoint import main
from mindmlm.config import load_config
from mindmlm.conversion.convert import Conversion, convert
from mindmlm.conversion.names import resolve_name
from mindmlm.conversion.tokenizer_files import GivenTokenizer, read_tokenizer
from mindmlm.errors import CheckpointError
from mindmlm.testing.tiny_bert import TOKENS


@pytest.fixture
def run(huggingface_folder, tmp_path) -> Path:
    convert(Conversion(huggingface_folder, tmp_path / "run", "mindmlm"))
    return tmp_path / "run"


def command(*words) -> int:
    return main([str(word) for word in words])


def test_a_name_stands_for_a_folder_at_home(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MINDMLM_HOME", str(tmp_path))
    (tmp_path / "bert_base_uncased").mkdir()
    assert resolve_name("bert_base_uncased") == tmp_path / "bert_base_uncased"
    with pytest.raises(CheckpointError, match=r"put config\.json, model\.safetensors") as caught:
        resolve_name("bert_large")
    assert str(tmp_path / "bert_large") in str(caught.value)
    monkeypatch.delenv("MINDMLM_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".cache" / "mindmlm" / "mine").mkdir(parents=True)
    assert resolve_name("mine") == tmp_path / ".cache" / "mindmlm" / "mine"
    with pytest.raises(CheckpointError, match="no such file or folder"):
        resolve_name("../mine/x")


def test_the_command_takes_a_name(huggingface_folder, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("MINDMLM_HOME", str(huggingface_folder.parent))
    report = tmp_path / "report.json"
    words = ["--input", "tiny", "--output", tmp_path / "out", "--to", "mindmlm"]
    assert command(*words, "--report", report) == 0
    captured = capsys.readouterr()
    assert captured.out.strip() == str(tmp_path / "out")
    assert "(huggingface, huggingface names): 42 loaded" in captured.err
    found = json.loads(report.read_text())
    assert found["counts"] == {"loaded": 42}
    assert {"what", "theirs", "ours", "note"} == set(found["tensors"][0])


def test_the_command_lists_every_tensor_when_asked(huggingface_folder, tmp_path, capsys) -> None:
    words = ["--input", huggingface_folder, "--output", tmp_path / "x.ckpt", "--to", "mindspore"]
    assert command(*words, "--verbose", "--names", "mindformers") == 0
    lines = capsys.readouterr().err.splitlines()
    assert "  loaded: cls.predictions.bias -> head.bias" in lines
    assert sum(line.startswith("  loaded: ") for line in lines) == 42


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--input", "no/such", "--to", "mindmlm"], "no such file or folder"),
        (["--input", ".", "--to", "mindmlm"], "it holds neither model.safetensors"),
        (["--input", "HF", "--from", "tensorflow", "--to", "mindmlm"], "there are 0 *.index"),
        (["--input", "HF", "--to", "mindmlm", "--average", "2"], "holds 0 checkpoints"),
        (["--input", "HF", "--to", "mindmlm", "--vocab_file", "none.txt"], "none.txt"),
        (["--input", "HF", "--to", "huggingface", "--names", "mindformers"], "--to mindspore"),
        (["--input", "HF", "--to", "pytorch", "--model_parallel", "2"], "go with --to mindmlm"),
        (["--input", "HF", "--to", "mindmlm", "--pipeline_stage", "3"], "has 2 layers only"),
    ],
)
def test_mistakes_are_one_line(words, part, huggingface_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = [str(huggingface_folder) if word == "HF" else word for word in words]
    assert command(*words, "--output", "out") == 2
    text = capsys.readouterr().err
    assert text.startswith("convert_checkpoint: error: ") and part in text
    assert list(tmp_path.iterdir()) == []


def test_the_run_folder_is_one_that_a_run_accepts(run, huggingface_folder) -> None:
    loaded = load_config(
        run / "config.yaml",
        flags={"run_mode": "finetune", "load_checkpoint": str(run), "dataset_dir": str(run)},
    )
    assert loaded.config.model.settings.hidden_size == 24
    assert (run / "vocab.txt").read_text().split() == TOKENS
    assert find_in_folder(run).checkpoint.state["tokenizer_fingerprint"]


@pytest.mark.parametrize("given", [True, False, None])
def test_case_is_taken_from_the_settings_or_the_vocabulary(given, tmp_path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join([*TOKENS, "Word"]))
    found = read_tokenizer(tmp_path)
    assert found.do_lower_case is False and "capital letters" in found.notes[0]
    (tmp_path / "vocab.txt").write_text("\n".join(TOKENS))
    assert read_tokenizer(tmp_path).do_lower_case is True
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}))
    found = read_tokenizer(tmp_path, given=GivenTokenizer(do_lower_case=given))
    assert found.do_lower_case is bool(given)
    assert found.notes == ()


def test_a_tokenizer_json_alone_is_enough(huggingface_folder, tmp_path) -> None:
    fast = transformers.BertTokenizerFast.from_pretrained(huggingface_folder)
    fast.save_pretrained(tmp_path)
    (tmp_path / "vocab.txt").unlink()
    assert read_tokenizer(tmp_path).tokens == TOKENS
    (tmp_path / "tokenizer.json").write_text('{"model": {"type": "BPE", "vocab": {}}}')
    with pytest.raises(CheckpointError, match="no WordPiece vocabulary"):
        read_tokenizer(tmp_path)


def test_what_the_tokenizer_cannot_do_is_said(huggingface_folder, tmp_path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(TOKENS))
    settings = {"do_lower_case": True, "strip_accents": False, "tokenize_chinese_chars": False}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    notes = read_tokenizer(tmp_path).notes
    assert len(notes) == 2 and "strip_accents: False" in notes[0]


@pytest.mark.parametrize("new_rows", ["pieces", "mean"])
def test_a_longer_vocabulary(new_rows, huggingface_folder, tmp_path) -> None:
    (tmp_path / "old.txt").write_text("\n".join(TOKENS))
    (tmp_path / "new.txt").write_text("\n".join([*TOKENS, "unheard"]))
    job = Conversion(
        huggingface_folder,
        tmp_path / "out",
        "huggingface",
        tokenizer=GivenTokenizer(tmp_path / "old.txt"),
        resize_vocab=tmp_path / "new.txt",
        new_rows=new_rows,
    )
    report = convert(job)
    old = load_file(huggingface_folder / "model.safetensors")
    new = load_file(tmp_path / "out" / "model.safetensors")
    for name in ("bert.embeddings.word_embeddings.weight", "cls.predictions.bias"):
        assert new[name].shape[0] == 62
        np.testing.assert_array_equal(new[name][:61], old[name])
        # No pieces spell "unheard", so it starts as the mean of all tokens that are not special.
        rows = old[name][5:] if new_rows == "pieces" else old[name]
        np.testing.assert_allclose(new[name][61], rows.mean(axis=0), rtol=1e-5, atol=1e-7)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["vocab_size"] == 62
    assert len(report.of("resized")) == 2


def test_new_rows_from_pieces(huggingface_folder, tmp_path) -> None:
    old_tokens = [*TOKENS[:60], "##7"]
    (tmp_path / "old.txt").write_text("\n".join(old_tokens))
    (tmp_path / "new.txt").write_text("\n".join([*old_tokens, "word377"]))
    job = Conversion(
        huggingface_folder,
        tmp_path / "out",
        "mindmlm",
        tokenizer=GivenTokenizer(tmp_path / "old.txt"),
        resize_vocab=tmp_path / "new.txt",
    )
    convert(job)
    rows = find_in_folder(tmp_path / "out").checkpoint.tensors("model")["bert.embeddings.word"]
    pieces = [old_tokens.index("word37"), old_tokens.index("##7")]
    np.testing.assert_allclose(rows[61], rows[pieces].mean(axis=0), rtol=1e-6)


def test_a_vocabulary_that_is_no_extension(huggingface_folder, tmp_path) -> None:
    (tmp_path / "new.txt").write_text("\n".join([*TOKENS[:-1], "other", "more"]))
    job = Conversion(
        huggingface_folder, tmp_path / "out", "mindmlm", resize_vocab=tmp_path / "new.txt"
    )
    with pytest.raises(CheckpointError, match="must begin with the 61 tokens"):
        convert(job)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("positions", [9, 33])
def test_another_number_of_positions(positions, huggingface_folder, tmp_path) -> None:
    job = Conversion(
        huggingface_folder, tmp_path / "out", "huggingface", resize_positions=positions
    )
    convert(job)
    name = "bert.embeddings.position_embeddings.weight"
    old = load_file(huggingface_folder / "model.safetensors")[name]
    new = load_file(tmp_path / "out" / "model.safetensors")[name]
    assert new.shape == (positions, 24)
    np.testing.assert_array_equal(new[:20], old[:positions])
    if positions > 20:
        np.testing.assert_allclose(new[20:], np.tile(old.mean(axis=0), (13, 1)), rtol=1e-6)
    model = transformers.BertForMaskedLM.from_pretrained(tmp_path / "out")
    assert model.config.max_position_embeddings == positions


@pytest.fixture
def three_steps(run) -> tuple[Path, list[dict[str, np.ndarray]]]:
    """A run with the checkpoints of the steps 1, 2 and 3, and their weights."""
    start = find_in_folder(run).checkpoint
    rng = np.random.default_rng(0)
    weights = []
    for step in (1, 2, 3):
        model = {
            name: (array + rng.normal(0, 0.1, array.shape)).astype(np.float32)
            for name, array in start.tensors("model").items()
        }
        tensors = {"model": model, "optimizer": {"m.x": np.full(3, step, np.float32)}}
        state = {**start.state, "step": step}
        save_checkpoint(run / "checkpoint", step, tensors, state, start.config, 5)
        weights.append(model)
    return run, weights


def test_the_mean_of_the_last_checkpoints(three_steps, tmp_path) -> None:
    run, weights = three_steps
    report = convert(Conversion(run, tmp_path / "mean", "mindmlm", average=2))
    assert report.format == "mean of steps 2, 3"
    checkpoint = find_in_folder(tmp_path / "mean").checkpoint
    for name, array in checkpoint.tensors("model").items():
        expected = np.mean([w[name].astype(np.float64) for w in weights[1:]], axis=0)
        np.testing.assert_array_equal(array, expected.astype(np.float32))
    # The moments of an optimizer have no mean that means anything.
    assert list(checkpoint.manifest.tensors) == ["model"]
    assert checkpoint.step == 0
    with pytest.raises(CheckpointError, match="holds 4 checkpoints"):
        convert(Conversion(run, tmp_path / "x", "mindmlm", average=5))


def test_a_run_is_copied_with_its_optimizer_and_state(three_steps, tmp_path) -> None:
    run, _ = three_steps
    convert(Conversion(run / "checkpoint" / "step_00000002", tmp_path / "copy", "mindmlm"))
    copy = find_in_folder(tmp_path / "copy").checkpoint
    original = find_in_folder(run / "checkpoint" / "step_00000002").checkpoint
    assert (copy.step, copy.state, copy.config) == (2, original.state, original.config)
    for group in ("model", "optimizer"):
        expected = original.tensors(group)
        found = copy.tensors(group)
        assert {n: a.tobytes() for n, a in found.items()} == {
            n: a.tobytes() for n, a in expected.items()
        }


def test_the_newest_checkpoint_of_a_run_is_what_leaves_it(three_steps, tmp_path) -> None:
    run, weights = three_steps
    convert(Conversion(run, tmp_path / "out", "huggingface"))
    found = load_file(tmp_path / "out" / "model.safetensors")["cls.predictions.bias"]
    np.testing.assert_array_equal(found, weights[-1]["head.bias"])
