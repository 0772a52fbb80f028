"""Sections `runner_config` and `runner_wrapper`: how long, how much at once, and how safely."""

from typing import Annotated, Literal

from annotated_types import Ge
from pydantic import Field

from mindmlm.config.schema.base import Section
from mindmlm.config.schema.types import Boolean, Integer, PositiveInteger, PositiveNumber


class RunnerConfig(Section):
    """Length of the run and size of a batch."""

    epochs: PositiveInteger = Field(
        default=3, description="Passes over the training samples. Not used when `max_steps` is set."
    )
    batch_size: PositiveInteger = Field(
        default=8,
        description="Samples of one data-parallel rank in one micro-batch. The global batch is "
        "this x `parallel_config.data_parallel` x `parallel_config.micro_batch_num` x "
        "`gradient_accumulation_steps`.",
    )
    gradient_accumulation_steps: PositiveInteger = Field(
        default=1,
        description="Micro-batches whose gradients are added before one update. 4 with "
        "`batch_size` 8 trains like `batch_size` 32 in the memory of 8.",
    )
    max_steps: PositiveInteger | None = Field(
        default=None,
        description="Number of updates of the whole run; overrides `epochs`. null = not set.",
    )
    sink_mode: Boolean = Field(
        default=False,
        description="MindSpore's data sinking. True is refused: batches and dropout masks are "
        "made for each step, so that a resumed run is exact.",
    )


class LossScaleConfig(Section):
    """Loss scaling, which keeps small float16 gradients from becoming zero."""

    type: Literal["DynamicLossScaleUpdateCell", "FixedLossScaleUpdateCell"] = Field(
        default="DynamicLossScaleUpdateCell",
        description="Dynamic grows the scale while nothing overflows and shrinks it when "
        "something does; fixed keeps `loss_scale_value`.",
    )
    loss_scale_value: PositiveNumber = Field(
        default=65536,
        description="The scale at the first step (the scale of every step when fixed).",
    )
    scale_factor: Annotated[Integer, Ge(2)] = Field(
        default=2, description="Dynamic only: what the scale is multiplied or divided by."
    )
    scale_window: PositiveInteger = Field(
        default=1000, description="Dynamic only: steps without an overflow before the scale grows."
    )


class RunnerWrapperConfig(Section):
    """What is done to gradients between the backward pass and the update."""

    max_grad_norm: PositiveNumber | None = Field(
        default=1.0,
        description="Gradients are scaled down so that their global L2 norm is at most this. "
        "null = no clipping.",
    )
    scale_sense: LossScaleConfig | None = Field(
        default_factory=LossScaleConfig,
        description="Loss scaling, used when `model.model_config.compute_dtype` is float16. A "
        "number N is short for a fixed scale of N; null = none (refused with float16).",
    )
