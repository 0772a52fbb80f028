import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load_file

from mindmlm import __version__
from mindmlm.checkpoint import (
    Placement,
    begin_checkpoint,
    commit_checkpoint,
    read_checkpoint,
    save_checkpoint,
    write_shard,
)
from mindmlm.checkpoint.shards import SAFETENSORS_DTYPES, write_safetensors
from mindmlm.errors import CheckpointError

from .conftest import random_tensors, save


def assert_same_arrays(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype.newbyteorder("=")
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.astype(array.dtype.newbyteorder("=")).tobytes()


def test_what_was_saved_is_read_bit_for_bit(root: Path) -> None:
    path = save(root, 50)
    assert path == root / "step_00000050"
    assert (root / "latest").read_text() == "step_00000050\n"
    checkpoint = read_checkpoint(path)
    for group, arrays in random_tensors(50).items():
        assert_same_arrays(checkpoint.tensors(group), arrays)
    assert checkpoint.step == 50
    assert checkpoint.state == {"step": 50, "samples_seen": 400, "seed": 50}
    assert checkpoint.config["model"]["model_config"] == {"hidden_size": 5}
    assert checkpoint.layout == {"data_parallel": 1, "model_parallel": 1, "pipeline_stage": 1}
    assert checkpoint.manifest.created_by == f"mindmlm {__version__}"
    assert all(array.flags.writeable for array in checkpoint.tensors("model").values())


def test_files_on_the_disk(root: Path) -> None:
    path = save(root, 3)
    assert sorted(entry.name for entry in path.iterdir()) == [
        "manifest.json",
        "manifest.sha256",
        "model.rank_00000.safetensors",
        "optimizer.rank_00000.safetensors",
    ]
    assert sorted(entry.name for entry in root.iterdir()) == ["latest", "step_00000003"]
    # The digest is of the format that coreutils checks.
    check = ["sha256sum", "--check", "--strict", "manifest.sha256"]
    assert subprocess.run(check, cwd=path, capture_output=True, check=False).returncode == 0
    manifest = json.loads((path / "manifest.json").read_text())
    for name, record in manifest["files"].items():
        assert (path / name).stat().st_size == record["size"]


@given(
    array=st.sampled_from(sorted(SAFETENSORS_DTYPES)).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0))
    ),
    big_endian=st.booleans(),
    reverse=st.booleans(),
)
def test_safetensors_of_any_type_and_order(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, big_endian: bool, reverse: bool
) -> None:
    path = tmp_path_factory.mktemp("shard") / "x.safetensors"
    if big_endian:
        array = array.astype(array.dtype.newbyteorder(">"))
    if reverse:
        array = array.T
    others = {"a": np.arange(3, dtype=np.uint8), "ä ö": np.ones((2, 1), np.float64)}
    record = write_safetensors(path, {"x": array, **others})
    assert record.size == path.stat().st_size
    assert_same_arrays(load_file(path), {"x": array, **others})


def test_a_type_without_a_place_in_the_format_is_refused_and_leaves_nothing(root: Path) -> None:
    with pytest.raises(ValueError, match=r"tensor z: type complex64"):
        save_checkpoint(root, 1, {"model": {"z": np.zeros(2, np.complex64)}}, {}, {}, 1)
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("state", [{"loss": float("nan")}, {"loss": np.float32(1)}])
def test_a_state_that_json_cannot_hold_is_refused(root: Path, state: dict) -> None:
    save(root, 1)
    with pytest.raises((TypeError, ValueError)):
        save_checkpoint(root, 2, {"model": {}}, state, {}, 1)
    assert sorted(entry.name for entry in root.iterdir()) == ["latest", "step_00000001"]


def test_a_group_may_be_empty(root: Path) -> None:
    tensors = {**random_tensors(4), "gradients": {}}
    path = save_checkpoint(root, 4, tensors, {}, {}, 1)
    checkpoint = read_checkpoint(path)
    assert checkpoint.tensors("gradients") == {}
    assert_same_arrays(checkpoint.tensors("model"), tensors["model"])


def test_unknown_group(root: Path) -> None:
    checkpoint = read_checkpoint(save(root, 1))
    with pytest.raises(CheckpointError, match=r"no group 'ema'.*model, optimizer"):
        checkpoint.tensors("ema")


