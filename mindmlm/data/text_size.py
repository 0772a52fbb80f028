"""How long a text is in words and bytes, so that losses can be given for them."""

import codecs
from dataclasses import dataclass

import numpy as np

from mindmlm.tokenizers.gpt2 import GPT2Tokenizer


@dataclass(frozen=True)
class TextSize:
    """The length of a text that is predicted.

    Attributes:
        words: runs of characters that are no white space; a word never reaches over the border of
            a document.
        bytes: of the UTF-8 of the text; the ends of documents have none.
    """

    words: int
    bytes: int


class TextCounter:
    """Counts the words and bytes of tokens that come piece by piece.

    Args:
        tokenizer: of the tokens.
    """

    def __init__(self, tokenizer: GPT2Tokenizer) -> None:
        self._pieces = list(tokenizer.token_bytes)
        self._lengths = np.array([len(piece) for piece in self._pieces], np.int64)
        self._pieces[tokenizer.end_id] = b"\n"
        self._lengths[tokenizer.end_id] = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._in_word = False
        self._words = 0
        self._bytes = 0

    def add(self, ids: np.ndarray) -> None:
        """Take the next tokens, int [n]; an end token ends the word before it."""
        self._bytes += int(self._lengths[ids].sum())
        text = self._decoder.decode(b"".join([self._pieces[token] for token in ids.tolist()]))
        if text:
            # Its first characters may go on with a word that was counted already.
            goes_on = self._in_word and not text[0].isspace()
            self._words += len(text.split()) - goes_on
            self._in_word = not text[-1].isspace()

    def size(self) -> TextSize:
        """Return what was counted so far."""
        return TextSize(self._words, self._bytes)
