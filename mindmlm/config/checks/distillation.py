"""Distillation: what can be known before the teacher is opened."""

from collections.abc import Iterator

from mindmlm.config.problems import Problem
from mindmlm.config.schema import RunConfig

TRAINER = "DistillationTrainer"
_SECTION = "distillation"


def distils(config: RunConfig) -> bool:
    """Return whether a run learns from a teacher."""
    return config.trainer.type == TRAINER


def teacher_is_given(config: RunConfig) -> Iterator[Problem]:
    """Nobody learns without a teacher."""
    training = config.run_mode in ("train", "finetune")
    if distils(config) and training and not config.distillation.teacher:
        yield Problem(
            f"{_SECTION}.teacher",
            f"{TRAINER} needs a checkpoint to learn from; add --{_SECTION}.teacher PATH",
        )


def teacher_is_used(config: RunConfig) -> Iterator[Problem]:
    """Other trainers look at no teacher."""
    if config.distillation.teacher and not distils(config):
        yield Problem(
            f"{_SECTION}.teacher",
            f"trainer.type {config.trainer.type} has no teacher; use {TRAINER} "
            "(configs/distill/run_distill_tiny_zh.yaml), or remove it",
        )


def teacher_layers_fit(config: RunConfig) -> Iterator[Problem]:
    """Each layer of the student starts from one of the teacher's."""
    chosen, layers = config.distillation.teacher_layers, config.model.settings.num_hidden_layers
    if distils(config) and chosen is not None and len(chosen) != layers:
        yield Problem(
            f"{_SECTION}.teacher_layers",
            f"{chosen} names {len(chosen)} layers, and model.model_config.num_hidden_layers is "
            f"{layers}; name one layer of the teacher for each layer of the student, or null",
        )


def something_is_learned(config: RunConfig) -> Iterator[Problem]:
    """A loss of weight 0 teaches nothing."""
    section = config.distillation
    if distils(config) and not section.alpha_ce + section.alpha_mlm + section.alpha_cos:
        yield Problem(
            f"{_SECTION}.alpha_ce", "alpha_ce, alpha_mlm and alpha_cos are all 0; nothing is left"
        )


def distillation_has_an_engine(config: RunConfig) -> Iterator[Problem]:
    """Two models are compared over the whole vocabulary, in graphs of our own."""
    if not distils(config) or not config.use_parallel:
        return
    if config.parallel_mode == 1:
        yield Problem(
            "parallel.parallel_mode",
            "1 (semi_auto_parallel) has no place for a teacher; use 3 (hybrid_parallel) or 0 "
            "(data_parallel)",
        )
    if config.degrees[1] > 1 and not config.parallel_config.vocab_emb_dp:
        yield Problem(
            "parallel_config.vocab_emb_dp",
            "False cuts the student's vocabulary, and the teacher's logits are whole, so the two "
            f"cannot be compared; use True with {TRAINER}",
        )
