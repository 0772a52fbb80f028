"""Every step of a save fails once, by an error and by the death of the process."""

import errno
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mindmlm.checkpoint import read_checkpoint, resolve_checkpoint
from mindmlm.errors import CheckpointError

from .conftest import save

# Everything a save asks of the system: (owner, name).
SYSTEM_CALLS: list[tuple[Any, str]] = [
    (os, "fsync"),
    (os, "open"),
    (Path, "open"),
    (Path, "mkdir"),
    (Path, "rename"),
    (Path, "replace"),
    (Path, "unlink"),
    (shutil, "rmtree"),
]


class Failpoint:
    """Counts the calls to the system and acts at the ``fatal``-th one."""

    def __init__(self, fatal: int, act: Callable[[], None]) -> None:
        self.count = 0
        self._fatal = fatal
        self._act = act

    def hit(self) -> None:
        self.count += 1
        if self.count == self._fatal:
            self._act()


class WatchedFile:
    """A file whose writes are counted too."""

    def __init__(self, file: Any, failpoint: Failpoint) -> None:
        self._file = file
        self._failpoint = failpoint

    def write(self, data: Any) -> int:
        self._failpoint.hit()
        return self._file.write(data)

    def __enter__(self) -> "WatchedFile":
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def watched(failpoint: Failpoint) -> Iterator[None]:
    """Route the calls to the system through ``failpoint``."""

    def wrap(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            failpoint.hit()
            result = call(*arguments, **options)
            return WatchedFile(result, failpoint) if hasattr(result, "write") else result

        return wrapper

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in SYSTEM_CALLS:
            patch.setattr(owner, name, wrap(name, getattr(owner, name)))
        yield


def disk_full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def die() -> None:
    os._exit(77)


def fingerprint(folder: Path) -> dict[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in folder.iterdir()}


def prepare(root: Path) -> None:
    """Two checkpoints, the older of which a save with keep=2 prunes, and leftovers."""
    save(root, 10)
    save(root, 20, seed=1)
    (root / "step_00000007.tmp").mkdir()
    (root / "step_00000003.trash").mkdir()


def number_of_calls(tmp_path: Path, step: int) -> int:
    root = tmp_path / "count"
    prepare(root)
    failpoint = Failpoint(0, disk_full)
    with watched(failpoint):
        save(root, step, keep=2)
    return failpoint.count


# 20 is there already and is replaced; 30 is new and prunes 10.
@pytest.mark.parametrize("step", [20, 30])
def test_an_error_at_any_point(tmp_path: Path, step: int) -> None:
    calls = number_of_calls(tmp_path, step)
    assert calls > 25
    failures = 0
    for fatal in range(1, calls + 1):
        root = tmp_path / str(fatal)
        prepare(root)
        before = {name: fingerprint(root / name) for name in ("step_00000010", "step_00000020")}
        try:
            with watched(Failpoint(fatal, disk_full)):
                save(root, step, seed=2, keep=2)
            committed = True
        except CheckpointError as error:
            committed = False
            failures += 1
            assert str(root) in str(error) and "No space left" in str(error)
        check_after_failure(root, step, before, committed)
        save(root, step, seed=3, keep=2)
        assert no_leftovers(root)
        assert read_checkpoint(root / f"step_{step:08d}").state["seed"] == 3
    assert failures > 15


def check_after_failure(
    root: Path, step: int, before: dict[str, dict[str, bytes]], committed: bool
) -> None:
    latest = (root / "latest").read_text().strip()
    assert read_checkpoint(root / latest).step in (20, step)
    if committed:
        assert latest == f"step_{step:08d}"
        return
    assert not (root / f"step_{step:08d}.tmp").exists()
    assert fingerprint(root / "step_00000010") == before["step_00000010"]
    if step != 20:
        assert fingerprint(root / "step_00000020") == before["step_00000020"]


def no_leftovers(root: Path) -> bool:
    return all(entry.suffix not in (".tmp", ".trash", ".old") for entry in root.iterdir())


@pytest.mark.parametrize("step", [20, 30])
def test_death_at_any_point(tmp_path: Path, step: int) -> None:
    calls = number_of_calls(tmp_path, step)
    for fatal in range(1, calls + 1):
        output = tmp_path / str(fatal)
        root = output / "checkpoint"
        prepare(root)
        child = os.fork()
        if child == 0:
            with watched(Failpoint(fatal, die)):
                save(root, step, seed=2, keep=2)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 77
        resolved = resolve_checkpoint("latest", output)
        assert resolved.checkpoint.step in (20, step)
        assert resolved.checkpoint.state["seed"] in (1, 2)
        save(root, step, seed=3, keep=2)
        assert no_leftovers(root)
        assert resolve_checkpoint("latest", output).checkpoint.state["seed"] == 3


def test_the_only_checkpoint_is_replaced_without_a_gap(tmp_path: Path) -> None:
    output = tmp_path / "count"
    save(output / "checkpoint", 20, seed=1, keep=1)
    failpoint = Failpoint(0, die)
    with watched(failpoint):
        save(output / "checkpoint", 20, seed=2, keep=1)
    for fatal in range(1, failpoint.count + 1):
        output = tmp_path / str(fatal)
        save(output / "checkpoint", 20, seed=1, keep=1)
        child = os.fork()
        if child == 0:
            with watched(Failpoint(fatal, die)):
                save(output / "checkpoint", 20, seed=2, keep=1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 77
        assert resolve_checkpoint("latest", output).checkpoint.step == 20


@pytest.mark.parametrize("limit", [0, 100, 400, 700, 2000])
def test_a_real_limit_on_the_size_of_files(tmp_path: Path, limit: int) -> None:
    """EFBIG from the kernel in the middle of a write, at several places."""
    root = tmp_path / "checkpoint"
    save(root, 1)
    before = fingerprint(root / "step_00000001")
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            save(root, 2, keep=1)
        except CheckpointError as error:
            os._exit(23 if "File too large" in str(error) else 24)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 23
    assert sorted(entry.name for entry in root.iterdir()) == ["latest", "step_00000001"]
    assert (root / "latest").read_text() == "step_00000001\n"
    assert fingerprint(root / "step_00000001") == before
