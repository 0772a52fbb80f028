"""Safe YAML: what a plain word means, where it stood, and what is refused."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.config.nodes import Mapping, find, to_python
from mindmlm.config.yaml_source import MAX_BYTES, MAX_NODES, parse_yaml, read_yaml
from mindmlm.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E3", 1000.0),
        ("-.5", -0.5),
        ("3.", 3.0),
        ("+7", 7),
        ("1_000", 1000),
        ("0", 0),
        ("010", "010"),
        ("00.5", "00.5"),
        ("0x1F", "0x1F"),
        ("12:30", "12:30"),
        ("2024-01-31", "2024-01-31"),
        ("True", True),
        ("TRUE", True),
        ("on", True),
        ("Off", False),
        ("no", False),
        ("'yes'", "yes"),
        ("y", "y"),
        ("~", None),
        ("", None),
        ("NULL", None),
        ("[a, 1e-4]", ["a", 1e-4]),
        ("{a: 1}", {"a": 1}),
        ("今天天气很[MASK]", "今天天气很[MASK]"),
        ("!!str 5", "5"),
        ('"\\ud83d\\ude00"', "😀"),
        (".inf", math.inf),
        ("-.INF", -math.inf),
    ],
)
def test_a_plain_word_means_what_it_looks_like(text, value):
    read = to_python(parse_yaml(text, "x"))
    assert read == value
    assert type(read) is type(value)


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_that_python_prints_is_a_number(number):
    assert to_python(parse_yaml(repr(number), "x")) == number


@settings(deadline=None)
@given(st.integers(-(10**30), 10**30))
def test_every_integer_is_an_integer(number):
    assert to_python(parse_yaml(str(number), "x")) == number


def test_values_know_their_line(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\nb:\n  # comment\n  c: [1,\n    2]\n")
    root = read_yaml(path, "a.yaml")
    assert find(root, "a").origin == "a.yaml:1"
    assert find(root, "b.c").origin == "a.yaml:4"
    assert find(root, "b.c").items[1].origin == "a.yaml:5"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3: a: given twice, first at f.yaml:1"),
        ("x:\n  a: 1\n  'a': 1\n", "f.yaml:3: a: given twice, first at f.yaml:2"),
        ("a: [1,\n", "f.yaml:2: not valid YAML"),
        ("a: b: c\n", "f.yaml:1: not valid YAML"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2: not valid YAML"),
        ("a: !!python/object/apply:os.system [echo]\n", "f.yaml:1: the tag"),
        ("a: !!python/name:os.system ''\n", "cannot be read as tag:yaml.org,2002:python/name"),
        ("a: !!int seven\n", "f.yaml:1: 'seven' cannot be read"),
        ("a: &x\n  b: *x\n", "f.yaml:1: an alias points at a value that contains it"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", "f.yaml:3: merge keys (<<) are not supported"),
        ("? [a]\n: 1\n", "f.yaml:1: a key must be a word"),
        ("- 1\n", "f.yaml:1: expected `key: value` lines"),
        ("a: \x07\n", "f.yaml: not valid YAML"),
        ('a: "\\ud83d"\n', "f.yaml:1: the text holds half a surrogate pair"),
        ("a: *nowhere\n", "f.yaml:1: not valid YAML"),
    ],
)
def test_refused_with_the_line(tmp_path, text, message):
    path = tmp_path / "f.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        read_yaml(path, "f.yaml")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_empty_file_is_an_empty_section(tmp_path):
    path = tmp_path / "f.yaml"
    path.write_text("# nothing\n")
    assert read_yaml(path) == Mapping(str(path))


def test_deep_nesting_is_refused():
    with pytest.raises(ConfigError, match="nested deeper"):
        parse_yaml("[" * 20_000, "x")


def test_alias_bombs_are_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match=f"more than {MAX_NODES} values"):
        parse_yaml("\n".join(lines), "x")


def test_a_large_file_is_refused_before_it_is_parsed(tmp_path):
    path = tmp_path / "f.yaml"
    path.write_text("#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="larger than"):
        read_yaml(path)


def test_malformed_utf8_names_the_line(tmp_path):
    path = tmp_path / "f.yaml"
    path.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(ConfigError, match=r"f\.yaml:2: not UTF-8"):
        read_yaml(path, "f.yaml")


@pytest.mark.parametrize("name", ["nothing.yaml", "."])
def test_what_is_not_a_file_is_refused(tmp_path, name):
    with pytest.raises(ConfigError):
        read_yaml(tmp_path / name)
