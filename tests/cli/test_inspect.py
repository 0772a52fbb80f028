import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mindmlm.checkpoint import (
    Placement,
    begin_checkpoint,
    commit_checkpoint,
    save_checkpoint,
    write_shard,
)
from mindmlm.cli.main import COMMANDS, main

WEIGHT = np.arange(12, dtype=np.float32).reshape(4, 3)
CONFIG = {"model": {"arch": {"type": "BertForMaskedLM"}, "model_config": {"hidden_size": 3}}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Checkpoints of the steps 5 and 6 below an output folder."""
    root = tmp_path / "output" / "checkpoint"
    tensors = {"model": {"w": WEIGHT, "b": np.ones(3, np.float16)}, "optimizer": {"m": WEIGHT * 2}}
    for step in (5, 6):
        save_checkpoint(root, step, tensors, {"loss_scale": 65536.0}, CONFIG, 5)
    return root


def damage(folder: Path) -> None:
    os.truncate(folder / "model.rank_00000.safetensors", 9)


def inspect_json(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict]:
    code = main(["inspect", str(path), "--json"])
    captured = capsys.readouterr()
    assert captured.err == ""
    return code, json.loads(captured.out)


def test_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "step_00000006" / "notes.txt").write_text("mine")
    code, found = inspect_json(root.parent, capsys)
    assert code == 0
    assert found["path"] == str(root / "step_00000006")
    assert (found["verified"], found["refused"], found["step"]) == (True, [], 6)
    assert (found["model"], found["model_config"]) == ("BertForMaskedLM", {"hidden_size": 3})
    assert found["state"] == {"loss_scale": 65536.0}
    assert found["layout"] == {"data_parallel": 1, "model_parallel": 1, "pipeline_stage": 1}
    assert found["number_of_parameters"] == 15
    assert found["unlisted_files"] == ["notes.txt"]
    assert found["total_bytes"] == sum(file["size"] for file in found["files"])
    for file in found["files"]:
        data = (root / "step_00000006" / file["name"]).read_bytes()
        assert (file["sha256"], file["size"]) == (hashlib.sha256(data).hexdigest(), len(data))
    assert {
        "group": "model",
        "name": "w",
        "dtype": "float32",
        "shape": [4, 3],
        "sha256": hashlib.sha256(WEIGHT.tobytes()).hexdigest(),
    } in found["tensors"]
    assert [(tensor["group"], tensor["name"]) for tensor in found["tensors"]] == [
        ("model", "w"),
        ("model", "b"),
        ("optimizer", "m"),
    ]


def test_the_same_hash_in_any_layout(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = tmp_path / "split"
    folder = begin_checkpoint(split, 5)
    shards = [
        write_shard(
            folder,
            "model",
            {"w": WEIGHT[:, rank : rank + 1 + rank]},
            rank,
            {"w": Placement(WEIGHT.shape, (0, rank))},
        )
        for rank in range(2)
    ]
    path = commit_checkpoint(
        split, 5, shards, state={}, config={}, layout={}, keep_checkpoint_max=1
    )
    _, found = inspect_json(path, capsys)
    assert [tensor["sha256"] for tensor in found["tensors"]] == [
        hashlib.sha256(WEIGHT.tobytes()).hexdigest()
    ]
    assert (found["model"], found["model_config"]) == (None, None)


def test_text(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(root / "step_00000005")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"checkpoint:  {root / 'step_00000005'}" in lines
    assert "parameters:  15" in lines
    assert "model:       BertForMaskedLM" in lines
    assert "  loss_scale: 65536.0" in lines
    assert any(
        line.split()[:4] == ["model", "w", "float32", "4x3"]
        and hashlib.sha256(WEIGHT.tobytes()).hexdigest().startswith(line.split()[4])
        for line in lines
    )


def test_fallback_is_reported(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage(root / "step_00000006")
    code, found = inspect_json(root, capsys)
    assert (code, found["step"]) == (0, 5)
    assert found["refused"][0]["path"] == str(root / "step_00000006")
    assert "has 9 bytes" in found["refused"][0]["reason"]
    assert main(["inspect", str(root)]) == 0
    assert f"refused:     {root / 'step_00000006'}: " in capsys.readouterr().out


def test_refusal(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage(root / "step_00000006")
    path = root / "step_00000006"
    code, found = inspect_json(path, capsys)
    assert code == 2
    assert (found["path"], found["verified"]) == (str(path), False)
    assert "has 9 bytes" in found["reason"]
    assert main(["inspect", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"mindmlm: error: {path}: not a usable checkpoint: ")
    assert captured.err.count("\n") == 1


def test_a_path_called_latest_is_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["inspect", "latest"]) == 2
    assert "no checkpoint at latest: there is no such file or folder" in capsys.readouterr().err


def run_module(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mindmlm", *arguments], capture_output=True, text=True, check=False
    )


def test_as_a_program(root: Path, tmp_path: Path) -> None:
    done = run_module("inspect", str(root), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["step"] == 6
    done = run_module("inspect", str(tmp_path / "nowhere"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("mindmlm: error: no checkpoint at ")


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    tensors = {"model": {f"layer.{number}.weight": WEIGHT for number in range(2000)}}
    save_checkpoint(tmp_path, 1, tensors, {}, {}, 1)
    program = [sys.executable, "-m", "mindmlm", "inspect", str(tmp_path)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_help_names_every_command_and_teaches_it(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in [
        (["--help"], [*COMMANDS, "run_mindformer.py"]),
        (["inspect", "--help"], ["examples:", "--json", "exit code"]),
    ]:
        with pytest.raises(SystemExit) as exit_info:
            main(arguments)
        assert exit_info.value.code == 0
        output = capsys.readouterr().out
        assert all(word in output for word in words)


def test_neither_numpy_nor_mindspore_is_needed_to_ask_for_a_stop() -> None:
    program = (
        "import sys, mindmlm.training.interrupt; print({'numpy', 'mindspore'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_the_command_line_does_not_import_mindspore() -> None:
    program = "import sys, mindmlm.cli.main; print('mindspore' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
