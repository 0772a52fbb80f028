"""From a configuration to the masks of its training batches; no MindSpore in here."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from mindmlm.build_data.rows import predicts_next, spaces_divide_words
from mindmlm.config.checks.electra import detects_replaced
from mindmlm.config.schema import RunConfig
from mindmlm.data.masking import MaskingSettings
from mindmlm.data.masking.apply import MIXTURE
from mindmlm.data.masking.rare_token import token_weights
from mindmlm.data.masking.terms import TermTable
from mindmlm.data.segmentation import SegmenterOptions
from mindmlm.data.sentence_pairs.store import PairStore
from mindmlm.data.similar_word_files import SimilarWordSettings, load_similar_words
from mindmlm.data.store import TokenStore
from mindmlm.tokenizers.files import MaskingTokenizer

_NEEDS_NO_WORDS = ("token", "rare_token", "token_span")
_ELECTRA_MARGIN = 0.005
_CORPUS_PIECES, _CORPUS_PIECE_TOKENS = 256, 4096
_COUNTED_AT_ONCE = 1 << 22


def strategies(config: RunConfig) -> dict[str, float]:
    """Return the strategies that a run uses, with their weights."""
    masking = config.train_dataset.masking
    if masking.strategy != MIXTURE:
        return {masking.strategy: 1.0}
    weights: dict[str, float] = masking.mixture.model_dump()
    return {name: weight for name, weight in weights.items() if weight}


def segmenter(config: RunConfig) -> str:
    """Return the segmenter that the strategies need: "none" where no word matters."""
    if predicts_next(config) or spaces_divide_words(config):
        return "none"
    needs_words = any(name not in _NEEDS_NO_WORDS for name in strategies(config))
    return config.processor.segmenter if needs_words else "none"


def segmenter_options(config: RunConfig) -> SegmenterOptions:
    """Return the options of jieba and rjieba.

    Raises:
        DataError: the user dictionary cannot be read.
    """
    if segmenter(config) not in ("jieba", "rjieba"):
        return SegmenterOptions()
    return SegmenterOptions.from_file(config.processor.user_dict, config.processor.hmm)


def masking_settings(
    config: RunConfig, tokenizer: MaskingTokenizer, store: TokenStore | PairStore, total_steps: int
) -> MaskingSettings:
    """Return what is hidden in the training batches of a run.

    Args:
        config: the run.
        tokenizer: writes terms and similar words.
        store: the training samples; random tokens of spans have their frequencies.
        total_steps: length of a mask-rate schedule that has none of its own.

    Raises:
        DataError: a file of terms, similar words or antonyms is faulty.
    """
    masking = config.train_dataset.masking
    steps = masking.masked_lm_prob_steps or total_steps
    names = strategies(config)
    weights = None
    if "rare_token" in names:
        counts = token_counts(store, tokenizer.vocab_size)
        weights = token_weights(counts, masking.smoothing)
    return replace(
        constant_masking(config, tokenizer),
        masked_lm_prob_end=masking.masked_lm_prob_end,
        masked_lm_prob_steps=steps if masking.masked_lm_prob_end is not None else None,
        corpus_tokens=corpus_tokens(store, tokenizer) if "span" in names else None,
        token_weights=weights,
    )


def constant_masking(config: RunConfig, tokenizer: MaskingTokenizer) -> MaskingSettings:
    """Return what is hidden where there are no steps: in rows that are masked when they are built.

    Raises:
        DataError: a file of terms, similar words or antonyms is faulty.
    """
    masking = config.train_dataset.masking
    names = strategies(config)
    terms = None
    if masking.term_file:
        terms = TermTable.from_file(Path(masking.term_file), tokenizer, masking.term_weight)
    similar = None
    if "macbert" in names:
        words = SimilarWordSettings(**masking.similar_words.model_dump())
        similar = load_similar_words(words, tokenizer)
    return MaskingSettings(
        strategy=masking.strategy,
        masked_lm_prob=masking.masked_lm_prob,
        mask_prob=masking.mask_prob,
        random_prob=masking.random_prob,
        max_predictions_per_seq=_most_predictions(config),
        unit=masking.unit,
        mixture=tuple(names.items()),
        terms=terms,
        similar_words=similar,
    )


def _most_predictions(config: RunConfig) -> int | None:
    """Predictions of a row; None = what the rate says, rounded up.

    For ELECTRA a little more than the rate, rounded down (google-research/electra
    `configure_pretraining.py`), unless rows have several lengths.
    """
    section = config.train_dataset
    given = section.max_predictions_per_seq
    if given is not None or section.bucket_lengths or not detects_replaced(config):
        return given
    masking = section.masking
    rate = max(masking.masked_lm_prob, masking.masked_lm_prob_end or 0.0)
    return max(1, int((rate + _ELECTRA_MARGIN) * section.max_seq_length))


def corpus_tokens(store: TokenStore | PairStore, tokenizer: MaskingTokenizer) -> np.ndarray | None:
    """Return ordinary tokens from all over the samples, int32: at most a million.

    SpanBERT draws its random tokens from the corpus. None when there are only special tokens.
    """
    count = store.num_tokens
    begins = np.unique(np.linspace(0, max(0, count - 1), _CORPUS_PIECES).astype(np.int64))
    if count <= _CORPUS_PIECES * _CORPUS_PIECE_TOKENS:
        tokens = store.tokens(0, count)
    else:
        tokens = np.concatenate([store.tokens(int(b), _CORPUS_PIECE_TOKENS) for b in begins])
    ordinary = tokens[~np.isin(tokens, tokenizer.special_ids)].astype(np.int32)
    return ordinary if len(ordinary) else None


def token_counts(store: TokenStore | PairStore, vocab_size: int) -> np.ndarray:
    """Return how often each token is in the samples, int64 [vocab_size].

    Memory: that of a few million tokens, whatever the size of the text.
    """
    counts = np.zeros(vocab_size, np.int64)
    for begin in range(0, store.num_tokens, _COUNTED_AT_ONCE):
        counts += np.bincount(store.tokens(begin, _COUNTED_AT_ONCE), minlength=vocab_size)
    return counts
