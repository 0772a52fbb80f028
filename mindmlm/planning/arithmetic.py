"""Multiplications of a training step, by stage. Pure."""

from dataclasses import dataclass

from mindmlm.config.schema import BertModelConfig, ElectraModelConfig, RunConfig
from mindmlm.parallel.stages import PREDICTED_SHARE, encoder_costs, layer_costs, stage_bounds
from mindmlm.planning.electra import electra_cost
from mindmlm.planning.teacher import PlannedTeacher, distils, planned_teacher


@dataclass(frozen=True)
class StageCost:
    """Multiplications of the forward pass for a token.

    Args:
        layers: of the stage.
        trained: of what is trained, divided over the model group.
        frozen: of a teacher, whole on each rank and without a backward pass.
    """

    layers: int
    trained: float
    frozen: float = 0.0

    def of_step(self, model_parallel: int, passes: int) -> float:
        """... of all passes of a rank; ``passes`` counts the forward pass and what it repeats."""
        return self.trained / model_parallel * passes + self.frozen


def stage_costs(config: RunConfig, vocab_size: int, stages: int) -> list[StageCost]:
    """What each stage computes.

    Args:
        config: of the run.
        vocab_size: rows of the word embedding.
        stages: of the pipeline.
    """
    settings, length = config.model.settings, config.train_dataset.max_seq_length
    if isinstance(settings, ElectraModelConfig):
        cost = electra_cost(settings, vocab_size, length)
        return [StageCost(settings.num_hidden_layers, cost)]
    costs = _by_layer(config, vocab_size, length)
    bounds = stage_bounds(settings, vocab_size, length, stages)
    found = [StageCost(stop - start, sum(costs[start:stop])) for start, stop in bounds]
    teacher = planned_teacher(config, vocab_size)
    if teacher is not None:
        last = found[-1]
        found[-1] = StageCost(last.layers, last.trained, _teacher_cost(config, teacher, length))
    return found


def _by_layer(config: RunConfig, vocab_size: int, length: int) -> list[float]:
    """As `layer_costs`, with the head of the recipe."""
    settings, hidden = config.model.settings, config.model.settings.hidden_size
    arch = config.model.arch.type
    if arch == "BertForQuestionAnswering":
        costs = encoder_costs(settings, length)
        costs[-1] += 2.0 * hidden
    elif distils(config):
        costs = encoder_costs(settings, length)
        costs[-1] += _share(config) * hidden * (hidden + vocab_size)
    else:
        costs = layer_costs(settings, vocab_size, length)
    if arch == "BertForPreTraining":
        # The pooler and its scores see one position of a row.
        costs[-1] += hidden * (hidden + 2) / length
    return costs


def _share(config: RunConfig) -> float:
    """Part of the positions at which a student and its teacher are scored."""
    return PREDICTED_SHARE if config.distillation.restrict_ce_to_mask else 1.0


def _teacher_cost(config: RunConfig, teacher: PlannedTeacher, length: int) -> float:
    settings: BertModelConfig = teacher.settings
    head = settings.hidden_size * (settings.hidden_size + teacher.vocab_size)
    return sum(encoder_costs(settings, length)) + _share(config) * head
