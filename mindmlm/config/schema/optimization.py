"""Sections `optimizer` and `lr_schedule`."""

from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from mindmlm.config.registered import OPTIMIZERS, REFUSED, SCHEDULES
from mindmlm.config.schema.base import RegisteredSection, Section
from mindmlm.config.schema.types import (
    Boolean,
    Count,
    Decay,
    NonNegativeNumber,
    PositiveInteger,
    PositiveNumber,
    Probability,
    Spellings,
    minus_one_means_null,
)

_OPTIMIZERS = Spellings(
    accepted={
        "AdamW": "adamw",
        "AdamWeightDecay": "adamw",
        "FusedAdamWeightDecay": "adamw",
        "Lamb": "lamb",
    },
    refused=REFUSED["optimizer"],
)
_SCHEDULES = Spellings(
    accepted={"constant_with_warmup": "constant"}, refused=REFUSED["lr_schedule"]
)


def _kind_of(names: Collection[str], ours: str, registered: str) -> Discriminator:
    """Which kind of a section a mapping or an object is: ours, or MindFormers'."""

    def kind(value: Any) -> str:
        name = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
        return registered if isinstance(name, str) and name in names else ours

    return Discriminator(kind)


class OptimizerConfig(Section):
    """AdamW (Loshchilov and Hutter, 2019): weight decay apart from the gradient; or LAMB."""

    type: Annotated[Literal["adamw", "lamb"], BeforeValidator(_OPTIMIZERS)] = Field(
        default="adamw",
        description="The optimizer. Biases and layer norms are never decayed. `lamb` (You et al., "
        "2020) is for very large batches: the step of each weight is scaled to the weight's norm. "
        "Names of MindFormers take its arguments in place of the keys below (docs/mindformers.md).",
    )
    beta1: Decay = Field(default=0.9, description="Decay of the running mean of the gradient.")
    beta2: Decay = Field(
        default=0.999, description="Decay of the running mean of the squared gradient."
    )
    eps: PositiveNumber = Field(
        default=1.0e-6, description="Added to the denominator of the update."
    )
    weight_decay: NonNegativeNumber = Field(
        default=0.01, description="Part of a weight taken off per step, times the learning rate."
    )
    keep_state: Boolean = Field(
        default=False,
        description="run_mode finetune from a checkpoint of mindmlm: go on with its moments too. "
        "For a next phase of the same training (longer rows), which begins at step 0.",
    )


class LearningRateConfig(Section):
    """Learning rate as a function of the step: warm-up from 0, then a decay."""

    type: Annotated[
        Literal["linear", "cosine", "polynomial", "constant"], BeforeValidator(_SCHEDULES)
    ] = Field(
        default="linear",
        description="Shape of the curve after the warm-up. Names of MindFormers take its "
        "arguments in place of the keys below (docs/mindformers.md).",
    )
    learning_rate: PositiveNumber = Field(
        default=5.0e-4, description="The highest rate, reached at the end of the warm-up."
    )
    lr_end: NonNegativeNumber = Field(
        default=0.0, description="The rate at `total_steps`. Not used by `constant`."
    )
    warmup_steps: Count = Field(
        default=0,
        description="Steps in which the rate rises from 0. Not together with `warmup_ratio`.",
    )
    warmup_ratio: Probability | None = Field(
        default=None,
        description="The warm-up as a part of `total_steps`, for example 0.1. null = not set.",
    )
    total_steps: Annotated[PositiveInteger | None, BeforeValidator(minus_one_means_null)] = Field(
        default=None,
        description="The step at which the curve ends. null (or -1) = all steps of the run.",
    )
    power: PositiveNumber = Field(
        default=1.0,
        description="Exponent of `polynomial`; 1 is a straight line, 2 falls faster at first.",
    )


class RegisteredOptimizerConfig(RegisteredSection):
    """An optimizer that MindFormers registers; docs/mindformers.md."""

    type: Literal[tuple(OPTIMIZERS)] = Field(  # type: ignore[valid-type]
        default="Adam", description="The optimizer."
    )

    @property
    def keep_state(self) -> bool:
        """Only optimizers of our own go on with the state of another run."""
        return False


class RegisteredScheduleConfig(RegisteredSection):
    """A learning-rate schedule that MindFormers registers; docs/mindformers.md."""

    type: Literal[tuple(SCHEDULES)] = Field(  # type: ignore[valid-type]
        default="CosineWithWarmUpLR", description="Shape of the curve."
    )


AnyOptimizerConfig = Annotated[
    Annotated[OptimizerConfig, Tag("adamw")] | Annotated[RegisteredOptimizerConfig, Tag("Adam")],
    _kind_of(OPTIMIZERS, "adamw", "Adam"),
]
AnyScheduleConfig = Annotated[
    Annotated[LearningRateConfig, Tag("linear")]
    | Annotated[RegisteredScheduleConfig, Tag("CosineWithWarmUpLR")],
    _kind_of(SCHEDULES, "linear", "CosineWithWarmUpLR"),
]
