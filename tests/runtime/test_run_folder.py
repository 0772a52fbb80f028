"""What stands in an output folder, and who may write there."""

import pytest

from mindmlm.errors import ConfigError
from mindmlm.runtime.run_folder import RunFolder


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("step_00000002", True),
        ("step_00000002.old", True),
        ("step_00000002.tmp", False),
        ("step_00000002.trash", False),
        ("notes", False),
    ],
)
def test_only_complete_checkpoints_count(tmp_path, name, counts):
    folder = RunFolder(tmp_path)
    assert not folder.has_checkpoints()
    (folder.checkpoints / name).mkdir(parents=True)
    assert folder.has_checkpoints() is counts


def test_one_writer_at_a_time(tmp_path):
    folder = RunFolder(tmp_path / "new" / "run")
    with folder.locked():
        message = "output_dir: another process is writing to"
        with pytest.raises(ConfigError, match=message), folder.locked():
            pytest.fail("a second one got in")
    with folder.locked():
        assert folder.root.is_dir()


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ConfigError, match="cannot be written"),
        RunFolder(tmp_path / "file").locked(),
    ):
        pytest.fail("a file is no folder")


def test_old_metrics_are_kept_under_another_name(tmp_path):
    folder = RunFolder(tmp_path)
    folder.set_old_metrics_aside()
    for number in (1, 2):
        folder.metrics.write_text(f"{number}\n")
        folder.set_old_metrics_aside()
        assert not folder.metrics.exists()
        assert (tmp_path / f"metrics.{number}.jsonl").read_text() == f"{number}\n"
