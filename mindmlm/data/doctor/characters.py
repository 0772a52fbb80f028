"""Which writing and language a line is in, and characters that should not be there."""

import re
import unicodedata
from functools import cache

import numpy as np

from mindmlm.data.doctor.findings import Findings
from mindmlm.data.doctor.lines import LineBatch

CONTROL = "control character"
REPLACEMENT = "replacement character U+FFFD"
INNER_MARK = "byte-order mark inside of the text"
MOJIBAKE = "UTF-8 that was read as Latin-1"

_SCRIPTS: dict[str, tuple[tuple[int, int], ...]] = {
    "han": ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF)),
    "kana": ((0x3041, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9D)),
    "hangul": ((0x1100, 0x11FF), (0x3130, 0x318F), (0xAC00, 0xD7A3)),
    "latin": ((0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F), (0x1E00, 0x1EFF), (0xFF21, 0xFF5A)),
    "cyrillic": ((0x400, 0x52F),),
    "greek": ((0x370, 0x3FF), (0x1F00, 0x1FFF)),
    "arabic": ((0x600, 0x6FF), (0x750, 0x77F), (0xFB50, 0xFDFF), (0xFE70, 0xFEFC)),
    "hebrew": ((0x590, 0x5FF),),
    "devanagari": ((0x900, 0x97F),),
    "thai": ((0xE00, 0xE7F),),
}
_NAMES = ("none", "other script", *_SCRIPTS, CONTROL, REPLACEMENT, INNER_MARK)
_FAULTS = (CONTROL, REPLACEMENT, INNER_MARK)
_LANGUAGES = {"han": "Chinese", "hangul": "Korean", "kana": "Japanese"}
# One ideograph says about as much as three letters.
_WEIGHTS = np.array([3 if name in _LANGUAGES else 1 for name in _NAMES[: -len(_FAULTS)]])

_FUNCTION_WORDS = {
    "English": "the of and to in is that it for was with as are be this by or from at not an",
    "German": "der die das und ist nicht ein eine den mit von zu dem auf für sich des auch es",
    "French": "le la les et est des une un que qui dans pour pas sur du avec au ce sont ne",
    "Spanish": "el la los las y es que en un una por con para del se no su al como más",
    "Italian": "il la che di e è un una per non con del della sono i gli le nel si da",
    "Portuguese": "o a os as e é que em um uma para com não do da dos por mais no na se",
    "Dutch": "de het een en van is dat niet op te in zijn met voor aan er door ook bij",
}
_WORD = re.compile(r"[a-zà-ÿ]+")
# â€™, Ã©, Â©: the bytes of ’ é © taken for letters (Windows-1252 or Latin-1).
_MOJIBAKE = re.compile(
    "[\u00c2\u00c3][\u0080-\u00bf]|\u00e2(?:\u20ac|\u0080)[\u0080-\u00bf\u0153\u2018-\u203a\u02dc\u2122]"
)


@cache
def _classes() -> np.ndarray:
    """Return uint8 [0x110000]: place in `_NAMES` of every character."""
    table = np.zeros(0x110000, np.uint8)
    for code in range(0x80, 0x10000):
        if unicodedata.category(chr(code)).startswith("L"):
            table[code] = 1
    for place, ranges in enumerate(_SCRIPTS.values(), start=2):
        for first, last in ranges:
            table[first : last + 1] = place
    for code in (0xD7, 0xF7, 0x30FB, *range(0xFF3B, 0xFF41)):
        table[code] = 0
    for code in (*range(0x20), *range(0x7F, 0xA0)):
        table[code] = _NAMES.index(CONTROL)
    table[0x09] = 0
    table[0xFFFD] = _NAMES.index(REPLACEMENT)
    table[0xFEFF] = _NAMES.index(INNER_MARK)
    return table


@cache
def _languages_of_word() -> dict[str, tuple[int, ...]]:
    words: dict[str, tuple[int, ...]] = {}
    for number, text in enumerate(_FUNCTION_WORDS.values()):
        for word in text.split():
            words[word] = (*words.get(word, ()), number)
    return words


def examine_characters(batch: LineBatch, findings: Findings) -> list[str]:
    """Return the language of each line; characters that should not be there are reported.

    The writing decides (Chinese, Japanese when there is some kana, Korean, Cyrillic and so on);
    lines of Latin letters are told apart by their commonest function words.
    """
    text = "\n".join(batch.texts) + "\n"
    lengths = np.array([len(line) + 1 for line in batch.texts])
    codes = np.frombuffer(text.encode("utf-32-le"), "<u4")
    line = np.repeat(np.arange(len(lengths)), lengths)
    kinds = len(_NAMES)
    counts = np.bincount(line * kinds + _classes()[codes], minlength=kinds * len(lengths))
    table = counts.reshape(-1, kinds)
    # The line feed after each line.
    table[:, _NAMES.index(CONTROL)] -= 1
    for name in _FAULTS:
        column = table[:, _NAMES.index(name)]
        for index in np.flatnonzero(column).tolist():
            findings.add(name, f"{batch.place(index)}: {column[index]} in the line")
    ends = np.cumsum(lengths)
    _report_mojibake(text, ends, batch, findings)
    return [
        _language(row, text_of_line)
        for row, text_of_line in zip(table[:, : len(_WEIGHTS)], batch.texts, strict=True)
    ]


def _report_mojibake(text: str, ends: np.ndarray, batch: LineBatch, findings: Findings) -> None:
    last = -1
    for match in _MOJIBAKE.finditer(text):
        index = int(np.searchsorted(ends, match.start(), side="right"))
        if index != last:
            findings.add(MOJIBAKE, f"{batch.place(index)}: {match[0]!r}")
        last = index


def _language(counts: np.ndarray, text: str) -> str:
    weighted = counts * _WEIGHTS
    best = int(weighted[1:].argmax()) + 1
    if not weighted[best]:
        return "no letters"
    name = _NAMES[best]
    kana, han = counts[_NAMES.index("kana")], counts[_NAMES.index("han")]
    if name == "han" and kana * 10 >= han:
        return "Japanese"
    if name == "latin":
        return _latin_language(text)
    return _LANGUAGES.get(name, name.capitalize())


def _latin_language(text: str) -> str:
    hits = [0] * len(_FUNCTION_WORDS)
    words = _languages_of_word()
    for word in _WORD.findall(text.lower()):
        for number in words.get(word, ()):
            hits[number] += 1
    best = max(hits)
    if not best or hits.count(best) > 1:
        return "Latin letters, language unclear"
    return list(_FUNCTION_WORDS)[hits.index(best)]
