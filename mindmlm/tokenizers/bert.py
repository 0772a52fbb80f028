"""BERT's tokenizer: clean, lower, split, then WordPiece (google-research/bert, tokenization.py)."""

import hashlib
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Encoding, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordPiece

from mindmlm.errors import DataError
from mindmlm.tokenizers.base import TokenizedText
from mindmlm.tokenizers.characters import contains_cjk
from mindmlm.tokenizers.ideographs import IdeographEncoder

VOCAB_NAME = "vocab.txt"
PAD, UNK, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIAL_TOKENS = (PAD, UNK, CLS, SEP, MASK)
CONTINUATION_PREFIX = "##"
MAX_CHARACTERS_PER_WORD = 100


class BertTokenizer:
    """WordPiece over Hugging Face `tokenizers`; equal to transformers' `BertTokenizerFast`.

    One difference is meant: `encode_batch` reads "[MASK]" or "[SEP]" in a text as plain
    characters, so no line of a corpus can smuggle in a special token.

    Args:
        vocab: the tokens; the place in the list is the id. Holds `SPECIAL_TOKENS`.
        do_lower_case: lower the text and strip accents, as the uncased models do.
    """

    mask_token = MASK

    def __init__(self, vocab: Sequence[str], do_lower_case: bool = True) -> None:
        self.vocab = list(vocab)
        self.do_lower_case = do_lower_case
        ids = {token: position for position, token in enumerate(self.vocab)}
        self._ids = ids
        self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = (
            ids[token] for token in SPECIAL_TOKENS
        )
        self.special_ids = np.array(sorted(ids[token] for token in SPECIAL_TOKENS), np.int32)
        self.is_continuation = np.array(
            [token.startswith(CONTINUATION_PREFIX) and len(token) > 2 for token in self.vocab]
        )
        self._tokenizer = Tokenizer(
            WordPiece(ids, unk_token=UNK, max_input_chars_per_word=MAX_CHARACTERS_PER_WORD)
        )
        self._tokenizer.normalizer = bert_normalizer(do_lower_case)
        self._tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        self._ideographs = IdeographEncoder(self._encode, ids, self.unk_id)

    @classmethod
    def from_vocab_file(cls, path: Path, do_lower_case: bool = True) -> "BertTokenizer":
        """Read a `vocab.txt`: one token a line, the line number (from 0) is the id.

        Raises:
            DataError: unreadable, not UTF-8, empty, an empty or repeated line, a special token
                missing. The message names file and line.
        """
        return cls(read_vocab(path), do_lower_case)

    @property
    def vocab_size(self) -> int:
        """Number of tokens, special ones included."""
        return len(self.vocab)

    def encode_batch(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Tokenize many texts; no special tokens are added or recognised."""
        plain = [place for place, text in enumerate(texts) if not contains_cjk(text)]
        encoded: dict[int, TokenizedText] = {}
        for place, encoding in zip(plain, self._encode([texts[p] for p in plain]), strict=True):
            offsets = np.fromiter(chain.from_iterable(encoding.offsets), np.int32).reshape(-1, 2)
            encoded[place] = TokenizedText(np.array(encoding.ids, np.int32), offsets)
        others = [place for place in range(len(texts)) if place not in encoded]
        tokens = self._ideographs.encode_batch([texts[place] for place in others])
        for place, (ids, begins, ends) in zip(others, tokens, strict=True):
            offsets = np.array([begins, ends], np.int32).T
            encoded[place] = TokenizedText(np.array(ids, np.int32), offsets)
        return [encoded[place] for place in range(len(texts))]

    def encode_ids(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return the ids of `encode_batch`, int32 [n] for each text, without the offsets."""
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, np.int32) for encoding in encodings]

    def encode_words(self, words: Sequence[str]) -> list[np.ndarray]:
        """Return int32 [n] ids of words as they may stand in a text: those of `encode_ids`."""
        return self.encode_ids(words)

    def encode_with_blanks(self, text: str) -> np.ndarray:
        """Return int32 [n] ids `[CLS] ... [SEP]`; a literal "[MASK]" in ``text`` is a blank."""
        ids = [self.cls_id]
        for number, encoding in enumerate(self._encode(text.split(MASK))):
            if number:
                ids.append(self.mask_id)
            ids += encoding.ids
        return np.array([*ids, self.sep_id], np.int32)

    def token_text(self, token_id: int) -> str:
        """Return what a token is shown as to people: itself."""
        return self.id_to_token(token_id)

    def id_to_token(self, token_id: int) -> str:
        """Return the token of an id.

        Raises:
            IndexError: the id is outside of the vocabulary.
        """
        return self.vocab[token_id]

    def token_to_id(self, token: str) -> int | None:
        """Return the id of a token, or None when the vocabulary does not hold it."""
        return self._ids.get(token)

    def fingerprint(self) -> str:
        """Return 32 hexadecimal digits that change with the vocabulary or `do_lower_case`."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(f"{int(self.do_lower_case)}\n".encode())
        digest.update("\n".join(self.vocab).encode("utf-8"))
        return digest.hexdigest()

    def setup(self) -> dict[str, Any]:
        """Return JSON values from which `tokenizer_from_setup` makes an equal tokenizer."""
        return {
            "type": "BertTokenizer",
            "vocab": self.vocab,
            "do_lower_case": self.do_lower_case,
        }

    def texts(self) -> dict[str, str]:
        """Return the file that `from_vocab_file` reads: name -> contents."""
        return {VOCAB_NAME: vocab_text(self.vocab)}

    def _encode(self, texts: Sequence[str]) -> list[Encoding]:
        return self._tokenizer.encode_batch(list(texts), add_special_tokens=False)


def bert_normalizer(do_lower_case: bool) -> normalizers.Normalizer:
    """Return BERT's cleaning: control characters out, CJK characters apart, accents stripped."""
    return normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=do_lower_case
    )


def vocab_text(vocab: Sequence[str]) -> str:
    """Return the contents of a `vocab.txt`: one token a line."""
    return "".join(f"{token}\n" for token in vocab)


def read_vocab(path: Path) -> list[str]:
    """Return the tokens of a `vocab.txt`, checked.

    Raises:
        DataError: see `BertTokenizer.from_vocab_file`.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot read the vocabulary: {error.strerror}") from None
    tokens = _decode(path, content)
    if tokens and not tokens[-1]:
        tokens.pop()
    if not tokens:
        raise DataError(f"{path}: the vocabulary is empty; expected one token a line")
    _check_unique(path, tokens)
    missing = [token for token in SPECIAL_TOKENS if token not in set(tokens)]
    if missing:
        raise DataError(
            f"{path}: {', '.join(missing)} missing among its {len(tokens)} lines; a BERT "
            f"vocabulary needs {' '.join(SPECIAL_TOKENS)}, each on a line of its own"
        )
    return tokens


def _decode(path: Path, content: bytes) -> list[str]:
    # str.splitlines would also split at U+2028 and others, which real vocabularies contain.
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: not UTF-8 (byte {error.start}: {error.reason})") from None
    return [line.removesuffix("\r") for line in text.split("\n")]


def _check_unique(path: Path, tokens: list[str]) -> None:
    first_line: dict[str, int] = {}
    for line, token in enumerate(tokens, start=1):
        if not token:
            raise DataError(f"{path}:{line}: empty line; every line holds one token")
        if token in first_line:
            raise DataError(
                f"{path}:{line}: token {token!r} stands already on line {first_line[token]}; "
                "every token may stand once"
            )
        first_line[token] = line
