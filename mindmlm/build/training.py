"""Optimizer, training step and evaluation of one rank."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mindspore import Parameter

from mindmlm.build.families import family_of
from mindmlm.build.model import ModelOnRank
from mindmlm.build.registered import build_registered_optimizer, build_registered_schedule
from mindmlm.build.tasks import task_of
from mindmlm.build.tasks.base import Evaluates, Samples
from mindmlm.config.schema import (
    RegisteredOptimizerConfig,
    RegisteredScheduleConfig,
    RunConfig,
)
from mindmlm.errors import ConfigError
from mindmlm.models.spans import Span
from mindmlm.optim.adamw import AdamW
from mindmlm.optim.lamb import Lamb
from mindmlm.optim.loss_scale import LossScale
from mindmlm.optim.moments import PART, MomentSettings
from mindmlm.optim.optimizer import Optimizer
from mindmlm.optim.schedules import RateByStep, Schedule, warmup_steps
from mindmlm.parallel.agreement import Agreement
from mindmlm.parallel.parallelize import divide_vocabulary
from mindmlm.parallel.pipeline import StageForward, StageGradients, StageLinks
from mindmlm.parallel.stage import StagePart
from mindmlm.parallel.tied import SumTiedGradients
from mindmlm.parallel.whole_sums import WholeSums
from mindmlm.parallel.zero import OwnedParts
from mindmlm.training.train_step import Phase, StepSettings, TrainStep


@dataclass
class Updater:
    """What changes the weights of one rank.

    Args:
        model: the weights.
        gradients: of its layers.
        owned: the parts of the weights that it updates.
        optimizer: updates them.
    """

    model: ModelOnRank
    gradients: StageGradients
    owned: OwnedParts
    optimizer: Optimizer

    @property
    def names(self) -> list[str]:
        """Of the trained parameters that are here."""
        return self.gradients.names

    @property
    def kinds(self) -> Sequence[str]:
        """What the names of the optimizer's state begin with."""
        return self.optimizer.kinds

    def state(self) -> list[Parameter]:
        """Of the optimizer."""
        return list(self.optimizer.state())


def build_updater(config: RunConfig, model: ModelOnRank) -> Updater:
    """Gradients and optimizer for a model that has its values."""
    place, frozen = model.place, task_of(config).frozen
    for value in model.parameters():
        if value.name in frozen:
            value.requires_grad = False
    gradients = StageGradients(
        stage_parts(config, model),
        StageLinks.of(place.layout, place.rank, config.model.settings.hidden_size),
    )
    by_name = {value.name: value for value in model.parameters()}
    owned = OwnedParts(
        [by_name[name] for name in gradients.names],
        model.shapes,
        model.division,
        place.data,
        config.parallel_config.gradient_aggregation_group,
    )
    optimizer = _optimizer(config, model, owned)
    return Updater(model, gradients, owned, optimizer)


def _optimizer(config: RunConfig, model: ModelOnRank, owned: OwnedParts) -> Optimizer:
    if isinstance(config.optimizer, RegisteredOptimizerConfig):
        return build_registered_optimizer(config.optimizer, owned.parameters)
    settings = moment_settings(config)
    if config.optimizer.type == "adamw":
        return AdamW(owned.parameters, settings)
    names = [value.name.removeprefix(PART) for value in owned.parameters]
    over_model = [model.division.plan.axis(name) is not None for name in names]
    over_data = [axis is not None for axis in owned.axes]
    place = model.place
    whole_sums = WholeSums([(place.data, over_data), (place.model, over_model)])
    return Lamb(owned.parameters, settings, whole_sums)


def moment_settings(config: RunConfig) -> MomentSettings:
    """Constants of the optimizer."""
    section = config.optimizer
    assert not isinstance(section, RegisteredOptimizerConfig), "refused by a check"
    return MomentSettings(section.beta1, section.beta2, section.eps, section.weight_decay)


def stage_parts(config: RunConfig, model: ModelOnRank) -> list[StagePart]:
    """The layers of a stage as one part, or one part a layer where they are recomputed."""
    span = model.span
    spans = span.single_layers() if config.recompute_config.recompute else [span]
    return [_stage_part(config, model, part) for part in spans]


