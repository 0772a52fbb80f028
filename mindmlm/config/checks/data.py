"""Rows, masks and where the text comes from."""

import math
from collections.abc import Iterator
from itertools import pairwise

from mindmlm.config.database_url import url_fault
from mindmlm.config.problems import Problem
from mindmlm.config.schema import RunConfig


def predictions_fit_rows(config: RunConfig) -> Iterator[Problem]:
    """[CLS] and [SEP] are never predicted."""
    data = config.train_dataset
    room = data.max_seq_length - 2
    given = data.max_predictions_per_seq
    rate = max(data.masking.masked_lm_prob, data.masking.masked_lm_prob_end or 0.0)
    wanted = given or math.ceil(rate * data.max_seq_length)
    if wanted > room:
        path = "max_predictions_per_seq" if given else "masking.masked_lm_prob"
        yield Problem(
            f"train_dataset.{path}",
            f"{wanted} predictions do not fit a row of max_seq_length {data.max_seq_length}: at "
            f"most {room} (two tokens are [CLS] and [SEP])",
        )


def bucket_lengths_ascend(config: RunConfig) -> Iterator[Problem]:
    """Every bucket is longer than the one before and shorter than a whole row."""
    data = config.train_dataset
    lengths = [*data.bucket_lengths, data.max_seq_length]
    if any(first >= second for first, second in pairwise(lengths)):
        yield Problem(
            "train_dataset.bucket_lengths",
            f"{data.bucket_lengths} must ascend and stay below max_seq_length "
            f"{data.max_seq_length}",
        )


def full_sentences_are_masked_rows(config: RunConfig) -> Iterator[Problem]:
    """RoBERTa's rows of whole sentences join documents; a decoder's rows have no room left over."""
    data = config.train_dataset
    if data.sample_mode != "full_sentences":
        return
    if config.trainer.type == "CausalLanguageModelingTrainer":
        yield Problem(
            "train_dataset.sample_mode",
            "full_sentences makes rows for masked language models; use packed",
        )
    elif not data.attend_across_documents:
        yield Problem(
            "train_dataset.attend_across_documents",
            "False keeps documents apart, and sample_mode full_sentences joins them; use "
            "sample_mode packed",
        )


def mask_probabilities(config: RunConfig) -> Iterator[Problem]:
    """[MASK], random and unchanged share the predicted tokens."""
    masking = config.train_dataset.masking
    if masking.mask_prob + masking.random_prob > 1 + 1e-9:
        yield Problem(
            "train_dataset.masking.random_prob",
            f"mask_prob {masking.mask_prob} + random_prob {masking.random_prob} is more than 1",
        )


def mixture_has_weights(config: RunConfig) -> Iterator[Problem]:
    """Each row draws its strategy by the weights."""
    masking = config.train_dataset.masking
    if masking.strategy == "mixture" and not any(masking.mixture.model_dump().values()):
        yield Problem(
            "train_dataset.masking.mixture",
            "all weights are 0; give some, for example whole_word: 1 and span: 1",
        )


def _replaces_words(config: RunConfig) -> bool:
    masking = config.train_dataset.masking
    mixed = masking.strategy == "mixture" and bool(masking.mixture.macbert)
    return masking.strategy == "macbert" or mixed


def macbert_has_words(config: RunConfig) -> Iterator[Problem]:
    """MacBERT puts similar words in place of others; they are an input of training."""
    named = config.train_dataset.masking.similar_words.file
    if _replaces_words(config) and config.run_mode in ("train", "finetune") and not named:
        yield Problem(
            "train_dataset.masking.similar_words.file",
            "macbert needs a file of word vectors or of synonyms; add --options "
            "train_dataset.masking.similar_words.file=vectors.txt",
        )


def macbert_replaces_words(config: RunConfig) -> Iterator[Problem]:
    """Similar words take the place of whole words of a WordPiece vocabulary."""
    if not _replaces_words(config):
        return
    if config.processor.tokenizer.type == "RobertaTokenizer":
        yield Problem(
            "train_dataset.masking.strategy",
            "macbert replaces words of a WordPiece vocabulary, and processor.tokenizer.type is "
            "RobertaTokenizer; use another strategy, or BertTokenizer",
        )
    if config.train_dataset.masking.unit == "piece":
        yield Problem(
            "train_dataset.masking.unit",
            "macbert replaces whole words; use published or word",
        )


def reference_file_is_usable(config: RunConfig) -> Iterator[Problem]:
    """Its lines are paired with those of the text, one by one."""
    if config.processor.segmenter != "reference_file":
        return
    if not config.processor.reference_file:
        yield Problem(
            "processor.reference_file", "segmenter reference_file needs the file of word ids"
        )
    if config.train_dataset.data_loader.on_error == "skip":
        yield Problem(
            "train_dataset.data_loader.on_error",
            "skip would shift the lines of processor.reference_file; use raise",
        )


def table_is_described(config: RunConfig) -> Iterator[Problem]:
    """No password in an address, and every parameter has a name."""
    loader = config.train_dataset.data_loader
    if loader.url and (fault := url_fault(loader.url)):
        yield Problem("train_dataset.data_loader.url", fault)
    for text in loader.parameters:
        if not text.partition("=")[0].isidentifier() or "=" not in text:
            yield Problem(
                "train_dataset.data_loader.parameters",
                f"expected name=value, got {text!r}; the name is that of :name in the query",
            )
