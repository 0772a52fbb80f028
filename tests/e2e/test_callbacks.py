"""Keys that change what a run writes and says."""

import json


def test_profile_name_progress_and_intervals(command, tmp_path, metrics):
    done = command.here(
        *command.words(tmp_path, "--max_steps=7", "--save_checkpoint_steps=2"),
        "--mode=1",
        "--profile=True",
        "--trainer.model_name=mine",
        "--callbacks.MFLossMonitor.per_print_times=3",
        "--callbacks.CheckpointMonitor.keep_checkpoint_max=3",
        "--callbacks.EvalMonitor.eval_steps=4",
    )
    assert done.code == 0, done.stderr
    assert "INFO mine: " in done.stderr
    shown = [
        line.split("step ")[1].split("/")[0] for line in done.stderr.splitlines() if "/7," in line
    ]
    assert shown == ["3", "6", "7"]
    names = sorted(path.name for path in (tmp_path / "checkpoint").glob("step_*"))
    assert names == ["step_00000004", "step_00000006", "step_00000007"]
    assert [line["step"] for line in metrics(tmp_path) if "eval_loss" in line] == [0, 4, 7]
    profile = json.loads((tmp_path / "profile.json").read_text())
    assert profile.keys() == {
        "data",
        "forward_backward",
        "gradient_norm",
        "reduce",
        "update",
        "checkpoint",
        "evaluation",
    }
    calls = {name: phase["calls"] for name, phase in profile.items()}
    assert calls["forward_backward"] == calls["data"] == 7
    assert (calls["checkpoint"], calls["evaluation"]) == (4, 3)
    # PyNative mode, as asked for.
    import mindspore

    assert mindspore.get_context("mode") == mindspore.PYNATIVE_MODE


def test_the_first_weights_need_not_be_evaluated(command, tmp_path, metrics):
    done = command.here(
        *command.words(tmp_path, "--max_steps=3"),
        "--callbacks.EvalMonitor.eval_on_start=False",
        "--callbacks.EvalMonitor.eval_steps=2",
    )
    assert done.code == 0, done.stderr
    assert [line["step"] for line in metrics(tmp_path) if "eval_loss" in line] == [2, 3]


def test_a_vocabulary_of_the_size_that_was_asked_for(command, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("Ä word\nanother Word\n" * 20, encoding="utf-8")
    vocabularies = {}
    for size, lower in ((22, True), (26, False)):
        folder = tmp_path / f"{size}{lower}"
        done = command.here(
            *command.words(folder, f"--dataset_dir={text}", "--vocab_file="),
            "--max_steps=1",
            "--mode=1",
            f"--processor.tokenizer.train_vocab_size={size}",
            f"--processor.tokenizer.do_lower_case={lower}",
        )
        assert done.code == 0, done.stderr
        vocabularies[size, lower] = (folder / "vocab.txt").read_text().splitlines()
    assert len(vocabularies[22, True]) == 22 < len(vocabularies[26, False]) <= 26
    pieces = {size: "".join(tokens[5:]) for (size, _), tokens in vocabularies.items()}
    assert pieces[22] == pieces[22].lower()
    assert "W" in pieces[26]
