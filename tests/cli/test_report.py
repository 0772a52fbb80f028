import json
import re
import shutil
from pathlib import Path

import pytest

from mindmlm.cli.main import main
from mindmlm.testing.command import SMALL_OPTIONS, run_python
from mindmlm.testing.corpus import write_corpus


@pytest.fixture(scope="module")
def finished_run(project_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    done = run_python(
        [
            project_root / "run_mindformer.py",
            f"--config={project_root / 'configs' / 'bert' / 'run_bert_tiny_zh.yaml'}",
            f"--dataset_dir={write_corpus(folder / 'text.txt', documents=60)}",
            f"--output_dir={folder / 'run'}",
            "--max_steps=6",
            "--callbacks.EvalMonitor.eval_steps=3",
            *(f"--{option}" for option in SMALL_OPTIONS),
        ]
    )
    assert done.code == 0, done.stderr
    return folder / "run"


@pytest.fixture
def run_folder(finished_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished_run, tmp_path / "run")


def evaluations(folder: Path) -> list[dict]:
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [line for line in lines if "eval_loss" in line]


def test_json(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run_folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    lines = evaluations(run_folder)
    assert [line["step"] for line in lines] == [0, 3, 6]
    assert found["steps"] == 6
    assert found["before"]["perplexity"] == lines[0]["eval_perplexity"]
    assert found["after"]["masked_accuracy"] == lines[2]["eval_masked_accuracy"]
    assert found["best"]["loss"] == min(line["eval_loss"] for line in lines)
    assert found["tokens_per_second"] > 0
    assert len(found["cloze"]) == 5
    for sentence in found["cloze"]:
        assert len(sentence["blanks"]) == sentence["text"].count("[MASK]") > 0
        for blank in sentence["blanks"]:
            assert 0 < sum(item["score"] for item in blank["candidates"]) <= 1
    assert (run_folder / "loss_curve.png").read_bytes().startswith(b"\x89PNG")
    assert set(found["files"]) >= {"config.yaml", "metrics.jsonl", "loss_curve.png", "checkpoint"}


def test_text_with_own_sentences(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blanks = tmp_path / "blanks.txt"
    blanks.write_text("今天[MASK]气好。\n学[MASK][MASK]天地\n", encoding="utf-8")
    assert main(["report", str(run_folder), "--predict_data", str(blanks)]) == 0
    text = capsys.readouterr().out
    before, _, after = evaluations(run_folder)
    assert f"{before['eval_perplexity']:,.1f}" in text
    assert f"{after['eval_perplexity']:,.1f}" in text
    assert re.search(r"^  今天\[\S+\]气好。$", text, re.MULTILINE)
    assert re.search(r"^  学\[\S+\]\[\S+\]天地$", text, re.MULTILINE)
    assert "[MASK]" not in text
    assert len(re.findall(r"^    \S+ \d+%   \S+ \d+%   \S+ \d+%$", text, re.MULTILINE)) == 3
    for name in ("metrics.jsonl", "loss_curve.png", "checkpoint"):
        assert str(run_folder / name) in text


def test_an_english_run_gets_english_sentences(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = run_folder / "config.yaml"
    config.write_text(config.read_text().replace("segmenter: jieba", "segmenter: none"))
    assert main(["report", str(run_folder), "--json"]) == 0
    texts = [sentence["text"] for sentence in json.loads(capsys.readouterr().out)["cloze"]]
    assert all(text.isascii() for text in texts)


def test_a_run_that_diverged(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = run_folder / "metrics.jsonl"
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    for name in ("eval_loss", "eval_perplexity"):
        lines[-1][name] = None
    metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["report", str(run_folder)]) == 0
    assert "not finite" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("breaking", "words", "message"),
    [
        (lambda run: shutil.rmtree(run), [], "no such folder"),
        (lambda run: (run / "metrics.jsonl").unlink(), [], "metrics.jsonl: no such file"),
        (lambda run: (run / "metrics.jsonl").write_text(""), [], "is empty"),
        (lambda run: (run / "config.yaml").unlink(), [], "config.yaml: no such file"),
        (lambda run: shutil.rmtree(run / "checkpoint"), [], "checkpoint"),
        (lambda run: None, ["--predict_data", "nothing.txt"], "nothing.txt: no such file"),
        (lambda run: (run / "loss_curve.png.tmp").mkdir(), [], "loss_curve.png: cannot be written"),
    ],
)
def test_faults(run_folder: Path, capsys: pytest.CaptureFixture[str], breaking, words, message):
    breaking(run_folder)
    assert main(["report", str(run_folder), *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert "Traceback" not in captured.err
