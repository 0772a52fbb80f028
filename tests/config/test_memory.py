"""Amounts of memory in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindmlm.config import load_config
from mindmlm.config.schema.memory import parse_memory, show_memory
from mindmlm.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "size"),
    [("31GB", 31 * 2**30), (" 31 gib ", 31 * 2**30), ("1.5MB", 3 * 2**19), ("2TB", 2**41)],
)
def test_units_are_those_of_mindspore(text, size):
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["31", "GB", "31G", "-1GB", "0GB", "1e3MB", "31 GB each", "1KB"])
def test_anything_else_is_refused(tmp_path, text):
    with pytest.raises(ValueError, match='such as "31GB"'):
        parse_memory(text)
    (tmp_path / "run.yaml").write_text(f"context:\n  max_device_memory: '{text}'\n")
    with pytest.raises(ConfigError, match=r"run\.yaml:2: context\.max_device_memory: expected"):
        load_config(tmp_path / "run.yaml", require_inputs=False)


def test_a_number_without_quotes_is_explained(tmp_path):
    (tmp_path / "run.yaml").write_text("context: {max_device_memory: 31}\n")
    with pytest.raises(ConfigError, match="expected text or null, got 31 "):
        load_config(tmp_path / "run.yaml", require_inputs=False)


@given(st.integers(2**20, 2**50))
def test_what_is_shown_can_be_read(size):
    assert parse_memory(show_memory(size)) == pytest.approx(size, rel=0.06)
