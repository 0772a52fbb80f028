"""A table is described whole, or refused with the key that is missing."""

import pytest

from mindmlm.config import load_config
from mindmlm.errors import ConfigError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["type=SqlDataLoader"], "data_loader.url: SqlDataLoader needs it"),
        (["type=SqlDataLoader", "url=sqlite:///a.db"], "data_loader.query: SqlDataLoader needs"),
        (["url=sqlite:///a.db"], "data_loader.type: url and query are those of a table"),
        (
            ["type=SqlDataLoader", "url=sqlite:///a.db", "query=SELECT 1", "dataset_dir=here.txt"],
            "dataset_dir: SqlDataLoader reads no files",
        ),
        (
            ["type=SqlDataLoader", "url=sqlite:///a.db", "query=SELECT 1"],
            "text_field: SqlDataLoader reads one column",
        ),
    ],
)
def test_a_table_is_described_whole(tmp_path, monkeypatch, options, message):
    fields = "[a, b]" if "text_field" in message else "text"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.txt").write_text("a\n")
    content = f"train_dataset: {{data_loader: {{text_field: {fields}}}}}\n"
    (tmp_path / "run.yaml").write_text(content)
    with pytest.raises(ConfigError, match=message):
        load_config("run.yaml", [f"train_dataset.data_loader.{option}" for option in options])
