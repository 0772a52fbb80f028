import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from tqdm import tqdm

from mindmlm.runtime.logging import setup_logging


@pytest.fixture(autouse=True)
def restore_logger() -> Iterator[None]:
    logger = logging.getLogger("mindmlm")
    before = (list(logger.handlers), logger.level, logger.propagate)
    yield
    for handler in logger.handlers:
        handler.close()
    logger.handlers, logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


def test_rank_0_writes_to_file_and_screen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = setup_logging(tmp_path)
    logging.getLogger("mindmlm.part").info("global batch %d", 64)
    logging.getLogger("mindmlm.part").debug("not recorded")
    captured = capsys.readouterr()
    assert path == tmp_path / "log" / "rank_0.log"
    assert captured.out == ""
    assert captured.err.endswith("INFO global batch 64\n")
    assert path.read_text().endswith("[rank 0] INFO mindmlm.part: global batch 64\n")
    assert path.read_text().count("\n") == 1


def test_other_ranks_write_to_their_file_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = setup_logging(tmp_path, rank=3)
    logging.getLogger("mindmlm").warning("slow")
    assert capsys.readouterr() == ("", "")
    assert path.name == "rank_3.log"
    assert "[rank 3] WARNING mindmlm: slow" in path.read_text()


def test_a_second_call_replaces_the_first_and_files_are_continued(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ("first", "second"):
        path = setup_logging(tmp_path)
        logging.getLogger("mindmlm").info(text)
    assert [line.split()[-1] for line in path.read_text().splitlines()] == ["first", "second"]
    assert capsys.readouterr().err.count("second") == 1


def test_a_progress_bar_is_not_torn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging(tmp_path)
    with tqdm(total=10, desc="train") as bar:
        bar.update(5)
        logging.getLogger("mindmlm").info("saved")
    lines = capsys.readouterr().err.replace("\r", "\n").splitlines()
    assert any(line.strip().endswith("INFO saved") and "train" not in line for line in lines)
