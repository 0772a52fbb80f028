"""Sections `parallel`, `parallel_config` and `recompute_config`: one run on several processes.

Names and defaults are those of MindFormers r0.3. Two defaults are null, which means the same
there and lets a value be worked out: `parallel.parallel_mode` and the two names of ZeRO-1.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from mindmlm.config.schema.base import Section
from mindmlm.config.schema.types import Boolean, PositiveInteger, Spellings

MODE_NAMES = ("data_parallel", "semi_auto_parallel", "auto_parallel", "hybrid_parallel")
_STAND_ALONE = "one process without any parallelism is use_parallel: False"
_MODES = Spellings(
    accepted={
        spelling: mode for mode, name in enumerate(MODE_NAMES) for spelling in (name.upper(), name)
    },
    refused={"stand_alone": _STAND_ALONE, "STAND_ALONE": _STAND_ALONE},
)


class ParallelConfig(Section):
    """Who divides the work, and what happens to data and gradients."""

    parallel_mode: Annotated[Literal[0, 1, 2, 3] | None, BeforeValidator(_MODES)] = Field(
        default=None,
        description="0: copies of the whole model, each with its own rows. 3: model and layers "
        "are cut too, with explicit collectives (CPU and Ascend). 1: the same cuts, carried out "
        "by MindSpore's own engine for Ascend graphs; refused on a CPU. 2: refused. null = 0 "
        "when only `data_parallel` is above 1, else 3.",
    )
    full_batch: Boolean = Field(
        default=False,
        description="How a data-parallel rank gets its rows: False = it builds only its own; True "
        "= it builds the whole global batch and takes its part. The rows are the same.",
    )
    enable_parallel_optimizer: Boolean | None = Field(
        default=None,
        description="ZeRO-1: each data-parallel rank keeps and updates its share of the optimizer "
        "state. Same switch as `parallel_config.optimizer_shard`; null = what that says, and "
        "False when both are null.",
    )
    gradients_mean: Boolean = Field(
        default=True,
        description="True: gradients are those of the mean over the global batch. False: those of "
        "the sum over data-parallel ranks, `data_parallel` times as large (which clipping by norm "
        "and AdamW mostly undo).",
    )


class ParallelDegreesConfig(Section):
    """Into how many parts rows, weights and layers are cut. Their product is the processes."""

    data_parallel: PositiveInteger = Field(
        default=1, description="Copies of the model; each trains on its own rows of a batch."
    )
    model_parallel: PositiveInteger = Field(
        default=1,
        description="Slices of every large weight (tensor parallelism); divides the attention "
        "heads and `intermediate_size`.",
    )
    pipeline_stage: PositiveInteger = Field(
        default=1, description="Stages of consecutive layers, balanced by their cost; 1F1B."
    )
    micro_batch_num: PositiveInteger = Field(
        default=1,
        description="Micro-batches of `batch_size` rows that one step sends through the pipeline. "
        "Without a pipeline they are added up like `runner_config.gradient_accumulation_steps`; "
        "the two are multiplied.",
    )
    optimizer_shard: Boolean | None = Field(
        default=None,
        description="ZeRO-1; same switch as `parallel.enable_parallel_optimizer`, see there.",
    )
    vocab_emb_dp: Boolean = Field(
        default=True,
        description="With `model_parallel`: True = every slice holds the whole word embedding (and "
        "the head tied to it); False = it is cut by rows, and the loss is computed without ever "
        "gathering the scores of a token.",
    )
    gradient_aggregation_group: PositiveInteger = Field(
        default=4,
        description="Number of fused buckets in which the gradients are reduced over the "
        "data-parallel ranks. More = smaller messages; the numbers are the same.",
    )


class RecomputeConfig(Section):
    """What is computed again in the backward pass instead of being kept."""

    recompute: Boolean = Field(
        default=False,
        description="Keep only the input of each layer and run its forward pass again in the "
        "backward pass: less memory, more time, the same numbers. With False every stage of a "
        "pipeline but the last keeps the input of the whole stage and runs it again.",
    )
    parallel_optimizer_comm_recompute: Boolean = Field(
        default=False,
        description="Gather cut weights again in the backward pass. For the graphs of "
        "`parallel_mode` 1 only; without effect in 0 and 3, where weights are never cut over "
        "data-parallel ranks (the log says so).",
    )
    mp_comm_recompute: Boolean = Field(
        default=True,
        description="Repeat the collectives of model parallelism too when a layer is computed "
        "again. For the graphs of `parallel_mode` 1 only; 0 and 3 always do (the log says so).",
    )
    recompute_slice_activation: Boolean = Field(
        default=False,
        description="Cut the kept inputs of layers over model-parallel ranks. For the graphs of "
        "`parallel_mode` 1 only; without effect in 0 and 3 (the log says so).",
    )
