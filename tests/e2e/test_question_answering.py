"""Question answering through the command line: fine-tune, judge, ask, clear errors."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from mindmlm.testing.questions import VOCABULARY, write_questions, write_squad, write_vocabulary

SMALL = (
    "--model.model_config.num_hidden_layers=1",
    "--model.model_config.hidden_size=64",
    "--model.model_config.intermediate_size=128",
    "--train_dataset.max_seq_length=40",
    "--train_dataset.max_question_length=12",
    "--train_dataset.doc_stride=8",
    "--batch_size=8",
    "--device_target=CPU",
)
PROJECT = Path(__file__).resolve().parents[2]
ASKED = "My name is ben and I live in rome. - Where do I live?"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with questions and a vocabulary."""
    folder = tmp_path_factory.mktemp("qa")
    write_squad(folder / "squad")
    write_vocabulary(folder / "vocab.txt")
    return folder


@pytest.fixture(scope="module")
def words(command, files):
    """A function of the output folder: arguments of a run of 30 steps."""

    def arguments(folder, *more):
        config = command.project_root / "configs" / "qa" / "run_qa_bert_tiny.yaml"
        return [
            f"--config={config}",
            f"--output_dir={folder}",
            f"--dataset_dir={files / 'squad'}",
            f"--vocab_file={files / 'vocab.txt'}",
            "--max_steps=40",
            "--save_checkpoint_steps=20",
            "--lr_schedule.learning_rate=2e-3",
            *SMALL,
            *more,
        ]

    return arguments


