from pathlib import Path

import pytest

from mindmlm.cli.main import main
from mindmlm.data.samples import chinese_sample_path


def test_chinese(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", "--output", str(tmp_path / "new" / "folder")]) == 0
    path = tmp_path / "new" / "folder" / "sample_zh.txt"
    assert capsys.readouterr().out == f"{path}\n"
    assert path.read_bytes() == chinese_sample_path().read_bytes()


def test_english(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", "--lang", "en", "--output", str(tmp_path)]) == 0
    text = (tmp_path / "sample_en.txt").read_text(encoding="utf-8")
    assert text.count("\n\n") > 50
    assert "exception" in text
    assert "sample_en.txt" in capsys.readouterr().out


def test_another_language_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["sample", "--lang", "fr", "--output", str(tmp_path)])
    assert stopped.value.code == 2
    assert "'zh', 'en'" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["sample", "--output", str(tmp_path / "file")]) == 2
    message = capsys.readouterr().err
    assert str(tmp_path / "file") in message
    assert "Traceback" not in message
