"""Character classes of BERT's tokenizer (google-research/bert `tokenization.py`)."""

import re
import unicodedata

_CJK_BLOCKS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


_CJK = re.compile("[" + "".join(f"{chr(a)}-{chr(b)}" for a, b in _CJK_BLOCKS) + "]")


def contains_cjk(text: str) -> bool:
    """Tell whether BERT makes a token of its own of some ideograph here (kana, hangul: no)."""
    return _CJK.search(text) is not None


def is_punctuation(character: str) -> bool:
    """Tell whether BERT splits at this character: ASCII symbols and Unicode category P."""
    code = ord(character)
    if code < 0x80:
        return 33 <= code <= 126 and not character.isalnum()
    return unicodedata.category(character).startswith("P")
