"""Sentence pairs: their head, their rows, and what does not go with them."""

from collections.abc import Iterator

from mindmlm.config.problems import Problem
from mindmlm.config.schema import RunConfig

ARCHITECTURE = "BertForPreTraining"
_DATA = "train_dataset"
# [CLS] A [SEP] B [SEP], and a token of each.
_SHORTEST_ROW = 5


def has_pairs(config: RunConfig) -> bool:
    """Return whether a run learns from sentence pairs."""
    return config.train_dataset.sentence_pairs != "none"


def pairs_have_a_head(config: RunConfig) -> Iterator[Problem]:
    """Pairs without a head have no loss, a head without pairs is trained on nothing."""
    found = config.model.arch.type
    if has_pairs(config) and found != ARCHITECTURE:
        yield Problem(
            f"{_DATA}.sentence_pairs",
            f"{config.train_dataset.sentence_pairs} needs model.arch.type: {ARCHITECTURE}, and "
            f"that is {found}; set it, or use sentence_pairs: none",
        )
    elif found == ARCHITECTURE and not has_pairs(config) and config.run_mode != "predict":
        yield Problem(
            "model.arch.type",
            f"{ARCHITECTURE} learns from sentence pairs; set {_DATA}.sentence_pairs: nsp (or sop), "
            "or use BertForMaskedLM",
        )


def pairs_have_rows(config: RunConfig) -> Iterator[Problem]:
    """A row of two segments has room for both and is nothing else."""
    if not has_pairs(config):
        return
    data = config.train_dataset
    if data.max_seq_length < _SHORTEST_ROW:
        yield Problem(
            f"{_DATA}.max_seq_length",
            f"{data.max_seq_length} tokens hold no two segments; use at least {_SHORTEST_ROW}",
        )
    room = data.max_seq_length - 3
    if (data.max_predictions_per_seq or 0) > room:
        yield Problem(
            f"{_DATA}.max_predictions_per_seq",
            f"{data.max_predictions_per_seq} predictions do not fit a row of two segments of "
            f"max_seq_length {data.max_seq_length}: at most {room} (three tokens are special)",
        )
    if data.sample_mode == "packed":
        yield Problem(
            f"{_DATA}.sample_mode",
            "packed rows are no sentence pairs; use line, or sentence_pairs: none",
        )
    if data.bucket_lengths:
        yield Problem(
            f"{_DATA}.bucket_lengths",
            "sentence pairs fill their rows: there is nothing to gain; use [], and a smaller "
            f"{_DATA}.max_seq_length in a phase of its own",
        )


def pairs_have_an_engine(config: RunConfig) -> Iterator[Problem]:
    """The graphs of mode 1 have one head."""
    if config.model.arch.type == ARCHITECTURE and config.use_parallel and config.parallel_mode == 1:
        yield Problem(
            "parallel.parallel_mode",
            "1 (semi_auto_parallel) has no graph for sentence pairs; use 3 (hybrid_parallel) or 0 "
            "(data_parallel)",
        )
