"""Distillation from the command line: a run, its continuation, its errors."""

import contextlib
import io
import json
import shutil

import pytest

from mindmlm.cli.main import main
from mindmlm.testing.teachers import STUDENT, write_teacher, write_words

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def words(project_root, tmp_path_factory):
    """A function (output folder, words...) -> arguments; and where its files are."""
    folder = tmp_path_factory.mktemp("distillation")
    teacher, text = write_teacher(folder / "teacher"), write_words(folder / "text.txt")
    config = project_root / "configs" / "distill" / "run_distill_tiny_en.yaml"

    def arguments(output, *more):
        return [
            f"--config={config}",
            f"--output_dir={output}",
            f"--dataset_dir={text}",
            f"--distillation.teacher={teacher}",
            "--max_steps=6",
            "--save_checkpoint_steps=3",
            "--callbacks.EvalMonitor.eval_steps=3",
            *(f"--{option}" for option in STUDENT),
            "--model.model_config.hidden_dropout_prob=0.1",
            *more,
        ]

    arguments.teacher, arguments.folder = teacher, folder
    return arguments


@pytest.fixture(scope="module")
def run(command, words, tmp_path_factory):
    """A finished run, with nothing named but the text and the teacher."""
    folder = tmp_path_factory.mktemp("out") / "student"
    done = command.here(*words(folder))
    assert done.code == 0, done.stderr
    return folder, done.stderr


def cut_back(folder, step):
    for path in (folder / "checkpoint").glob("step_*"):
        if int(path.name[5:]) > step:
            shutil.rmtree(path)
    (folder / "checkpoint" / "latest").write_text(f"step_{step:08d}\n")


def test_the_vocabulary_is_the_teachers_and_every_term_is_reported(run, words, metrics):
    folder, log = run
    assert f"the weights start from {words.teacher}" in log
    assert (folder / "vocab.txt").read_text() == (words.teacher / "vocab.txt").read_text()
    lines = [line for line in metrics(folder) if "loss" in line]
    assert len(lines) == 6
    for line in lines:
        parts = (line["soft_target_loss"], line["mlm_loss"], line["cosine_loss"])
        assert min(parts) > 0
        assert line["loss"] == pytest.approx(5 * parts[0] + 2 * parts[1] + parts[2])


def test_a_resumed_run_equals_the_straight_one(
    command, run, words, metrics, tensor_hashes, tmp_path
):
    folder = tmp_path / "copy"
    shutil.copytree(run[0], folder)
    cut_back(folder, 3)
    # Moved, so that the path alone says where it is now.
    moved = shutil.copytree(words.teacher, tmp_path / "moved")
    done = command.here(
        *words(folder, "--load_checkpoint=latest", f"--distillation.teacher={moved}")
    )
    assert done.code == 0, done.stderr
    assert "resumed at step 3" in done.stderr
    assert metrics(folder) == metrics(run[0])
    assert tensor_hashes(folder) == tensor_hashes(run[0])


def test_a_run_does_not_go_on_with_another_teacher(command, run, words, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(run[0], folder)
    cut_back(folder, 3)
    other = write_teacher(tmp_path / "other", seed=1)
    done = command.here(
        *words(folder, "--load_checkpoint=latest", f"--distillation.teacher={other}")
    )
    assert done.code == 2 and "teacher_fingerprint was" in done.stderr


@pytest.mark.slow
def test_a_run_of_ours_teaches_too(command, run, words, tmp_path):
    done = command.here(
        *words(tmp_path / "next", f"--distillation.teacher={run[0]}", "--max_steps=1"),
        "--distillation.teacher_layers=[1, 1]",
    )
    assert done.code == 0, done.stderr
    assert f"the weights start from {run[0]}" in done.stderr


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--distillation.teacher="], "needs a checkpoint to learn from"),
        (["--distillation.teacher=nowhere"], "no checkpoint at nowhere"),
        (["--distillation.teacher_layers=[0, 1, 2]"], "names 3 layers"),
        (["--distillation.teacher_layers=[0, 4]"], "[4] are not among the teacher's layers"),
        (["--model.model_config.hidden_size=48"], "model.model_config.hidden_size: 48, and the"),
        (
            ["--model.model_config.hidden_size=48", "--distillation.teacher_layers=null"],
            "their hidden states have no cosine",
        ),
        (["--model.model_config.vocab_size=99"], "model.model_config.vocab_size: 99, and the"),
        (["--vocab_file={folder}/other.txt"], "another vocabulary than the teacher's"),
        (
            [f"--distillation.{name}=0" for name in ("alpha_ce", "alpha_mlm", "alpha_cos")],
            "alpha_ce, alpha_mlm and alpha_cos are all 0",
        ),
        (["--trainer.type=MaskedLanguageModelingTrainer"], "has no teacher"),
    ],
)
def test_mistakes_are_explained(command, words, tmp_path, more, expected):
    tokens = (words.teacher / "vocab.txt").read_text().split("\n")
    other = words.folder / "other.txt"
    other.write_text("\n".join([*tokens[:5], *reversed(tokens[5:-1]), ""]))
    done = command.here(
        *words(tmp_path / "out", *(word.format(folder=words.folder) for word in more))
    )
    assert done.code == 2, done.stderr
    assert expected in done.stderr


def test_the_report_has_both_models(command, run, words, metrics, tmp_path, project_root):
    folder = run[0]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["distill-report", str(folder)]) == 0
    found = json.loads((folder / "distill_report.json").read_text())
    assert out.getvalue() == (folder / "distill_report.txt").read_text()
    last = [line for line in metrics(folder) if "eval_loss" in line][-1]
    # The teacher by itself, as any checkpoint is evaluated, on what the student's run held out.
    done = command.here(
        f"--config={project_root / 'configs' / 'bert' / 'run_bert_mini_en.yaml'}",
        "--run_mode=eval",
        f"--load_checkpoint={words.teacher}",
        f"--train_dataset.data_loader.dataset_dir={words.folder / 'text.txt'}",
        f"--output_dir={tmp_path}",
        "--train_dataset.max_seq_length=16",
        "--context.device_target=CPU",
    )
    assert done.code == 0, done.stderr
    alone = json.loads(done.stdout)
    for role, line in (("student", last), ("teacher", alone)):
        for measure in ("loss", "perplexity", "masked_accuracy"):
            assert found[role][measure] == pytest.approx(line[f"eval_{measure}"], rel=1e-6)
        model = transformers.BertForMaskedLM.from_pretrained(words.teacher)
        layers = model.bert.encoder.layer
        model.bert.encoder.layer = layers[: found[role]["layers"]]
        expected = sum(value.numel() for value in model.parameters())
        assert found[role]["parameters"] == expected
        assert found[role]["weight_bytes"] == 4 * expected
        assert found[role]["rows_per_second"] > 0
    assert [found[role]["layers"] for role in ("teacher", "student")] == [4, 2]
    assert found["ratio"]["layers"] == 0.5


def test_a_report_about_another_run_is_refused(trained, tmp_path, capsys):
    assert main(["distill-report", str(trained.folder)]) == 2
    assert "this report is about DistillationTrainer" in capsys.readouterr().err
    assert main(["distill-report", str(tmp_path)]) == 2
    assert "config.yaml: no such file" in capsys.readouterr().err
