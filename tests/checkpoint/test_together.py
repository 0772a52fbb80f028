"""Saving with several processes, played by threads: all of them succeed, or all are told."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mindmlm.checkpoint import Placement, SharedSave, read_checkpoint, resolve_checkpoint, together
from mindmlm.errors import CheckpointError

RANKS = 3
LAYOUT = {"data_parallel": 1, "model_parallel": RANKS, "pipeline_stage": 1}
WHOLE = np.arange(35, dtype=np.float32).reshape(7, 5)


class Meeting:
    """Gives every thread the texts of all; one that waits in vain fails after a while."""

    def __init__(self) -> None:
        self.texts = [""] * RANKS
        self.count = [0] * RANKS
        self.barrier = threading.Barrier(RANKS, timeout=5)

    def of(self, rank: int) -> Callable[[str], list[str]]:
        def meet(text: str) -> list[str]:
            self.texts[rank] = text
            self.count[rank] += 1
            self.barrier.wait()
            seen = list(self.texts)
            self.barrier.wait()
            return seen

        return meet


def save_all(
    root: Path, step: int, change: Callable[[int, dict], dict] = lambda rank, given: given
) -> list[Path | Exception]:
    """Let all ranks save; what each returned or raised."""
    meeting = Meeting()
    results: list[Any] = [None] * RANKS

    def save(rank: int) -> None:
        saving = SharedSave(root, LAYOUT, 2, rank, meeting.of(rank))
        rows = np.array_split(np.arange(7), RANKS)[rank]
        given = {
            "tensors": {"model": {"w": WHOLE[rows] * step}, "optimizer": {}},
            "placements": {"w": Placement((7, 5), (int(rows[0]), 0))},
            "state": {"step": step},
            "config": {},
        }
        try:
            results[rank] = saving.save(step, **change(rank, given))
        except Exception as error:
            results[rank] = error

    threads = [threading.Thread(target=save, args=(rank,)) for rank in range(RANKS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert len(set(meeting.count)) == 1, "the ranks met a different number of times"
    assert not any(isinstance(found, threading.BrokenBarrierError) for found in results)
    return results


def assert_the_old_one_stands(root: Path, step: int) -> None:
    found = resolve_checkpoint("latest", root.parent)
    assert (found.checkpoint.step, found.refused) == (step, [])
    assert np.array_equal(found.checkpoint.tensors("model")["w"], WHOLE * step)
    assert sorted(path.name for path in root.iterdir()) == ["latest", f"step_{step:08d}"]


def test_all_get_the_path_of_one_checkpoint(root: Path) -> None:
    assert save_all(root, 3) == [root / "step_00000003"] * RANKS
    checkpoint = read_checkpoint(root / "step_00000003")
    assert checkpoint.layout == LAYOUT
    assert np.array_equal(checkpoint.tensors("model")["w"], WHOLE * 3)
    assert [piece.file for piece in checkpoint.records("model")["w"].slices] == [
        f"model.rank_0000{rank}.safetensors" for rank in range(RANKS)
    ]
    # A rank that has nothing of a group writes no file, but the first.
    assert sorted(path.name for path in checkpoint.path.glob("optimizer*")) == [
        "optimizer.rank_00000.safetensors"
    ]


@pytest.mark.parametrize("rank", range(RANKS))
def test_a_full_disk_on_one_rank(root: Path, monkeypatch, rank: int) -> None:
    save_all(root, 1)
    write = together.write_shard

    def full(folder, group, arrays, number, placements):
        if number == rank:
            (folder / f"{group}.rank_{number:05d}.safetensors").write_bytes(b"half of it")
            raise OSError(28, "No space left on device")
        return write(folder, group, arrays, number, placements)

    monkeypatch.setattr(together, "write_shard", full)
    for found in save_all(root, 2):
        assert isinstance(found, CheckpointError)
        assert f"rank {rank}: [Errno 28] No space left on device" in str(found)
        assert "step 2" in str(found)
        assert "untouched" in str(found)
    assert_the_old_one_stands(root, 1)
    monkeypatch.undo()
    assert save_all(root, 2) == [root / "step_00000002"] * RANKS


def test_several_full_disks_are_all_named(root: Path, monkeypatch) -> None:
    def full(folder, group, arrays, number, placements):
        raise OSError(28, f"full {number}")

    monkeypatch.setattr(together, "write_shard", full)
    for found in save_all(root, 2):
        assert all(f"rank {rank}: [Errno 28] full {rank}" in str(found) for rank in range(RANKS))


@pytest.mark.parametrize("point", ["begin_checkpoint", "commit_checkpoint"])
def test_the_first_rank_cannot_begin_or_complete(root: Path, monkeypatch, point: str) -> None:
    save_all(root, 1)

    def refuse(*arguments, **named):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(together, point, refuse)
    for found in save_all(root, 2):
        assert isinstance(found, CheckpointError)
        assert "rank 0: [Errno 30] Read-only file system" in str(found)
    assert_the_old_one_stands(root, 1)


def test_the_folder_of_a_rank_is_not_there(root: Path, monkeypatch) -> None:
    """A machine that does not see the common file system."""
    save_all(root, 1)
    begin = together.begin_checkpoint

    def elsewhere(folder, step):
        made = begin(folder, step)
        made.rmdir()
        return made

    monkeypatch.setattr(together, "begin_checkpoint", elsewhere)
    for found in save_all(root, 2):
        assert isinstance(found, CheckpointError)
        assert "rank 1: [Errno 2] No such file or directory" in str(found)
    assert_the_old_one_stands(root, 1)


@pytest.mark.parametrize("rank", [0, 2])
def test_an_error_that_is_not_the_disk_reaches_all_as_well(root: Path, rank: int) -> None:
    save_all(root, 1)

    def change(number: int, given: dict) -> dict:
        if number == rank:
            given["tensors"]["model"]["c"] = np.zeros(3, np.complex64)
        return given

    results = save_all(root, 2, change)
    for number, found in enumerate(results):
        # The rank itself keeps its own error with its traceback.
        assert isinstance(found, ValueError if number == rank else CheckpointError)
        assert "complex64 cannot be stored" in str(found)
    assert_the_old_one_stands(root, 1)


def test_blocks_that_overlap_are_refused_by_all(root: Path) -> None:
    save_all(root, 1)

    def change(number: int, given: dict) -> dict:
        given["placements"]["w"] = Placement((7, 5), (0, 0))
        return given

    for found in save_all(root, 2, change):
        assert isinstance(found, CheckpointError)
        assert "model/w" in str(found)
    assert_the_old_one_stands(root, 1)


def test_ranks_that_disagree_on_a_shape_are_refused_by_all(root: Path) -> None:
    def change(number: int, given: dict) -> dict:
        if number == 1:
            given["placements"]["w"] = Placement((8, 5), (3, 0))
        return given

    for found in save_all(root, 2, change):
        assert isinstance(found, CheckpointError)
        assert "disagree" in str(found)
    assert not list(root.glob("step_*"))


def test_a_broken_cluster_leaves_no_half_written_folder(root: Path) -> None:
    def broken(text: str) -> list[str]:
        raise RuntimeError("the cluster is gone")

    with pytest.raises(RuntimeError, match="the cluster is gone"):
        SharedSave(root, LAYOUT, 2, 0, broken).save(1, {}, {}, {}, {})
    assert not list(root.glob("step_*"))


def test_a_checkpoint_of_all_ranks_is_taken_again_after_the_newest_is_damaged(root: Path) -> None:
    save_all(root, 1)
    save_all(root, 2)
    (root / "step_00000002" / "model.rank_00001.safetensors").unlink()
    found = resolve_checkpoint("latest", root.parent)
    assert found.checkpoint.step == 1
    ((path, reason),) = found.refused
    assert path.name == "step_00000002"
    assert "model.rank_00001.safetensors is missing" in reason
    shutil.rmtree(root / "step_00000001")
    with pytest.raises(CheckpointError, match=r"model\.rank_00001"):
        resolve_checkpoint("latest", root.parent)