def _stage_part(config: RunConfig, model: ModelOnRank, span: Span) -> StagePart:
    task, sites = task_of(config), family_of(config).dropout_sites_per_layer
    parameters = model.cell.parameters_of(span)
    keeps = _sites_of(span, model.span, sites)
    if not span.last:
        return StagePart.middle(task.part(model.cell, span), parameters, keeps)
    loss = task.loss(model.cell, span)
    if not config.parallel_config.vocab_emb_dp:
        divide_vocabulary(loss, model.place.model, model.vocab_size)
    return StagePart.with_loss(loss, parameters, keeps)


def _sites_of(span: Span, stage: Span, sites: int) -> slice:
    """Which of the dropout masks of a stage belong to a part of it."""
    if span == stage:
        return slice(None)
    return slice(*(_first_site(stage, layer, sites) for layer in (span.start, span.stop)))


def _first_site(stage: Span, layer: int, sites: int) -> int:
    """Place of a layer's first dropout mask among those of its stage; the embeddings have one."""
    embeddings = int(stage.first and layer > stage.start)
    return embeddings + sites * (layer - stage.start)


def build_schedule(config: RunConfig, steps: int) -> RateByStep:
    """Learning rate by step; `steps` is the length of the run.

    Raises:
        ConfigError: the warm-up is longer than the schedule, or MindFormers refuses an argument.
    """
    section = config.lr_schedule
    if isinstance(section, RegisteredScheduleConfig):
        return build_registered_schedule(section, steps)
    length = section.total_steps or steps
    warmup = warmup_steps(section.warmup_steps, section.warmup_ratio, length)
    if warmup > length:
        raise ConfigError(
            f"lr_schedule.warmup_steps: {warmup} is more than the {length} steps of the run; lower "
            "it, or use lr_schedule.warmup_ratio"
        )
    return Schedule(
        section.type, section.learning_rate, section.lr_end, warmup, length, section.power
    )


def build_loss_scale(config: RunConfig) -> LossScale:
    """The loss scale at the start: 1 and fixed unless matrix products are float16."""
    section = config.runner_wrapper.scale_sense
    if section is None or config.model.settings.compute_dtype != "float16":
        return LossScale()
    grows = section.type == "DynamicLossScaleUpdateCell"
    factor = float(section.scale_factor) if grows else 1.0
    return LossScale(float(section.loss_scale_value), factor, section.scale_window)


def build_train_step(
    config: RunConfig, updater: Updater, agreement: Agreement, steps: int, phase: Phase
) -> TrainStep:
    """One optimizer step."""
    model, names = updater.model, updater.names
    return TrainStep(
        updater.gradients,
        SumTiedGradients(names, model.division.tied, model.place.ends),
        updater.owned,
        updater.optimizer,
        [model.division.answers_for_state(name, model.shapes[name]) for name in names],
        agreement,
        step_settings(config, model, steps),
        phase,
    )


def step_settings(config: RunConfig, model: ModelOnRank, steps: int) -> StepSettings:
    """What a step is told by the configuration; `steps` is the length of the run."""
    mean = config.parallel.gradients_mean
    return StepSettings(
        build_schedule(config, steps),
        config.runner_wrapper.max_grad_norm,
        1.0 if mean else float(model.place.layout.data_parallel),
        task_of(config).terms,
    )


def build_evaluator(
    config: RunConfig, model: ModelOnRank, store: Samples, tokenizer: Any, agreement: Agreement
) -> Evaluates:
    """Evaluation on all samples of `store`, divided over the ranks."""
    task, place = task_of(config), model.place
    batch_size = config.eval_dataset.batch_size or config.runner_config.batch_size
    if model.span.last:
        cell = task.evaluation(model.cell)
        if not config.parallel_config.vocab_emb_dp:
            divide_vocabulary(cell, place.model, model.vocab_size)
    else:
        cell = task.part(model.cell, None)
    links = StageLinks.of(place.layout, place.rank, config.model.settings.hidden_size)
    return task.evaluator(StageForward(cell, links), store, tokenizer, agreement, batch_size)
