"""Train a WordPiece vocabulary; the same text always gives the same bytes."""

from collections import Counter
from collections.abc import Iterable, Iterator

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from mindmlm.errors import DataError
from mindmlm.tokenizers.bert import CONTINUATION_PREFIX, SPECIAL_TOKENS, UNK, bert_normalizer
from mindmlm.tokenizers.characters import contains_cjk, is_punctuation

MAX_CHARACTERS = 256_000_000
MAX_DISTINCT_WORDS = 2_000_000
MAX_WORD_LENGTH = 32
MIN_FREQUENCY = 2


def train_vocab(texts: Iterable[str], vocab_size: int, do_lower_case: bool) -> list[str]:
    """Return a WordPiece vocabulary of at most ``vocab_size`` tokens for ``texts``.

    Order: the five special tokens; every character seen, the frequent ones first (ties by code
    point), CJK characters and punctuation as they are, other characters both bare and as
    ``##c``; then the pieces that byte-pair encoding joins, in the order of joining. So a Chinese
    vocabulary is one of characters, and a word of known characters is never [UNK].

    Joining is Hugging Face's `BpeTrainer` (Sennrich et al., 2016). Its result depends on the
    order in which ``##c`` pieces get their ids, which differs from process to process, so all
    of them are given to it beforehand. `WordPieceTrainer` has no such remedy.

    Memory is bounded: at most 2 million distinct words are counted (beyond that, words seen
    once are forgotten) and reading ends after 256 million characters.

    Args:
        texts: lines of the corpus; read once.
        vocab_size: the largest number of tokens, special ones included.
        do_lower_case: as for `BertTokenizer`.

    Raises:
        DataError: ``vocab_size`` leaves no room beside the special tokens, or there is no text.
    """
    if vocab_size <= len(SPECIAL_TOKENS):
        raise DataError(
            f"a vocabulary of {vocab_size} tokens has no room for text: "
            f"{len(SPECIAL_TOKENS)} are special tokens; ask for more"
        )
    words = _count_words(texts, do_lower_case)
    if not words:
        raise DataError("no text to train a vocabulary on: every line was empty")
    characters = _characters(words)
    room = vocab_size - len(SPECIAL_TOKENS)
    vocab = [*SPECIAL_TOKENS, *characters[:room]]
    if room > len(characters):
        vocab += _joined_pieces(words, characters, room)
    return vocab


def _count_words(texts: Iterable[str], do_lower_case: bool) -> Counter[str]:
    normalizer = bert_normalizer(do_lower_case)
    splitter = pre_tokenizers.BertPreTokenizer()
    words: Counter[str] = Counter()
    remaining = MAX_CHARACTERS
    for text in texts:
        words.update(word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)))
        if len(words) > MAX_DISTINCT_WORDS:
            words = Counter({word: n for word, n in words.items() if n >= MIN_FREQUENCY})
        remaining -= len(text)
        if remaining <= 0:
            break
    return words


def _stands_alone(character: str) -> bool:
    return contains_cjk(character) or is_punctuation(character)


def _characters(words: Counter[str]) -> list[str]:
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for position, character in enumerate(word):
            if _stands_alone(character):
                counts[character] += count
                continue
            continuation = CONTINUATION_PREFIX + character
            counts[continuation if position else character] += count
            counts[character if position else continuation] += 0
    return sorted(counts, key=lambda piece: (-counts[piece], piece))


def _joined_pieces(words: Counter[str], characters: list[str], room: int) -> list[str]:
    trainer = trainers.BpeTrainer(
        vocab_size=room + 1,
        min_frequency=MIN_FREQUENCY,
        show_progress=False,
        special_tokens=[UNK, *characters],
        continuing_subword_prefix=CONTINUATION_PREFIX,
    )
    tokenizer = Tokenizer(models.BPE(unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.train_from_iterator(_repeated(words), trainer)
    ids = tokenizer.get_vocab()
    return sorted(ids, key=ids.__getitem__)[1 + len(characters) :]


def _repeated(words: Counter[str]) -> Iterator[str]:
    """Give each word as often as it was counted: `BpeTrainer` takes text, not counts."""
    for word in sorted(words):
        if 1 < len(word) <= MAX_WORD_LENGTH:
            remaining = words[word]
            while remaining:
                portion = min(remaining, 10_000)
                yield f"{word} " * portion
                remaining -= portion
