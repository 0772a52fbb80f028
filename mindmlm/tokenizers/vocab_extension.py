"""Add domain words to a vocabulary, and give a model rows for them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import pre_tokenizers

from mindmlm.tokenizers.bert import (
    CONTINUATION_PREFIX,
    MAX_CHARACTERS_PER_WORD,
    SPECIAL_TOKENS,
    BertTokenizer,
    bert_normalizer,
)

_MAX_DISTINCT_WORDS = 2_000_000


@dataclass(frozen=True)
class ExtendedVocabulary:
    """A vocabulary with more tokens at its end; the ids of the old ones stay.

    Attributes:
        vocab: all tokens.
        added: the new ones, in the order of their ids.
        known: words that were one token already.
        divided: words that the tokenizer divides whatever the vocabulary holds (at ideographs,
            punctuation, spaces), so they cannot be one token; their parts were added instead.
    """

    vocab: list[str]
    added: list[str]
    known: list[str]
    divided: list[str]


def extend_vocab(
    vocab: Sequence[str], words: Iterable[str], do_lower_case: bool
) -> ExtendedVocabulary:
    """Append words to a vocabulary.

    Args:
        vocab: as read from a `vocab.txt`.
        words: as they are written in a text; they are cleaned and lowered as a text is.
        do_lower_case: as for `BertTokenizer`.
    """
    normalizer, splitter = bert_normalizer(do_lower_case), pre_tokenizers.BertPreTokenizer()
    present = set(vocab)
    added: list[str] = []
    known: list[str] = []
    divided: list[str] = []
    for word in words:
        normal = normalizer.normalize_str(word)
        units = [unit for unit, _ in splitter.pre_tokenize_str(normal)]
        new = [unit for unit in dict.fromkeys(units) if unit not in present and _fits(unit)]
        if len(units) > 1:
            divided.append(word)
        elif units and not new:
            known.append(word)
        present.update(new)
        added += new
    return ExtendedVocabulary([*vocab, *added], added, known, divided)


def _fits(unit: str) -> bool:
    # A longer one is [UNK] before WordPiece looks into the vocabulary.
    return len(unit) <= MAX_CHARACTERS_PER_WORD


def frequent_divided_words(
    texts: Iterable[str], tokenizer: BertTokenizer, count: int, min_frequency: int
) -> list[str]:
    """Return the words of a text that a vocabulary divides or does not know, most frequent first.

    Ties are broken by the word, so the same text gives the same words. At most 2 million distinct
    words are counted; beyond that, words seen once are forgotten.

    Args:
        texts: lines.
        tokenizer: the vocabulary that is to be extended.
        count: most words returned.
        min_frequency: a rarer word is left out.
    """
    normalizer = bert_normalizer(tokenizer.do_lower_case)
    splitter = pre_tokenizers.BertPreTokenizer()
    present = set(tokenizer.vocab)
    words: Counter[str] = Counter()
    for text in texts:
        units = splitter.pre_tokenize_str(normalizer.normalize_str(text))
        words.update(unit for unit, _ in units if unit not in present)
        if len(words) > _MAX_DISTINCT_WORDS:
            words = Counter({word: number for word, number in words.items() if number > 1})
    frequent = [word for word, number in words.items() if number >= min_frequency and _fits(word)]
    return sorted(frequent, key=lambda word: (-words[word], word))[:count]


def is_extension(old: Sequence[str], new: Sequence[str]) -> bool:
    """Return whether ``new`` begins with all tokens of ``old``."""
    return len(new) >= len(old) and list(new[: len(old)]) == list(old)


def pieces_of_new_tokens(old: Sequence[str], new: Sequence[str]) -> list[np.ndarray]:
    """Return int64 ids of the old pieces that make up each token behind the end of ``old``.

    The pieces are WordPiece's: the longest one first. A token that the old vocabulary cannot
    spell gets every token that is not special, so that it starts as an average word.
    """
    ids = {token: place for place, token in enumerate(old)}
    everything = np.array([ids[token] for token in old if token not in SPECIAL_TOKENS], np.int64)
    found = []
    for token in new[len(old) :]:
        pieces = _spell(token, ids)
        found.append(np.array(pieces, np.int64) if pieces else everything)
    return found


def _spell(token: str, ids: dict[str, int]) -> list[int]:
    prefix = CONTINUATION_PREFIX if token.startswith(CONTINUATION_PREFIX) else ""
    rest = token.removeprefix(prefix)
    pieces = []
    while rest:
        end = next((n for n in range(len(rest), 0, -1) if prefix + rest[:n] in ids), 0)
        if not end:
            return []
        pieces.append(ids[prefix + rest[:end]])
        rest, prefix = rest[end:], CONTINUATION_PREFIX
    return pieces


def extend_rows(
    trained: np.ndarray, initial: np.ndarray, old_size: int, pieces: Sequence[np.ndarray]
) -> np.ndarray:
    """Return trained rows with more rows at the end, each the mean of the rows of its pieces.

    The mean keeps a new token near the words it is made of, where the model knows what to do
    (Hewitt, 2021, "Initializing new word embeddings for pretrained language models").

    Args:
        trained: [n, ...] rows of the old vocabulary, n at least ``old_size``.
        initial: [m, ...] what the new model starts with, m at least ``old_size + len(pieces)``;
            rows that no token has are taken from here.
        old_size: tokens of the old vocabulary.
        pieces: old ids of each new token, see `pieces_of_new_tokens`.
    """
    rows = initial.copy()
    rows[:old_size] = trained[:old_size]
    for place, ids in enumerate(pieces, start=old_size):
        rows[place] = trained[ids].mean(axis=0)
    return rows
