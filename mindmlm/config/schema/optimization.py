"""Sections `optimizer` and `lr_schedule`."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from mindmlm.config.schema.base import Section
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
    }
)
_SCHEDULES = Spellings(accepted={"constant_with_warmup": "constant"})


class OptimizerConfig(Section):
    """AdamW (Loshchilov and Hutter, 2019): weight decay apart from the gradient; or LAMB."""

    type: Annotated[Literal["adamw", "lamb"], BeforeValidator(_OPTIMIZERS)] = Field(
        default="adamw",
        description="The optimizer. Biases and layer norms are never decayed. `lamb` (You et al., "
        "2020) is for very large batches: the step of each weight is scaled to the weight's norm.",
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
    ] = Field(default="linear", description="Shape of the curve after the warm-up.")
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
