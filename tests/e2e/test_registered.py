"""Training runs with schedules, optimizers and callbacks that MindFormers registers."""

import shutil

import pytest

pytest.importorskip("mindformers")
SCHEDULE = (
    "--lr_schedule.type=CosineWithWarmUpLR",
    "--lr_schedule.learning_rate=0.01",
    "--lr_schedule.warmup_steps=3",
)
OPTIMIZER = ("--optimizer.type=RMSProp", "--optimizer.weight_decay=0.01")


@pytest.fixture(scope="module")
def foreign(command, tmp_path_factory):
    """A finished run of 12 steps with foreign parts, which prints by a foreign callback."""
    folder = tmp_path_factory.mktemp("foreign") / "run"
    words = [*SCHEDULE, *OPTIMIZER, "--callbacks.LossMonitor.per_print_times=5"]
    done = command.here(*command.words(folder, *words))
    assert done.code == 0, done.stderr
    return folder, words, done


def test_the_rate_is_that_of_the_schedule_and_the_loss_falls(foreign, metrics):
    folder, _, done = foreign
    lines = [line for line in metrics(folder) if "loss" in line]
    rates = [line["learning_rate"] for line in lines]
    assert rates[:4] == pytest.approx([0.0, 0.01 / 3, 0.02 / 3, 0.01])
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert lines[-1]["loss"] < lines[0]["loss"]
    printed = [line for line in done.stdout.splitlines() if "loss is" in line]
    assert len(printed) == 2
    assert f"loss is {lines[4]['loss']:.4f}"[:-1] in printed[0]


def test_a_resumed_run_equals_the_straight_one(foreign, command, metrics, tensor_hashes, tmp_path):
    folder, words, _ = foreign
    run = tmp_path / "run"
    shutil.copytree(folder, run)
    # As a run that was killed right after it had saved step 8.
    shutil.rmtree(run / "checkpoint" / "step_00000012")
    (run / "checkpoint" / "latest").write_text("step_00000008\n")
    done = command.here(*command.words(run, *words, "--load_checkpoint=latest"))
    assert done.code == 0, done.stderr
    assert "resumed at step 8" in done.stderr
    assert metrics(run) == metrics(folder)
    assert tensor_hashes(run) == tensor_hashes(folder)
    assert any(name.startswith("mean_square.") for _, name in tensor_hashes(run))
    assert ("optimizer", "shared.global_step") in tensor_hashes(run)
    other = command.here(*command.words(run, *SCHEDULE, "--load_checkpoint=latest"))
    assert other.code != 0
    assert "optimizer.type was RMSProp and is adamw now" in other.stderr


def test_a_callback_ends_the_run_with_a_checkpoint(command, tmp_path):
    folder = tmp_path / "run"
    done = command.here(*command.words(folder, "--callbacks.TrainCallBack.stop_step=6"))
    assert done.code == 0, done.stderr
    steps = {path.name for path in (folder / "checkpoint").glob("step_*")}
    assert steps == {"step_00000004", "step_00000006"}


def test_a_loss_that_does_not_fall_ends_the_run(command, tmp_path):
    words = [
        "--callbacks.EarlyStopping.monitor=loss",
        "--callbacks.EarlyStopping.patience=2",
        "--lr_schedule.learning_rate=1e-12",
        "--max_steps=400",
        "--callbacks.EarlyStopping.min_delta=0.5",
    ]
    done = command.here(*command.words(tmp_path / "run", *words))
    assert done.code == 0, done.stderr
    last = max(path.name for path in (tmp_path / "run" / "checkpoint").glob("step_*"))
    assert 0 < int(last.removeprefix("step_")) < 400
