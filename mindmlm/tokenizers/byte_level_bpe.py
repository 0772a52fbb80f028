"""Train byte-level BPE, GPT-2's or RoBERTa's; the same text always gives the same bytes."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from mindmlm.errors import DataError
from mindmlm.tokenizers.vocab_training import MAX_CHARACTERS, MIN_FREQUENCY

END_OF_TEXT = "<|endoftext|>"
_BYTES = 256


@dataclass(frozen=True)
class SpecialTokens:
    """The tokens of a vocabulary that no text is spelled with.

    Attributes:
        first: they have the ids 0, 1, ...
        last: they have the largest ids.
    """

    first: tuple[str, ...] = ()
    last: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """All of them."""
        return self.first + self.last


OF_GPT2 = SpecialTokens(last=(END_OF_TEXT,))
"""As in OpenAI's files."""


@dataclass(frozen=True)
class ByteLevelBpe:
    """A vocabulary and its merges.

    Attributes:
        vocab: the tokens in the order of their ids; of a trained one 256 bytes and merged pieces,
            between the special tokens that come first and those that come last.
        merges: pairs, the first one is merged first.
    """

    vocab: list[str]
    merges: list[tuple[str, str]]

    def vocab_json(self) -> str:
        """Return the contents of a `vocab.json`."""
        ids = {token: place for place, token in enumerate(self.vocab)}
        return json.dumps(ids, ensure_ascii=False) + "\n"

    def merges_text(self) -> str:
        """Return the contents of a `merges.txt`."""
        return "#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in self.merges)


def train_byte_level_bpe(
    texts: Iterable[str], vocab_size: int, special: SpecialTokens = OF_GPT2
) -> ByteLevelBpe:
    """Train on texts (Radford et al., 2019, with Hugging Face's `BpeTrainer`).

    Every text can be spelled, nothing is ever unknown. Reading ends after 256 million characters.

    Args:
        texts: lines of the corpus; read once.
        vocab_size: the largest number of tokens, special ones and 256 bytes included.
        special: the special tokens.

    Raises:
        DataError: ``vocab_size`` has no room for the bytes, or there is no text.
    """
    least = smallest_vocabulary(special)
    if vocab_size < least:
        raise DataError(
            f"a byte-level vocabulary has at least {least} tokens (256 bytes and "
            f"{' '.join(special.all)}); {vocab_size} is too few"
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(special.all),
        min_frequency=MIN_FREQUENCY,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    counter = _Counted(texts)
    tokenizer.train_from_iterator(counter, trainer)
    if not counter.characters:
        raise DataError("no text to train a vocabulary on: every line was empty")
    model = json.loads(tokenizer.to_str())["model"]
    ids = model["vocab"]
    vocab = sorted(ids, key=ids.__getitem__)
    merges = [tuple(pair) for pair in model["merges"]]
    return ByteLevelBpe([*special.first, *vocab, *special.last], merges)


def smallest_vocabulary(special: SpecialTokens) -> int:
    """Return the tokens of a vocabulary without merges."""
    return _BYTES + len(special.all)


class _Counted:
    """Gives texts until there are enough characters."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = texts
        self.characters = 0

    def __iter__(self) -> Iterator[str]:
        for text in self._texts:
            self.characters += len(text)
            yield text + "\n"
            if self.characters >= MAX_CHARACTERS:
                return
