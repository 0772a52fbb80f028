"""What a run has learned and forgotten, beside evaluation by the command line."""

import base64
import contextlib
import io
import json
import re
import shutil

import pytest

from mindmlm.cli.main import main
from mindmlm.testing.corpus import write_corpus


def compare(*words):
    """Exit code, standard output and standard error of `python -m mindmlm compare-report`."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["compare-report", *map(str, words)])
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A domain text, a general one, terms."""
    folder = tmp_path_factory.mktemp("texts")
    domain, general = folder / "domain.txt", folder / "general.txt"
    write_corpus(domain, documents=30, seed=5)
    write_corpus(general, documents=30, seed=6)
    (folder / "terms.txt").write_text("中国\n学生\n", encoding="utf-8")
    return domain, general, folder / "terms.txt"


@pytest.fixture(scope="module")
def tuned(command, trained, tmp_path_factory):
    """A run that began with `trained`, stopped half-way and went on."""
    folder = tmp_path_factory.mktemp("tuned") / "run"
    words = [f"--load_checkpoint={trained.folder}", "--run_mode=finetune", "--max_steps=4"]
    done = command.here(*command.words(folder, *words))
    assert done.code == 0, done.stderr
    more = ["--load_checkpoint=latest", "--run_mode=train", "--max_steps=6"]
    done = command.here(*command.words(folder, *more))
    assert done.code == 0, done.stderr
    return folder


def evaluated(command, trained_folder, step, text, out):
    """What `--run_mode eval` says of a checkpoint on a text."""
    done = command.here(
        f"--config={trained_folder / 'config.yaml'}",
        "--run_mode=eval",
        f"--load_checkpoint={trained_folder / 'checkpoint' / f'step_{step:08d}'}",
        f"--dataset_dir={text}",
        f"--output_dir={out}",
    )
    assert done.code == 0, done.stderr
    return json.loads(done.stdout)


def check_page(folder):
    page = (folder / "compare_report.html").read_text(encoding="utf-8")
    sources = re.findall(r'src="([^"]+)"', page)
    assert sources and all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.findall(r'(?:href|src)="(?!data:)', page)
    assert base64.b64decode(sources[0].partition(",")[2]).startswith(b"\x89PNG")
    found = json.loads((folder / "compare_report.json").read_text(encoding="utf-8"))
    assert f"{found['after']['domain text']['perplexity']:,.4g}" in page
    assert all(line.replace("'", "&#x27;") in page for line in found["findings"])


@pytest.mark.slow
def test_before_and_after_are_what_evaluation_says(command, trained, tuned, texts, tmp_path):
    domain, general, terms = texts
    words = ["--domain_text", domain, "--general_text", general, "--terms", terms]
    code, out, err = compare(tuned, *words)
    assert code == 0, err
    found = json.loads((tuned / "compare_report.json").read_text(encoding="utf-8"))
    assert (found["before"]["step"], found["after"]["step"]) == (12, 6)
    assert str(trained.folder) in found["before"]["checkpoint"]
    for column, folder, step in (("before", trained.folder, 12), ("after", tuned, 6)):
        for name, text in (("domain text", domain), ("general text", general)):
            expected = evaluated(command, folder, step, text, tmp_path / column)
            for measure in ("loss", "perplexity", "masked_accuracy"):
                assert found[column][name][measure] == pytest.approx(
                    expected[f"eval_{measure}"], rel=1e-6
                )
    assert found["terms"] == 2
    for name in ("domain text", "domain terms", "general text"):
        assert found["before"][name]["positions"] == found["after"][name]["positions"] > 0
    assert len(found["findings"]) == 3 and all(line in out for line in found["findings"])
    assert str(tuned / "compare_report.html") in out
    check_page(tuned)


def test_a_run_from_random_weights_on_what_it_held_out(copy_of_run, metrics, texts):
    code, out, err = compare(copy_of_run, "--json", "--terms", texts[2])
    assert code == 0, err
    check_page(copy_of_run)
    found = json.loads(out)
    lines = {line["step"]: line for line in metrics(copy_of_run) if "eval_loss" in line}
    for column, step in (("before", 0), ("after", 12)):
        for measure in ("loss", "masked_accuracy"):
            expected = lines[step][f"eval_{measure}"]
            assert found[column]["domain text"][measure] == pytest.approx(expected, rel=1e-6)
    assert found["before"]["checkpoint"] == "the first weights of the run"
    assert list(found["texts"]) == ["domain text", "domain terms"]


def test_the_best_of_the_kept_checkpoints(copy_of_run):
    lines = (copy_of_run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    changed = [json.loads(line) for line in lines]
    assert [path.name for path in sorted((copy_of_run / "checkpoint").glob("step_*"))] == [
        *("step_00000008", "step_00000012"),
    ]
    changed.append({**changed[-1], "step": 8, "eval_loss": 0.1})
    text = "".join(f"{json.dumps(line)}\n" for line in changed)
    (copy_of_run / "metrics.jsonl").write_text(text, encoding="utf-8")
    code, out, err = compare(copy_of_run, "--json", "--after", "best", "--num_samples", "20")
    assert code == 0, err
    assert json.loads(out)["after"]["step"] == 8


def test_what_cannot_be_compared_is_explained(copy_of_run, texts, tmp_path):
    code, _, err = compare(tmp_path)
    assert code == 2 and "config.yaml: no such file" in err
    code, _, err = compare(copy_of_run, "--terms", tmp_path / "none.txt")
    assert code == 2 and "none.txt: no such file" in err
    code, _, err = compare(copy_of_run, "--num_samples", "0")
    assert code == 2 and "--num_samples" in err
    shutil.rmtree(copy_of_run / "checkpoint" / "step_00000008")
    (copy_of_run / "metrics.jsonl").write_text(
        '{"step": 3, "eval_loss": 1, "eval_perplexity": 2, "eval_masked_accuracy": 0}\n'
        '{"step": 1, "epoch": 0, "loss": 1, "learning_rate": 1, "tokens_per_second": 1}\n'
    )
    code, _, err = compare(copy_of_run, "--after", "best")
    assert code == 2 and "none is the best" in err
