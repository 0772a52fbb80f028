"""RoBERTa's tokenizer: GPT-2's byte-level BPE with BERT's special tokens (Liu et al., 2019)."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
from tokenizers import processors

from mindmlm.tokenizers.base import TokenizedText
from mindmlm.tokenizers.byte_level import ByteLevelTokenizer
from mindmlm.tokenizers.byte_level_bpe import SpecialTokens
from mindmlm.tokenizers.byte_symbols import BYTE_SYMBOLS

BEGIN, PAD, END, UNK, MASK = "<s>", "<pad>", "</s>", "<unk>", "<mask>"
# The order of fairseq's dictionary; the model counts positions from the id of <pad>.
OF_ROBERTA = SpecialTokens(first=(BEGIN, PAD, END, UNK), last=(MASK,))
_SPACE = BYTE_SYMBOLS[ord(" ")]
# Bytes that begin a Chinese character or a kana in UTF-8, as the vocabulary spells them.
_IDEOGRAPHS = tuple(BYTE_SYMBOLS[byte] for byte in range(0xE3, 0xEA))
# White space for Unicode, which a <mask> takes in on its left; Python's own idea of it is wider.
_WHITE_SPACE = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009"
    "\u200a\u2028\u2029\u202f\u205f\u3000"
)


class RobertaTokenizer(ByteLevelTokenizer):
    """Equal to transformers' `RobertaTokenizerFast`, see `ByteLevelTokenizer`.

    One difference is meant: `encode_ids` and `encode_batch` read "<mask>" or "</s>" in a text as
    plain characters. `encode_with_blanks` reads "<mask>" as a blank.

    Attributes:
        pad_id, unk_id, cls_id, sep_id, mask_id: of <pad>, <unk>, <s>, </s>, <mask>.
        special_ids: int32, all five, ascending.
        is_continuation: bool [vocab], the token goes on with a word. A word begins with a space, as
            in fairseq (`GPT2BPE.is_beginning_of_word`); besides, with an ideograph or a kana,
            between which there are no spaces.
    """

    kind = "RobertaTokenizer"
    special = OF_ROBERTA
    mask_token = MASK

    def __init__(self, vocab: Sequence[str], merges: Sequence[tuple[str, str]]) -> None:
        super().__init__(vocab, merges)
        self.cls_id, self.pad_id, self.sep_id, self.unk_id, self.mask_id = (
            self._ids[token] for token in OF_ROBERTA.all
        )
        self.special_ids = np.array(sorted(self._ids[token] for token in OF_ROBERTA.all), np.int32)
        begins = (_SPACE, *_IDEOGRAPHS)
        self.is_continuation = np.array([not token.startswith(begins) for token in self.vocab])
        self.is_continuation[self.special_ids] = False
        # Adds nothing here; takes the space before a word out of its offsets.
        self._tokenizer.post_processor = processors.RobertaProcessing(
            (END, self.sep_id), (BEGIN, self.cls_id), trim_offsets=True, add_prefix_space=False
        )

    def encode_batch(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Tokenize many texts; no special tokens are added or recognised.

        Tokens that share the bytes of a character have its offsets both.
        """
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [
            TokenizedText(
                np.array(encoding.ids, np.int32),
                np.fromiter(chain.from_iterable(encoding.offsets), np.int32).reshape(-1, 2),
            )
            for encoding in encodings
        ]

    def encode_words(self, words: Sequence[str]) -> list[np.ndarray]:
        """Return int32 [n] ids of words as they may stand in a text.

        Each twice: with a space before it, and at the beginning of a line.
        """
        return self.encode_ids([*(f" {word}" for word in words), *words])

    def encode_with_blanks(self, text: str) -> np.ndarray:
        """Return int32 [n] ids `<s> ... </s>`; a literal "<mask>" in ``text`` is a blank.

        A blank takes in the white space before it, as in transformers (`lstrip`).
        """
        *before, last = text.split(MASK)
        parts = self.encode_ids([*(part.rstrip(_WHITE_SPACE) for part in before), last])
        mask = np.array([self.mask_id], np.int32)
        ends = [np.array([self.cls_id], np.int32), np.array([self.sep_id], np.int32)]
        between = [piece for part in parts[1:] for piece in (mask, part)]
        return np.concatenate([ends[0], parts[0], *between, ends[1]])

    def token_text(self, token_id: int) -> str:
        """Return what a token is shown as to people: its text, with the space before a word.

        Bytes that are no whole character are shown as U+FFFD.
        """
        return self.decode([token_id])