def test_steps_beyond_eight_digits(root: Path) -> None:
    step = 123_456_789_012
    assert save(root, step).name == "step_123456789012"
    assert read_checkpoint(root / "step_123456789012").step == step


def test_only_the_newest_are_kept(root: Path) -> None:
    for step in (10, 20, 30, 40):
        save(root, step, keep=2)
    assert sorted(entry.name for entry in root.iterdir()) == [
        "latest",
        "step_00000030",
        "step_00000040",
    ]


def test_after_going_back_the_abandoned_run_is_deleted_first(root: Path) -> None:
    for step in (10, 20, 30):
        save(root, step, keep=3)
    save(root, 15, keep=2)
    names = sorted(entry.name for entry in root.iterdir())
    assert names == ["latest", "step_00000010", "step_00000015"]
    assert (root / "latest").read_text() == "step_00000015\n"


def test_at_least_one_is_kept(root: Path) -> None:
    with pytest.raises(ValueError, match="keep_checkpoint_max"):
        save(root, 1, keep=0)


def test_a_checkpoint_of_the_same_step_is_replaced(root: Path) -> None:
    save(root, 5, seed=1)
    save(root, 5, seed=2)
    assert read_checkpoint(root / "step_00000005").state["seed"] == 2
    assert sorted(entry.name for entry in root.iterdir()) == ["latest", "step_00000005"]


def test_leftovers_of_killed_runs_go_at_the_next_save(root: Path) -> None:
    save(root, 1)
    for name in ("step_00000002.tmp", "step_00000009.trash"):
        (root / name).mkdir()
        (root / name / "model.rank_00000.safetensors").write_bytes(b"torn")
    (root / "step_00000001").rename(root / "step_00000001.old")
    (root / "notes.txt").write_text("mine")
    (root / "step_1").mkdir()
    save(root, 2)
    assert sorted(entry.name for entry in root.iterdir()) == [
        "latest",
        "notes.txt",
        "step_00000001",
        "step_00000002",
        "step_1",
    ]
    assert read_checkpoint(root / "step_00000001").step == 1


def save_in_slices(root: Path, whole: np.ndarray, starts: list[int], ends: list[int]) -> Path:
    """Write ``whole`` as one shard per rank, cut along the last axis."""
    folder = begin_checkpoint(root, 7)
    shards = []
    for rank, (start, end) in enumerate(zip(starts, ends, strict=True)):
        placement = Placement(shape=whole.shape, start=(0,) * (whole.ndim - 1) + (start,))
        block = whole[..., start:end]
        shards.append(write_shard(folder, "model", {"w": block}, rank, {"w": placement}))
    layout = {"model_parallel": len(starts)}
    return commit_checkpoint(
        root, 7, shards, state={}, config={}, layout=layout, keep_checkpoint_max=1
    )


def test_slices_of_several_ranks_make_one_tensor(root: Path) -> None:
    whole = np.random.default_rng(0).standard_normal((3, 2, 11)).astype(np.float32)
    checkpoint = read_checkpoint(save_in_slices(root, whole, [0, 4, 9], [4, 9, 11]))
    assert sorted(checkpoint.manifest.files) == [
        f"model.rank_0000{rank}.safetensors" for rank in range(3)
    ]
    assert_same_arrays(checkpoint.tensors("model"), {"w": whole})


@pytest.mark.parametrize(
    ("starts", "ends", "reason"),
    [
        ([0, 5], [4, 11], "not covered exactly"),
        ([0, 3], [4, 11], "not covered exactly"),
        ([0, 0], [4, 7], "overlap"),
        ([0, 7], [4, 14], "beyond its shape"),
    ],
)
def test_slices_that_do_not_fit_are_never_committed(
    root: Path, starts: list[int], ends: list[int], reason: str
) -> None:
    whole = np.zeros((2, 14), np.float32)
    folder = begin_checkpoint(root, 7)
    shards = [
        write_shard(folder, "model", {"w": whole[:, s:e]}, rank, {"w": Placement((2, 11), (0, s))})
        for rank, (s, e) in enumerate(zip(starts, ends, strict=True))
    ]
    with pytest.raises(CheckpointError, match=reason):
        commit_checkpoint(root, 7, shards, state={}, config={}, layout={}, keep_checkpoint_max=1)
    assert not (root / "step_00000007").exists()
