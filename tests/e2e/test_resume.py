"""Going on from a checkpoint is bit for bit the run that was never stopped."""

import shutil

import pytest


def cut_back(folder, step):
    """Leave the folder as a run that was killed right after it had saved `step`."""
    for path in (folder / "checkpoint").glob("step_*"):
        if int(path.name[5:13]) > step:
            shutil.rmtree(path)
    (folder / "checkpoint" / "latest").write_text(f"step_{step:08d}\n")


@pytest.mark.parametrize("given", ["latest", "", "checkpoint"])
def test_a_resumed_run_equals_the_straight_one(
    command, trained, copy_of_run, metrics, tensor_hashes, given
):
    cut_back(copy_of_run, 8)
    path = given if given == "latest" else copy_of_run / given
    done = command.here(*command.words(copy_of_run, f"--load_checkpoint={path}"))
    assert done.code == 0, done.stderr
    assert "resumed at step 8" in done.stderr
    assert metrics(copy_of_run) == metrics(trained.folder)
    assert tensor_hashes(copy_of_run) == tensor_hashes(trained.folder)


def test_resuming_an_older_step_takes_the_later_ones_back(
    command, trained, copy_of_run, metrics, tensor_hashes
):
    step = copy_of_run / "checkpoint" / "step_00000008"
    done = command.here(*command.words(copy_of_run, f"--load_checkpoint={step}"))
    assert done.code == 0, done.stderr
    assert metrics(copy_of_run) == metrics(trained.folder)
    assert tensor_hashes(copy_of_run) == tensor_hashes(trained.folder)


def test_a_complete_run_is_left_alone(command, trained, copy_of_run, metrics, tensor_hashes):
    done = command.here(*command.words(copy_of_run, "--load_checkpoint=latest"))
    assert done.code == 0, done.stderr
    assert "already at step 12 of 12" in done.stderr
    assert metrics(copy_of_run) == metrics(trained.folder)
    assert tensor_hashes(copy_of_run) == tensor_hashes(trained.folder)


def test_threads_may_change_between_the_parts(
    command, trained, copy_of_run, metrics, tensor_hashes
):
    cut_back(copy_of_run, 8)
    done = command.here(
        *command.words(copy_of_run, "--load_checkpoint=latest"),
        "--train_dataset.num_parallel_workers=4",
        "--train_dataset.prefetch_size=9",
    )
    assert done.code == 0, done.stderr
    assert metrics(copy_of_run) == metrics(trained.folder)
    assert tensor_hashes(copy_of_run) == tensor_hashes(trained.folder)


@pytest.mark.parametrize(
    ("word", "named"),
    [("--seed=7", "seed was 42"), ("--batch_size=2", "global_batch_size was 4")],
)
def test_a_run_with_other_data_is_no_continuation(command, copy_of_run, word, named):
    cut_back(copy_of_run, 8)
    done = command.here(*command.words(copy_of_run, "--load_checkpoint=latest", word))
    assert done.code == 2
    assert named in done.stderr


def damage(folder, step):
    path = folder / "checkpoint" / f"step_{step:08d}" / "model.rank_00000.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def test_latest_falls_back_from_a_damaged_checkpoint(
    command, trained, copy_of_run, metrics, tensor_hashes
):
    damage(copy_of_run, 12)
    done = command.here(*command.words(copy_of_run, "--load_checkpoint=latest"))
    assert done.code == 0, done.stderr
    assert "step_00000012 was passed over" in done.stderr
    assert "resumed at step 8" in done.stderr
    assert metrics(copy_of_run) == metrics(trained.folder)
    assert tensor_hashes(copy_of_run) == tensor_hashes(trained.folder)


def test_an_explicit_damaged_checkpoint_is_refused(command, copy_of_run):
    damage(copy_of_run, 12)
    step = copy_of_run / "checkpoint" / "step_00000012"
    done = command.here(*command.words(copy_of_run, f"--load_checkpoint={step}"))
    assert done.code == 2
    assert "model.rank_00000.safetensors" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_good_is_left(command, copy_of_run):
    damage(copy_of_run, 8)
    damage(copy_of_run, 12)
    done = command.here(*command.words(copy_of_run, "--load_checkpoint=latest"))
    assert done.code == 2
    assert "no usable checkpoint" in done.stderr


@pytest.mark.parametrize("mode", ["train", "finetune", "eval", "predict"])
def test_latest_of_nothing_is_an_error(command, tmp_path, mode):
    done = command.here(
        *command.words(tmp_path / "run", "--load_checkpoint=latest", f"--run_mode={mode}"),
        "--predict_data=[MASK]",
    )
    assert done.code == 2
    assert "no checkpoint was saved yet" in done.stderr


@pytest.mark.parametrize("mode", ["train", "finetune"])
def test_a_new_run_does_not_mix_with_an_old_one(command, trained, copy_of_run, metrics, mode):
    start = [f"--load_checkpoint={trained.folder}"] if mode == "finetune" else []
    done = command.here(*command.words(copy_of_run, f"--run_mode={mode}", *start))
    assert done.code == 2
    assert "holds the checkpoints of an earlier run" in done.stderr
    assert metrics(copy_of_run) == metrics(trained.folder)


def test_a_run_that_saved_nothing_is_started_anew(command, trained, tmp_path, metrics):
    (tmp_path / "checkpoint" / "step_00000004.tmp").mkdir(parents=True)
    (tmp_path / "metrics.jsonl").write_text('{"step": 3, "loss": 1.0}\n{"step":')
    done = command.here(*command.words(tmp_path))
    assert done.code == 0, done.stderr
    assert metrics(tmp_path) == metrics(trained.folder)
    assert (tmp_path / "metrics.1.jsonl").is_file()
    names = {entry.name for entry in (tmp_path / "checkpoint").iterdir()}
    assert names == {"latest", "step_00000008", "step_00000012"}


def test_another_model_is_refused_with_the_names_of_its_tensors(command, copy_of_run):
    cut_back(copy_of_run, 8)
    done = command.here(
        *command.words(copy_of_run, "--load_checkpoint=latest"),
        "--model.model_config.intermediate_size=96",
    )
    assert done.code == 2
    assert "do not fit the model" in done.stderr
    assert "bert.layers.0.intermediate.weight: [64, 32] in the checkpoint, [96, 32]" in done.stderr
