"""Steps that clean a text: each takes and returns text, lines between "\\n"."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from html import unescape

_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_CONTROL_CATEGORIES = ("Cc", "Cf", "Cn", "Co", "Cs")
_KEPT_CONTROLS = "\n\t\u200c\u200d"
_PRINTABLE = re.compile(r"[\x20-\x7e\n\t\u00a1-\u00ac\u00ae-\u02ff\u3001-\u3029\u4e00-\u9fa5]*")
_SPACES = re.compile(r"[^\S\n]+")
_CLOSING = "”’」』）】》〉)\\]\"'"
_SENTENCE_END = re.compile(
    rf"(?:[。！？…；!?]+[{_CLOSING}]*|[.;][”’)\]\"']*(?=\s))(?!$)", re.MULTILINE
)
_BLOCK_TAGS = frozenset(
    (
        *("address", "article", "aside", "blockquote", "body", "br", "dd", "div", "dl", "dt"),
        *("fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6"),
        *("head", "header", "hr", "html", "li", "main", "nav", "ol", "option", "p", "pre"),
        *("section", "table", "tbody", "td", "tfoot", "th", "thead", "title", "tr", "ul"),
    )
)
_HIDDEN_ENDS = {
    "!--": re.compile("-->"),
    **{
        name: re.compile(rf"</{name}\s*>", re.IGNORECASE)
        for name in ("script", "style", "noscript", "template")
    },
}
# No alternative passes a "<", so the time is linear. Quoted attributes may hold ">".
_TAG = re.compile(
    r"<!--|</?(?P<name>[A-Za-z][\w:-]*)(?:[^<>\"']|\"[^<\"]*\"|'[^<']*')*>|</?[A-Za-z!?][^<>]*>"
)
_MARKUP = re.compile(r"<[A-Za-z/!?]|&[#A-Za-z]")


def nfc(text: str) -> str:
    """Compose characters that are written as a letter and its marks (Unicode NFC)."""
    return unicodedata.normalize("NFC", text)


def nfkc(text: str) -> str:
    """Compose, and replace compatibility forms: full-width letters, ligatures, circled numbers."""
    return unicodedata.normalize("NFKC", text)


def full_width(text: str) -> str:
    """Replace full-width ASCII (U+FF01 to U+FF5E, also ，and ！) and the ideographic space."""
    return text.translate(_FULL_WIDTH)


def control(text: str) -> str:
    """Remove control, format, private and unassigned characters; tabs and joiners stay."""
    if _PRINTABLE.fullmatch(text):
        return text
    bad = {
        ord(character): None
        for character in set(text)
        if character not in _KEPT_CONTROLS
        and unicodedata.category(character) in _CONTROL_CATEGORIES
    }
    return text.translate(bad) if bad else text


def html(text: str) -> str:
    """Remove tags, comments and scripts, and decode entities; block elements end a line."""
    if not _MARKUP.search(text):
        return text
    parts: list[str] = []
    position, absent = 0, set[str]()
    while match := _TAG.search(text, position):
        parts.append(text[position : match.start()])
        position = match.end()
        name = (match["name"] or "!--").lower()
        if name in _BLOCK_TAGS:
            parts.append("\n")
        elif name in _HIDDEN_ENDS and not match.group().startswith("</") and name not in absent:
            end = _HIDDEN_ENDS[name].search(text, position)
            # Looked for only once when it is missing, so that no page takes quadratic time.
            absent.update(() if end else (name,))
            position = end.end() if end else position
    parts.append(text[position:])
    return unescape("".join(parts))


def whitespace(text: str) -> str:
    """Make one space of every run of white space and remove it at the ends of lines."""
    return "\n".join(line.strip() for line in _SPACES.sub(" ", text).split("\n"))


def sentences(text: str) -> str:
    """Give every sentence a line; closing quotes and brackets stay with their sentence.

    Chinese sentences end at 。！？…；, others at ! and ?, and at a full stop or semicolon before
    white space.
    """
    return _SENTENCE_END.sub(lambda match: match.group() + "\n", text)


STEPS: dict[str, Callable[[str], str]] = {
    step.__name__: step for step in (nfc, nfkc, full_width, control, html, whitespace, sentences)
}


def joined_lines(lines: list[str], limit: int) -> Iterator[str]:
    """Join neighbours up to ``limit`` characters; a longer one stays by itself.

    A space is put between two that both are of ASCII at the seam.
    """
    held = ""
    for line in lines:
        seam = " " if held and (held[-1] + line[0]).isascii() else ""
        if held and len(held) + len(seam) + len(line) > limit:
            yield held
            held = line
        else:
            held += seam + line
    if held:
        yield held
