"""What a plan of a recipe leaves out or takes for granted, by name."""

from collections.abc import Iterator

from mindmlm.config.schema import ElectraModelConfig, RunConfig
from mindmlm.config.schema.memory import show_memory
from mindmlm.planning.teacher import distils, planned_teacher

# Their state is two moments a parameter, `RankBytes.optimizer`.
_TWO_MOMENTS = ("adamw", "lamb")


def plan_remarks(config: RunConfig, vocab_size: int) -> list[str]:
    """Sentences to print below a plan; empty where everything is counted.

    Args:
        config: of the run.
        vocab_size: rows of the word embedding.
    """
    return [*_teacher(config, vocab_size), *_electra(config), *_optimizer(config)]


def _teacher(config: RunConfig, vocab_size: int) -> Iterator[str]:
    if not distils(config):
        return
    teacher = planned_teacher(config, vocab_size)
    if teacher is None:
        yield (
            "not counted: the teacher, weights and forward pass (no distillation.teacher is "
            "given, and distillation.teacher_layers is null; add "
            "--options distillation.teacher=CHECKPOINT)"
        )
        return
    network = teacher.settings
    yield (
        f"the teacher: {network.num_hidden_layers} layers {network.hidden_size} wide, "
        f"{show_memory(teacher.weights)} of params, whole on each rank of the last stage, forward "
        f"pass only ({teacher.origin})"
    )


def _electra(config: RunConfig) -> Iterator[str]:
    if isinstance(config.model.settings, ElectraModelConfig):
        yield (
            "ELECTRA: generator and discriminator are counted; they are not cut and not computed "
            "again, so there are data parallelism and ZeRO-1 only"
        )


def _optimizer(config: RunConfig) -> Iterator[str]:
    found = config.optimizer.type
    if found not in _TWO_MOMENTS:
        yield (
            f"not counted: the state of optimizer.type {found}; optim is what the two moments of "
            "adamw take"
        )
