import os
from pathlib import Path

import pytest

from mindmlm.runtime.files import atomic_file, new_file, write_bytes_atomic, write_text_atomic


def fail(*arguments: object, **options: object) -> None:
    raise OSError(28, "No space left on device")


def names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


def test_contents_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    write_text_atomic(path, "词\n")
    assert path.read_bytes() == "词\n".encode()
    write_bytes_atomic(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert names(tmp_path) == ["vocab.txt"]


@pytest.mark.parametrize(("owner", "name"), [(os, "fsync"), (Path, "replace")])
def test_a_failure_leaves_the_old_contents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str
) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fail)
        with pytest.raises(OSError, match="No space"):
            write_text_atomic(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_an_exception_in_the_block_leaves_the_old_contents(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_file(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_leftover_of_a_killed_process_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "file"
    target = tmp_path / "target"
    target.write_text("not to be written")
    (tmp_path / "file.tmp").symlink_to(target)
    write_text_atomic(path, "new")
    assert path.read_text() == "new"
    assert not path.is_symlink()
    assert target.read_text() == "not to be written"


def test_a_new_file_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(FileExistsError), new_file(path) as file:
        file.write(b"new")
    assert path.read_text() == "old"
