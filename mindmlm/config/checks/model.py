"""The network against itself, its rows and its vocabulary."""

from collections.abc import Iterator
from pathlib import Path

from mindmlm.config.checks.files import count_lines
from mindmlm.config.problems import Problem
from mindmlm.config.schema import RunConfig

# Architecture -> the kind of network it stands on, and the tasks that train it.
_KINDS = {
    "BertForMaskedLM": ("BertConfig", ("MaskedLanguageModelingTrainer", "DistillationTrainer")),
    "RobertaForMaskedLM": ("RobertaConfig", ("MaskedLanguageModelingTrainer",)),
    "BertForPreTraining": ("BertConfig", ("MaskedLanguageModelingTrainer",)),
    "BertForQuestionAnswering": ("BertConfig", ("QuestionAnsweringTrainer",)),
    "GPT2LMHeadModel": ("GPT2Config", ("CausalLanguageModelingTrainer",)),
    "ElectraForPreTraining": ("ElectraConfig", ("ReplacedTokenDetectionTrainer",)),
}


def kinds_agree(config: RunConfig) -> Iterator[Problem]:
    """Network, head and task belong together."""
    arch = config.model.arch.type
    network, trainers = _KINDS[arch]
    found = {
        "model.model_config.type": (config.model.settings.type, (network,)),
        "trainer.type": (config.trainer.type, trainers),
    }
    for path, (value, needed) in found.items():
        if value not in needed:
            choices = " or ".join(needed)
            yield Problem(
                "model.arch.type", f"{arch} goes with {path}: {choices}, and that is {value}"
            )


def heads_divide_hidden(config: RunConfig) -> Iterator[Problem]:
    """Every attention head has hidden_size / num_attention_heads columns."""
    model = config.model.settings
    if model.hidden_size % model.num_attention_heads:
        yield Problem(
            "model.model_config.num_attention_heads",
            f"{model.num_attention_heads} heads do not divide hidden_size {model.hidden_size}; "
            "choose a divisor",
        )


def rows_fit_positions(config: RunConfig) -> Iterator[Problem]:
    """The model has no embedding for a position it was not built for; predictions have no rows."""
    if config.run_mode == "predict":
        return
    rows, model = config.train_dataset.max_seq_length, config.model.settings
    if rows > model.longest_row:
        unused = f" ({model.first_position} are not used)" if model.first_position else ""
        yield Problem(
            "train_dataset.max_seq_length",
            f"rows of {rows} tokens are longer than "
            f"model.model_config.max_position_embeddings, {model.max_position_embeddings}{unused}",
        )


def vocabulary_fits_embedding(config: RunConfig) -> Iterator[Problem]:
    """The embedding has a row for every token."""
    rows, tokenizer = config.model.settings.vocab_size, config.processor.tokenizer
    if rows is None or (config.distillation.teacher and not tokenizer.vocab_file):
        return  # the tokenizer's number, or that of the teacher, which is compared when it is open
    if tokenizer.vocab_file:
        entries = count_lines(Path(tokenizer.vocab_file))
        source = tokenizer.vocab_file
    else:
        entries = tokenizer.train_vocab_size
        source = "processor.tokenizer.train_vocab_size"
    if entries > rows:
        yield Problem(
            "model.model_config.vocab_size",
            f"{rows} is less than the {entries} entries of the vocabulary ({source}); use null "
            "for the tokenizer's size, or a larger number",
        )


def float16_needs_loss_scale(config: RunConfig) -> Iterator[Problem]:
    """Gradients below 6e-8 become zero in float16."""
    if config.model.settings.compute_dtype == "float16" and not config.runner_wrapper.scale_sense:
        yield Problem(
            "runner_wrapper.scale_sense",
            "compute_dtype float16 needs loss scaling (small gradients become zero); remove the "
            "null, or use float32",
        )
