from pathlib import Path

import pytest

from mindmlm.checkpoint import resolve_checkpoint
from mindmlm.errors import CheckpointError

from .conftest import save

WEIGHTS = "model.rank_00000.safetensors"


def damage(folder: Path) -> None:
    path = folder / WEIGHTS
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def resolved_step(path: str, root: Path) -> int:
    return resolve_checkpoint(path, root.parent).checkpoint.step


def test_every_way_to_name_it(root: Path) -> None:
    for step in (10, 20):
        save(root, step)
    assert resolved_step("latest", root) == 20
    assert resolved_step(str(root), root) == 20
    assert resolved_step(str(root.parent), root / "elsewhere") == 20
    assert resolved_step(str(root / "step_00000010"), root / "elsewhere") == 10


def test_a_step_under_another_name(root: Path, tmp_path: Path) -> None:
    copy = save(root, 10).rename(tmp_path / "my_model")
    assert resolved_step(str(copy), root) == 10


def test_latest_falls_back_and_says_why(root: Path) -> None:
    for step in (10, 20, 30):
        save(root, step)
    damage(root / "step_00000030")
    (root / "step_00000020" / "manifest.json").unlink()
    resolved = resolve_checkpoint("latest", root.parent)
    assert resolved.path == root / "step_00000010"
    assert [path.name for path, _ in resolved.refused] == ["step_00000030", "step_00000020"]
    assert "SHA-256" in resolved.refused[0][1] and WEIGHTS in resolved.refused[0][1]
    assert "manifest.json is missing" in resolved.refused[1][1]


def test_after_going_back_the_abandoned_run_comes_last(root: Path) -> None:
    for step in (10, 40, 20):
        save(root, step)
    damage(root / "step_00000020")
    assert resolved_step("latest", root) == 10
    damage(root / "step_00000010")
    assert resolved_step("latest", root) == 40


@pytest.mark.parametrize("content", [None, "", "step_00000099\n", "../../etc\n", "x" * 1000, "é"])
def test_latest_file_of_no_use(root: Path, content: str | None) -> None:
    save(root, 10)
    if content is None:
        (root / "latest").unlink()
    else:
        (root / "latest").write_text(content)
    resolved = resolve_checkpoint("latest", root.parent)
    assert resolved.checkpoint.step == 10
    assert len(resolved.refused) == 1


def test_an_explicit_step_never_falls_back(root: Path) -> None:
    for step in (10, 20):
        save(root, step)
    damage(root / "step_00000020")
    with pytest.raises(CheckpointError, match=r"step_00000020: not a usable.*damaged"):
        resolve_checkpoint(str(root / "step_00000020"), root.parent)


def test_one_set_aside_for_a_replacement_that_never_came(root: Path) -> None:
    save(root, 10).rename(root / "step_00000010.old")
    resolved = resolve_checkpoint("latest", root.parent)
    assert resolved.path == root / "step_00000010.old"
    assert resolved.checkpoint.step == 10


def test_an_unfinished_folder_is_not_taken(root: Path) -> None:
    folder = save(root, 10).rename(root / "step_00000010.tmp")
    with pytest.raises(CheckpointError, match=r"no usable checkpoint in"):
        resolve_checkpoint("latest", root.parent)
    with pytest.raises(CheckpointError, match="never finished"):
        resolve_checkpoint(str(folder), root.parent)


def test_a_folder_named_after_another_step(root: Path) -> None:
    save(root, 10).rename(root / "step_00000011")
    with pytest.raises(CheckpointError, match="named after another step than 10"):
        resolve_checkpoint(str(root / "step_00000011"), root.parent)


def test_links_are_not_followed(root: Path, tmp_path: Path) -> None:
    foreign = save(tmp_path / "foreign", 20)
    save(root, 10)
    (root / "step_00000020").symlink_to(foreign)
    (root / "latest").write_text("step_00000020\n")
    resolved = resolve_checkpoint("latest", root.parent)
    assert resolved.checkpoint.step == 10
    weights = root / "step_00000010" / WEIGHTS
    weights.unlink()
    weights.symlink_to(foreign / WEIGHTS)
    with pytest.raises(CheckpointError, match=f"{WEIGHTS} is a symbolic link"):
        resolve_checkpoint(str(root / "step_00000010"), root.parent)


def test_when_there_is_none_the_error_says_where_it_looked(root: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=str(root)):
        resolve_checkpoint("latest", root.parent)
    root.mkdir(parents=True)
    with pytest.raises(CheckpointError, match=str(root)):
        resolve_checkpoint("latest", root.parent)
    empty = tmp_path / "empty"
    with pytest.raises(CheckpointError, match="no such folder"):
        resolve_checkpoint(str(empty), root.parent)
    empty.mkdir()
    with pytest.raises(CheckpointError, match=r"neither a step .* nor a run's output folder"):
        resolve_checkpoint(str(empty), root.parent)
    with pytest.raises(CheckpointError, match="this is a file"):
        file = tmp_path / "file"
        file.write_text("x")
        resolve_checkpoint(str(file), root.parent)
