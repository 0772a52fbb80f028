"""Texts that are on every machine, for the quick start and for trials."""

import pydoc_data.topics
import re
from collections.abc import Iterator
from pathlib import Path

from mindmlm.runtime.files import atomic_file

_MARKUP = re.compile(r"\*\*?|``?|\|")
_WHITESPACE = re.compile(r"\s+")
_ROLE = re.compile(r":[a-z]+:`([^`]*)`")
_LIST_MARK = re.compile(r"^(?:[*+-]|\d+\.)\s+")
_SYMBOL_LINE = re.compile(r"^[\s*=+|~^#.-]+$")
_MIN_LETTERS = 0.75
_MIN_WORDS = 5
_PROSE_INDENT = 2


def english_topics() -> Iterator[list[str]]:
    """Yield Python's own documentation topics as plain text: a list of paragraphs for each.

    Headings, tables, grammar, indented code and lines made mostly of symbols are left out.
    """
    for name in sorted(pydoc_data.topics.topics):
        paragraphs = list(_paragraphs(pydoc_data.topics.topics[name]))
        if paragraphs:
            yield paragraphs


def chinese_sample_path() -> Path:
    """Return the shipped Chinese articles: one sentence a line, blank lines between articles."""
    return Path(__file__).resolve().parents[1] / "resources" / "sample_zh.txt"


def write_sample(lang: str, folder: Path) -> Path:
    """Write `sample_LANG.txt` in document format into ``folder``, whole or not at all.

    Args:
        lang: "en" or "zh".
        folder: made when missing.

    Raises:
        ValueError: another language.
    """
    if lang not in ("en", "zh"):
        raise ValueError(f"no sample text in {lang!r}; there are en and zh")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"sample_{lang}.txt"
    with atomic_file(path) as file:
        if lang == "zh":
            file.write(chinese_sample_path().read_bytes())
        else:
            for paragraphs in english_topics():
                file.write(("\n".join(paragraphs) + "\n\n").encode("utf-8"))
    return path


def _paragraphs(topic: str) -> Iterator[str]:
    in_code = False
    for block in re.split(r"\n\s*\n", topic):
        lines = [line for line in block.split("\n") if line.strip()]
        if not lines:
            continue
        indent = min(len(line) - len(line.lstrip()) for line in lines)
        in_code = indent > _PROSE_INDENT and (in_code or not _reads_like_prose(block))
        if in_code or any(_SYMBOL_LINE.match(line) for line in lines):
            continue
        text = _plain(lines)
        if _reads_like_prose(text):
            yield text


def _plain(lines: list[str]) -> str:
    text = " ".join(_LIST_MARK.sub("", line.strip()) for line in lines)
    text = _MARKUP.sub("", _ROLE.sub(r"\1", text))
    return _WHITESPACE.sub(" ", text).strip()


def _reads_like_prose(text: str) -> bool:
    dense = _WHITESPACE.sub("", text)
    letters = sum(character.isalpha() for character in dense)
    words = re.findall(r"\b[a-z]{2,}\b", text)
    ends_like_sentence = text.rstrip().endswith((".", ":", "!", "?", ")", ";"))
    return (
        len(words) >= _MIN_WORDS
        and letters >= _MIN_LETTERS * len(dense)
        and ends_like_sentence
        and "::=" not in text
        and ">>>" not in text
    )