@pytest.fixture(scope="module")
def run(command, words, tmp_path_factory):
    """The output folder of a finished run; read only."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    done = command.here(*words(folder))
    assert done.code == 0, done.stderr
    return folder


def evaluations(folder) -> list[dict]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if "eval_f1" in record]


def test_training_is_judged_and_its_answers_are_written(run):
    log = next(run.glob("**/*.log")).read_text(encoding="utf-8")
    assert "QA Metric = {'QA Metric': {'exact_match': " in log and "'f1': " in log
    assert "training: train-v1.1.json: 80 questions on 40 paragraphs -> 80 rows" in log
    first, last = evaluations(run)
    assert last["eval_exact_match"] > first["eval_exact_match"]
    assert last["eval_loss"] < first["eval_loss"]
    predictions = json.loads((run / "predictions.json").read_text(encoding="utf-8"))
    assert len(predictions) == 40 and all(key.startswith("1-") for key in predictions)


@pytest.mark.slow
def test_a_resumed_run_is_the_unbroken_one(command, words, run, tmp_path):
    half = tmp_path / "half"
    shutil.copytree(run, half)
    shutil.rmtree(half / "checkpoint" / "step_00000040")
    (half / "checkpoint" / "latest").unlink()
    done = command.here(*words(half, "--load_checkpoint=latest"))
    assert done.code == 0, done.stderr
    assert evaluations(half)[-1] == evaluations(run)[-1]


def test_evaluation_gives_the_numbers_of_training(command, words, run, tmp_path):
    folder = tmp_path / "out"
    done = command.here(*words(folder, "--run_mode=eval", f"--load_checkpoint={run}"))
    assert done.code == 0, done.stderr
    found, expected = json.loads(done.stdout), evaluations(run)[-1]
    assert found == pytest.approx(expected, rel=1e-6)
    assert (folder / "predictions.json").read_text() == (run / "predictions.json").read_text()
    assert "flatter" not in done.stderr


def test_questions_in_every_form(command, words, run, tmp_path):
    mapping = dict(zip(("context", "question"), ASKED.split(" - "), strict=True))
    (tmp_path / "asked.json").write_text(json.dumps([mapping, mapping]))
    (tmp_path / "asked.txt").write_text(f"{ASKED}\n\n{ASKED}\n")

    def ask(asked, *more):
        more = ("--run_mode=predict", f"--load_checkpoint={run}", *more)
        done = command.here(*words(tmp_path / "none", *more, f"--predict_data={asked}"))
        assert done.code == 0, done.stderr
        return json.loads(done.stdout)

    (answer,) = ask(ASKED)
    assert answer["text"] == ASKED[answer["start"] : answer["end"]]
    for name in ("asked.json", "asked.txt"):
        assert ask(tmp_path / name) == [[answer], [answer]]
    assert ask(ASKED, "--metric.top_k=3")[0] == answer
    questions = write_questions(tmp_path / "more.json", 3, seed=5)
    assert len(ask(questions)) == 6
    assert not (tmp_path / "none").exists()


def test_fine_tuning_takes_over_a_masked_language_model(command, words, files, tmp_path):
    masked, tuned = tmp_path / "masked", tmp_path / "tuned"
    text = files / "text.txt"
    text.write_text("my name is ben and i live in rome .\n" * 30 + "i like bread .\n" * 10)
    bert = command.project_root / "configs" / "bert" / "run_bert_tiny_en.yaml"
    given = [word for word in words(masked) if not word.startswith(("--config", "--dataset_dir"))]
    given = [word for word in given if "question" not in word and "stride" not in word]
    done = command.here(f"--config={bert}", f"--dataset_dir={text}", *given, "--max_steps=3")
    assert done.code == 0, done.stderr
    start = ("--run_mode=finetune", f"--load_checkpoint={masked}", "--max_steps=2")
    done = command.here(*words(tuned, *start))
    assert done.code == 0, done.stderr
    assert "is a BertForMaskedLM: its head is left out" in done.stderr
    refused = command.here(*words(tmp_path / "no", f"--load_checkpoint={masked}", "--max_steps=2"))
    assert refused.code == 2 and "the weights do not fit" in refused.stderr


@pytest.mark.parametrize(
    "kind",
    [
        "BertForQuestionAnswering",
        pytest.param("BertForMaskedLM", marks=pytest.mark.slow),
        pytest.param("BertModel", marks=pytest.mark.slow),
    ],
)
def test_fine_tuning_starts_from_transformers(command, words, tmp_path, kind):
    pytest.importorskip("transformers")
    from mindmlm.testing.tiny_bert import huggingface_bert, save_huggingface

    settings = {"vocab_size": len(VOCABULARY), "max_position_embeddings": 64}
    folder = save_huggingface(huggingface_bert(kind, **settings), tmp_path / "hf", VOCABULARY)
    given = [word for word in words(tmp_path / "out") if "vocab_file" not in word]
    start = (f"--load_checkpoint={folder}", "--max_steps=2")
    done = command.here(*given, "--run_mode=finetune", *start)
    assert done.code == 0, done.stderr
    has_head = kind == "BertForQuestionAnswering"
    assert ("2 fresh" in done.stderr) is not has_head, done.stderr
    judged = command.here(*given, "--run_mode=eval", start[0])
    assert (judged.code == 0) is has_head, judged.stderr
    assert has_head or "qa.weight" in judged.stderr


def documented() -> list[list[str]]:
    """The words of the commands of docs/question-answering.md."""
    page = (PROJECT / "docs" / "question-answering.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return [shlex.split(block.replace("\\\n", " "))[2:] for block in blocks]


@pytest.mark.slow
def test_the_documented_commands(command, files, tmp_path, monkeypatch):
    pytest.importorskip("transformers")
    from mindmlm.testing.tiny_bert import huggingface_bert, save_huggingface

    settings = {"vocab_size": len(VOCABULARY), "max_position_embeddings": 64}
    save_huggingface(huggingface_bert(**settings), tmp_path / "bert-base-uncased", VOCABULARY)
    shutil.copytree(files / "squad", tmp_path / "squad")
    shutil.copytree(PROJECT / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    tune, judge, ask = documented()
    small = [word for word in SMALL if "model_config" not in word]
    assert command.here(*tune, *small, "--max_steps=3").code == 0
    done = command.here(*judge)
    assert done.code == 0 and "eval_f1" in json.loads(done.stdout), done.stderr
    assert "QA Metric = {'QA Metric': {'exact_match'" in done.stderr
    done = command.here(*ask)
    assert done.code == 0, done.stderr
    assert set(json.loads(done.stdout)[0]) == {"text", "score", "start", "end"}


@pytest.mark.parametrize(
    ("change", "words_of_error"),
    [
        (["--dataset_dir={folder}/nothing"], ["dataset_dir", "no such file or folder"]),
        (["--dataset_dir={folder}"], ["no file of questions (train-v1.1.json"]),
        (["--dataset_dir={folder}/faulty.json"], ["faulty.json", "question q", "answer_start"]),
        (
            ["--eval_dataset_dir={folder}/v2.json"],
            ["v2.json: 1 questions have no answer", "squad_v2"],
        ),
        (["--train_dataset.doc_stride=30"], ["doc_stride", "do not advance"]),
    ],
)
def test_mistakes_are_explained(command, words, tmp_path, change, words_of_error):
    faulty = {"id": "q", "question": "?", "answers": [{"text": "a"}]}
    none = {"id": "q", "question": "?", "answers": [], "is_impossible": True}
    for name, question in (("faulty.json", faulty), ("v2.json", none)):
        content = {"data": [{"paragraphs": [{"context": "a b", "qas": [question]}]}]}
        (tmp_path / name).write_text(json.dumps(content))
    options = [option.format(folder=tmp_path) for option in change]
    done = command.here(*words(tmp_path / "out", *options))
    assert done.code == 2
    assert all(word in done.stderr for word in words_of_error), done.stderr
    assert "Traceback" not in done.stderr
