"""Train, evaluate, predict and fine-tune as a user does, and what is written where."""

import json
import math
import re

import pytest
import yaml

from mindmlm.testing.command import run_python
from mindmlm.testing.corpus import write_corpus

TRAIN_KEYS = {
    "step",
    "epoch",
    "loss",
    "learning_rate",
    "gradient_norm",
    "loss_scale",
    "overflow_count",
    "global_batch_size",
    "tokens_per_second",
    "samples_per_second",
}
EVAL_KEYS = {"step", "eval_loss", "eval_perplexity", "eval_masked_accuracy"}


def test_the_output_folder_holds_what_is_promised(trained):
    names = {entry.name for entry in trained.folder.iterdir()}
    assert names == {
        ".lock",
        "checkpoint",
        "config.yaml",
        "dataset_cache",
        "log",
        "metrics.jsonl",
        "vocab.txt",
    }
    checkpoints = {entry.name for entry in (trained.folder / "checkpoint").iterdir()}
    assert checkpoints == {"latest", "step_00000008", "step_00000012"}
    assert (trained.folder / "checkpoint" / "latest").read_text() == "step_00000012\n"
    assert [entry.name for entry in (trained.folder / "log").iterdir()] == ["rank_0.log"]


def test_metrics_have_one_line_a_step_and_one_an_evaluation(trained):
    text = (trained.folder / "metrics.jsonl").read_text()
    assert text.endswith("\n")
    lines = [json.loads(line) for line in text.splitlines()]
    train = [line for line in lines if "loss" in line]
    evaluations = [line for line in lines if "eval_loss" in line]
    assert all(line.keys() == TRAIN_KEYS for line in train)
    assert all(line.keys() == EVAL_KEYS for line in evaluations)
    assert [line["step"] for line in train] == list(range(1, 13))
    assert [line["step"] for line in evaluations] == [0, 6, 12]
    assert len(lines) == 15
    assert all(math.isfinite(value) for line in lines for value in line.values())
    assert {line["global_batch_size"] for line in train} == {4}
    for line in evaluations:
        assert line["eval_perplexity"] == pytest.approx(math.exp(line["eval_loss"]))
    # Not rounded: most have more than six digits.
    assert sum(len(repr(line["gradient_norm"])) > 8 for line in train) > 6


def test_the_screen_and_the_log_say_the_same(trained):
    assert trained.finished.stdout == ""
    log = (trained.folder / "log" / "rank_0.log").read_text(encoding="utf-8")
    for words in (
        "device: CPU",
        "global batch 4 = batch_size 4 x data_parallel 1",
        "gradient_accumulation_steps 1",
        "held-out loss",
        "step 10/12",
        "checkpoint saved in",
    ):
        assert words in trained.finished.stderr
        assert words in log
    assert "Traceback" not in trained.finished.stderr


def test_the_resolved_config_repeats_the_run(command, trained, metrics, tensor_hashes, tmp_path):
    config = yaml.safe_load((trained.folder / "config.yaml").read_text(encoding="utf-8"))
    assert config["runner_config"]["max_steps"] == 12
    again = command.here(f"--config={trained.folder / 'config.yaml'}", f"--output_dir={tmp_path}")
    assert again.code == 0, again.stderr
    assert metrics(tmp_path) == metrics(trained.folder)
    assert tensor_hashes(tmp_path) == tensor_hashes(trained.folder)


def test_eval_prints_json_and_appends_its_line(command, copy_of_run, metrics):
    before = metrics(copy_of_run)
    done = command.process(
        *command.words(copy_of_run, "--run_mode=eval", "--load_checkpoint=latest"),
        "--dataset_dir=",
        f"--train_dataset.data_loader.dataset_dir={command.text}",
    )
    assert done.code == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed.keys() == EVAL_KEYS
    # The weights and the held-out text are those of the last evaluation in training.
    assert printed == before[-1]
    assert metrics(copy_of_run) == [*before, printed]


