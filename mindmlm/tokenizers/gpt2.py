"""GPT-2's tokenizer: byte-level byte-pair encoding (Radford et al., 2019)."""

import codecs
from collections.abc import Iterable, Sequence

import numpy as np

from mindmlm.tokenizers.byte_level import ByteLevelTokenizer
from mindmlm.tokenizers.byte_level_bpe import END_OF_TEXT, OF_GPT2


class GPT2Tokenizer(ByteLevelTokenizer):
    """Equal to transformers' `GPT2TokenizerFast`, see `ByteLevelTokenizer`.

    One difference is meant: `encode_ids` reads "<|endoftext|>" in a text as plain characters, so
    no line of a corpus can end its document early. `encode_prompt` reads it as the end token.

    Attributes:
        end_id: of <|endoftext|>.
    """

    kind = "GPT2Tokenizer"
    special = OF_GPT2

    def __init__(self, vocab: Sequence[str], merges: Sequence[tuple[str, str]]) -> None:
        super().__init__(vocab, merges)
        self.end_id = self._ids[END_OF_TEXT]

    def encode_prompt(self, text: str) -> np.ndarray:
        """Return int32 [n] ids; a literal "<|endoftext|>" in ``text`` is the end token."""
        parts = self.encode_ids(text.split(END_OF_TEXT))
        end = np.array([self.end_id], np.int32)
        between = [piece for part in parts[1:] for piece in (end, part)]
        return np.concatenate([parts[0], *between])


class IncrementalDecoder:
    """Text of tokens that come one after the other, in whole characters.

    A character may be spelled by several tokens; it is held back until the last one is there.

    Args:
        tokenizer: whose ids come.
    """

    def __init__(self, tokenizer: GPT2Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, ids: Iterable[int]) -> str:
        """Take ids and return the characters that are complete now, perhaps none.

        Raises:
            IndexError: an id is outside of the vocabulary.
        """
        return self._decoder.decode(self._tokenizer.decode_bytes(ids))

    def finish(self) -> str:
        """Return what is left of an incomplete character: U+FFFD, or nothing."""
        return self._decoder.decode(b"", final=True)
