"""What every tokenizer can do, whatever its vocabulary is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np


@dataclass(frozen=True)
class TokenizedText:
    """Pieces of one text, without special tokens.

    Attributes:
        ids: int32 [n], positions in the vocabulary.
        offsets: int32 [n, 2], first and one-past-last character in the original text.
    """

    ids: np.ndarray
    offsets: np.ndarray


class Tokenizer(Protocol):
    """From text to ids, and what tells one vocabulary from another."""

    @property
    def vocab(self) -> Sequence[str]:
        """The tokens; the place is the id."""

    @property
    def vocab_size(self) -> int:
        """Number of tokens, special ones included."""

    def encode_ids(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return int32 [n] ids for each text; no special token is added or recognised."""

    def id_to_token(self, token_id: int) -> str:
        """Return the token of an id."""

    def token_to_id(self, token: str) -> int | None:
        """Return the id of a token, or None when the vocabulary does not hold it."""

    def fingerprint(self) -> str:
        """Return 32 hexadecimal digits that change with anything that changes an id."""

    def setup(self) -> dict[str, Any]:
        """Return JSON values from which `tokenizer_from_setup` makes an equal tokenizer."""

    def texts(self) -> dict[str, str]:
        """Return the files that describe it: name -> contents."""