def test_eval_on_another_text(command, copy_of_run, tmp_path, metrics):
    other = write_corpus(tmp_path / "other.txt", documents=30, seed=9)
    done = command.here(
        *command.words(copy_of_run, "--run_mode=eval", "--load_checkpoint=latest"),
        f"--dataset_dir={other}",
    )
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout)["eval_loss"] != metrics(copy_of_run)[-2]["eval_loss"]


def check_predictions(text, stdout):
    results = json.loads(stdout)
    assert [result["text"] for result in results] == text
    for result in results:
        assert len(result["blanks"]) == result["text"].count("[MASK]")
        for blank in result["blanks"]:
            assert blank.keys() == {"position", "candidates"}
            scores = [candidate["score"] for candidate in blank["candidates"]]
            assert len(scores) == 5
            assert scores == sorted(scores, reverse=True)
            assert 0 < sum(scores) <= 1.0001
    return results


def test_predict_prints_json_only(command, trained, tmp_path):
    text = "今天天气很[MASK]"
    done = command.process(
        *command.words(tmp_path, "--run_mode=predict", f"--load_checkpoint={trained.folder}"),
        f"--predict_data={text}",
    )
    assert done.code == 0, done.stderr
    check_predictions([text], done.stdout)
    assert "今天天气很" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_predict_from_a_list_and_from_a_file(command, trained, tmp_path):
    texts = ["今天[MASK]气", "老[MASK]在学[MASK]"]
    file = tmp_path / "texts.txt"
    file.write_text("\n\n".join(texts) + "\n", encoding="utf-8")
    listed = tmp_path / "listed.yaml"
    tree = {"base_config": [str(trained.folder / "config.yaml")], "predict_data": texts}
    listed.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
    words = command.words(tmp_path, "--run_mode=predict", f"--load_checkpoint={trained.folder}")
    as_list = command.here(*words, f"--config={listed}")
    from_file = command.here(*words, f"--predict_data={file}")
    assert (as_list.code, from_file.code) == (0, 0), as_list.stderr + from_file.stderr
    assert check_predictions(texts, as_list.stdout) == check_predictions(texts, from_file.stdout)


def test_finetune_takes_the_weights_only(command, trained, metrics, tmp_path):
    done = command.here(
        *command.words(tmp_path, "--run_mode=finetune", f"--load_checkpoint={trained.folder}"),
        "--max_steps=2",
        "--seed=5",
    )
    assert done.code == 0, done.stderr
    lines = metrics(tmp_path)
    assert [line["step"] for line in lines] == [0, 1, 2, 2]
    finished = {key: value for key, value in metrics(trained.folder)[-1].items() if key != "step"}
    assert {key: value for key, value in lines[0].items() if key != "step"} == finished
    assert lines[1]["learning_rate"] == 0.0
    assert (tmp_path / "vocab.txt").read_text() == (trained.folder / "vocab.txt").read_text()


def test_a_vocabulary_is_trained_where_none_is_given(command, tmp_path):
    done = command.here(*command.words(tmp_path, "--max_steps=1", "--mode=1", "--vocab_file="))
    assert done.code == 0, done.stderr
    trained = (tmp_path / "vocab.txt").read_text(encoding="utf-8").splitlines()
    assert trained[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    # The one of the fixture was trained on the same text by the same function.
    assert set(command.vocabulary.read_text(encoding="utf-8").splitlines()) == set(trained)


def test_inspect_as_a_process(trained):
    done = run_python(["-m", "mindmlm", "inspect", trained.folder, "--json"])
    assert done.code == 0, done.stderr
    content = json.loads(done.stdout)
    assert (content["step"], content["verified"]) == (12, True)
    assert all(re.fullmatch(r"[0-9a-f]{64}", tensor["sha256"]) for tensor in content["tensors"])
    groups = {tensor["group"] for tensor in content["tensors"]}
    assert groups == {"model", "optimizer"}
