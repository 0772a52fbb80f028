"""The tables in docs/configuration.md are those of the schema."""

import pytest

from mindmlm.config.describe import keys
from mindmlm.config.flags import FLAGS
from mindmlm.config.reference import main, update
from mindmlm.errors import ConfigError


def test_the_document_is_up_to_date(project_root):
    document = (project_root / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert update(document) == document, (
        "run: python -m mindmlm.config.reference docs/configuration.md"
    )
    assert all(f"| `{key}` |" in document for key in keys())
    assert all(f"| `--{flag.name}` |" in document for flag in FLAGS)


def test_main_repairs_a_stale_document(project_root, tmp_path, capsys):
    text = (project_root / "docs" / "configuration.md").read_text(encoding="utf-8")
    stale = tmp_path / "stale.md"
    stale.write_text(text.replace("| `seed` |", "| `seeds` |"), encoding="utf-8")
    assert main([str(stale)]) == 0
    assert stale.read_text(encoding="utf-8") == text
    assert main([]) == 0
    assert "| `seed` |" in capsys.readouterr().out


def test_a_document_without_the_blocks_is_refused(tmp_path, capsys):
    with pytest.raises(ConfigError, match="no block"):
        update("# nothing")
    path = tmp_path / "a.md"
    path.write_text("# nothing")
    assert main([str(path)]) == 2
    assert "no block" in capsys.readouterr().err
    assert main([str(tmp_path / "absent.md")]) == 2
    assert path.read_text() == "# nothing"
