"""Byte-level byte-pair encoding (Radford et al., 2019): what GPT-2 and RoBERTa have in common."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers

from mindmlm.tokenizers.byte_level_bpe import ByteLevelBpe, SpecialTokens
from mindmlm.tokenizers.byte_level_files import read_tokenizer_json, read_vocab_and_merges
from mindmlm.tokenizers.byte_symbols import bytes_of
from mindmlm.tokenizers.repeated_words import WordEncoder, has_spaced_words

VOCAB_NAME, MERGES_NAME = "vocab.json", "merges.txt"
Self = TypeVar("Self", bound="ByteLevelTokenizer")


class ByteLevelTokenizer:
    """Byte-level BPE over Hugging Face `tokenizers`.

    Every text can be spelled, nothing is unknown, and `decode` gives the text back. `encode_ids`
    reads the name of a special token in a text as plain characters, so no line of a corpus can
    smuggle one in.

    Args:
        vocab: the tokens; the place in the list is the id. Holds the 256 byte symbols, what the
            merges make, and `special`.
        merges: pairs, the first one is merged first.

    Attributes:
        kind: `processor.tokenizer.type` of the class.
        special: its special tokens.
        vocab, merges: as given.
        token_bytes: the bytes that each id stands for.
    """

    kind: ClassVar[str]
    special: ClassVar[SpecialTokens]

    def __init__(self, vocab: Sequence[str], merges: Sequence[tuple[str, str]]) -> None:
        self.vocab = list(vocab)
        self.merges = [(left, right) for left, right in merges]
        self._ids = {token: place for place, token in enumerate(self.vocab)}
        self.token_bytes = [bytes_of(token) for token in self.vocab]
        self._tokenizer = Tokenizer(models.BPE(vocab=self._ids, merges=self.merges))
        self._tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        self._words = WordEncoder(self._encode)

    @classmethod
    def from_files(cls: type[Self], vocab_file: Path, merges_file: Path) -> Self:
        """Read a `vocab.json` and a `merges.txt`, as OpenAI and transformers write them.

        Raises:
            DataError: a file is missing or malformed, the ids have holes, a merge makes no token,
                or a byte or a special token is missing. The message names file and line.
        """
        return cls.of_bpe(read_vocab_and_merges(vocab_file, merges_file, cls.special))

    @classmethod
    def from_tokenizer_json(cls: type[Self], path: Path) -> Self:
        """Read a `tokenizer.json` of Hugging Face.

        Raises:
            DataError: see `from_files`; or it divides text in another way than GPT-2.
        """
        return cls.of_bpe(read_tokenizer_json(path, cls.special))

    @classmethod
    def of_bpe(cls: type[Self], bpe: ByteLevelBpe) -> Self:
        """Take a vocabulary that was trained or read."""
        return cls(bpe.vocab, bpe.merges)

    @property
    def vocab_size(self) -> int:
        """Number of tokens, special ones included."""
        return len(self.vocab)

    def encode_ids(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return int32 [n] ids for each text; nothing is added."""
        spaced = [place for place, text in enumerate(texts) if has_spaced_words(text)]
        encoded = dict(
            zip(spaced, self._words.encode_batch([texts[p] for p in spaced]), strict=True)
        )
        others = [place for place in range(len(texts)) if place not in encoded]
        for place, ids in zip(others, self._encode([texts[p] for p in others]), strict=True):
            encoded[place] = np.array(ids, np.int32)
        return [encoded[place] for place in range(len(texts))]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids; bytes that are no UTF-8 become U+FFFD, special tokens themselves.

        Raises:
            IndexError: an id is outside of the vocabulary.
        """
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """Return the bytes of ids, one after the other.

        Raises:
            IndexError: an id is outside of the vocabulary.
        """
        values = np.fromiter(ids, np.int64)
        if values.size and not 0 <= values.min() <= values.max() < self.vocab_size:
            wrong = values[(values < 0) | (values >= self.vocab_size)][0]
            raise IndexError(f"token {wrong} is not in a vocabulary of {self.vocab_size}")
        return b"".join([self.token_bytes[token] for token in values.tolist()])

    def id_to_token(self, token_id: int) -> str:
        """Return the token of an id as the vocabulary spells it (a space is "Ġ").

        Raises:
            IndexError: the id is outside of the vocabulary.
        """
        return self.vocab[token_id]

    def token_to_id(self, token: str) -> int | None:
        """Return the id of a token, or None when the vocabulary does not hold it."""
        return self._ids.get(token)

    def fingerprint(self) -> str:
        """Return 32 hexadecimal digits that change with the vocabulary or the merges."""
        text = json.dumps([self.vocab, self.merges])
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def setup(self) -> dict[str, Any]:
        """Return JSON values from which `tokenizer_from_setup` makes an equal tokenizer."""
        return {"type": self.kind, "vocab": self.vocab, "merges": self.merges}

    def texts(self) -> dict[str, str]:
        """Return the files that `from_files` reads: name -> contents."""
        bpe = ByteLevelBpe(self.vocab, self.merges)
        return {VOCAB_NAME: bpe.vocab_json(), MERGES_NAME: bpe.merges_text()}

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]
