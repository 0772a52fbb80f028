"""How many prepared folders stay."""

import os
from pathlib import Path

import numpy as np

from mindmlm.data.cache import KEPT_FOLDERS, cached_folder


def folder_of(cache: Path, number: int, builds: list[int]) -> Path:
    def build(path: Path) -> None:
        builds.append(number)
        (path / "data.bin").write_bytes(bytes([number] * 8))

    return cached_folder(cache, f"{number:032x}", build, lambda path: None)


def test_the_folders_used_last_stay(tmp_path: Path) -> None:
    builds: list[int] = []
    for number in range(KEPT_FOLDERS):
        folder = folder_of(tmp_path, number, builds)
        os.utime(folder, (1000 + number, 1000 + number))
    (tmp_path / "notes").mkdir()
    (tmp_path / f"{99:032x}").write_text("a file")
    opened = np.memmap(folder_of(tmp_path, 1, builds) / "data.bin", np.uint8, "r")
    assert len(builds) == KEPT_FOLDERS
    # Number 1 was used again just now, so 0 and 2 are the oldest ones.
    folder_of(tmp_path, KEPT_FOLDERS, builds)
    folder_of(tmp_path, KEPT_FOLDERS + 1, builds)
    left = {int(path.name, 16) for path in tmp_path.iterdir() if len(path.name) == 32}
    assert left == {1, 99, *range(3, KEPT_FOLDERS + 2)}
    assert (tmp_path / "notes").is_dir()
    for number in range(KEPT_FOLDERS + 2, 2 * KEPT_FOLDERS + 3):
        folder_of(tmp_path, number, builds)
    assert not (tmp_path / f"{1:032x}").exists()
    assert opened.tolist() == [1] * 8
    assert not list(tmp_path.glob("*.partial"))
