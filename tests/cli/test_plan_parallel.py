"""tools/plan_parallel.py."""

import json
import subprocess
import sys

import pytest

from mindmlm.cli.plan_parallel import main

CARDS = ("--num_devices=8", "--device_memory=16GB")


@pytest.fixture
def path(project_root):
    return str(project_root / "configs" / "bert" / "run_bert_base_chinese.yaml")


def test_text_and_json_say_the_same(path, capsys):
    assert main([path, *CARDS]) == 0
    text = capsys.readouterr().out
    assert "recommended:" in text
    assert main([path, *CARDS, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["device_memory"] == 16 * 2**30
    degrees = found["recommended"]["parallel_config"]
    for name in ("data_parallel", "model_parallel", "pipeline_stage", "micro_batch_num"):
        assert f"  {name}: {degrees[name]}\n" in text
    best = min(
        (one for one in found["layouts"] if one["fits"]), key=lambda one: one["step"]["seconds"]
    )
    assert best["data_parallel"] == degrees["data_parallel"]
    assert {"parameters", "gradients", "optimizer", "activations", "recomputed", "buffers"} <= (
        best["stages"][0].keys()
    )


def test_nothing_fits_has_an_exit_code_of_its_own(path, capsys):
    assert main([path, "--num_devices=2", "--device_memory=100MB"]) == 1
    assert "no layout fits" in capsys.readouterr().out


def test_options_and_a_described_device_count(path, capsys):
    def best(*words):
        main([path, *CARDS, "--json", *words])
        found = json.loads(capsys.readouterr().out)
        return min(one["step"]["seconds"] for one in found["layouts"] if one["fits"])

    assert best("--tflops=1") > best("--tflops=100")
    assert best("--tflops=100", "--efficiency=0.1") > best("--tflops=100", "--efficiency=0.9")
    assert best("--options", "train_dataset.max_seq_length=64") < best()
    main([path, *CARDS, "--json", "--options", "context.max_device_memory=1GB"])
    assert json.loads(capsys.readouterr().out)["device_memory"] == 2**30


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.yaml", *CARDS], "nowhere.yaml"),
        (["--num_devices=8", "--device_memory=16GB"], "CONFIG"),
        (["here.yaml", "--num_devices=0", "--device_memory=16GB"], "at least 1, got 0"),
        (["here.yaml", "--num_devices=8", "--device_memory=16"], 'such as "31GB"'),
        (["here.yaml", *CARDS, "--tflops=fast"], "expected a number above 0, got 'fast'"),
        (["here.yaml", *CARDS, "--efficiency=2"], "--efficiency is at most 1"),
        (["here.yaml", *CARDS, "--device=abacus"], "abacus"),
        (["here.yaml", *CARDS, "--options", "seeds=1"], "did you mean seed?"),
    ],
)
def test_mistakes_are_explained(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.yaml").write_text("seed: 1\n")
    try:
        code = main(words)
    except SystemExit as stopped:
        code = stopped.code
    assert code == 2
    assert message in capsys.readouterr().err


def test_the_tool_needs_no_mindspore(project_root, path):
    program = (
        "import sys; sys.modules['mindspore'] = None\n"
        "from mindmlm.cli.plan_parallel import main\n"
        f"sys.exit(main([{path!r}, *{CARDS!r}]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    tool = project_root / "tools" / "plan_parallel.py"
    done = subprocess.run(
        [sys.executable, tool, "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    assert "examples:" in done.stdout
