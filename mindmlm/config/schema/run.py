"""The whole configuration of a run."""

import math
from typing import Annotated, Literal

from annotated_types import MinLen
from pydantic import BeforeValidator, Field

from mindmlm.config.schema.base import Section
from mindmlm.config.schema.callbacks import CallbacksConfig
from mindmlm.config.schema.context import ContextConfig
from mindmlm.config.schema.data import EvalDatasetConfig, TrainDatasetConfig
from mindmlm.config.schema.distillation import DistillationConfig
from mindmlm.config.schema.electra import ElectraObjectiveConfig
from mindmlm.config.schema.generation import GenerationConfig
from mindmlm.config.schema.metric import MetricConfig
from mindmlm.config.schema.model import ModelConfig, TrainerConfig
from mindmlm.config.schema.optimization import (
    AnyOptimizerConfig,
    AnyScheduleConfig,
    LearningRateConfig,
    OptimizerConfig,
)
from mindmlm.config.schema.parallel import ParallelConfig, ParallelDegreesConfig, RecomputeConfig
from mindmlm.config.schema.processor import ProcessorConfig
from mindmlm.config.schema.runner import RunnerConfig, RunnerWrapperConfig
from mindmlm.config.schema.types import Boolean, Seed, parse_boolean


def _never_tunes(value: object) -> object:
    """Refuse True with the reason."""
    if parse_boolean(value) is True:
        raise ValueError(
            "it tunes data sets of MindSpore, and none is used here; set "
            "train_dataset.num_parallel_workers and train_dataset.prefetch_size"
        )
    return parse_boolean(value)


class RunConfig(Section):
    """Every key of a run with its value; the only source of settings after loading."""

    run_mode: Literal["train", "finetune", "eval", "predict"] = Field(
        default="train",
        description="`train` from random weights or resumed from a checkpoint; `finetune` from a "
        "checkpoint's weights only; `eval`; `predict`.",
    )
    seed: Seed = Field(default=42, description="Seed of weights, order, masks and dropout.")
    output_dir: Annotated[str, MinLen(1)] = Field(
        default="./output",
        description="Folder for checkpoints, metrics, logs and the resolved config.",
    )
    remote_save_url: str = Field(
        default="",
        description="Where a job uploads `output_dir` as it grows, and where a restarted job finds "
        "its checkpoint: `obs://`, `s3://` or a folder; docs/modelarts.md. Empty = nowhere.",
    )
    load_checkpoint: str = Field(
        default="",
        description="A checkpoint: an output folder, its `checkpoint` folder, one step in it, or "
        "`latest` (of `output_dir`). With `train` the run resumes where it stood. Also a folder or "
        "file of Hugging Face, PyTorch, Google or MindSpore, whose model and vocabulary are taken "
        "over, or a name in `$MINDMLM_HOME`.",
    )
    use_parallel: Boolean = Field(
        default=False,
        description="Run on as many processes as `parallel_config` asks for; a launcher such as "
        "msrun starts them. False: one process, and the degrees of `parallel_config` count as 1.",
    )
    micro_batch_interleave_num: Literal[1, 2] = Field(
        default=1,
        description="2: each device takes its rows in two interleaved halves, so that the messages "
        "of one pass while the other is computed. For `parallel_mode` 1 only; refused elsewhere.",
    )
    auto_tune: Annotated[bool, BeforeValidator(_never_tunes)] = Field(
        default=False,
        description="MindSpore's search for good settings of its data sets. True is refused: none "
        "of them is used here; see `train_dataset.num_parallel_workers` and `prefetch_size`.",
    )
    profile: Boolean = Field(
        default=False,
        description="Write `output_dir/profile.json`: seconds spent per phase of a step.",
    )
    predict_data: str | list[str] | dict[str, str] | list[dict[str, str]] | None = Field(
        default=None,
        description="For `predict`: a text (BERT: with [MASK] in it), a list of texts, or a text "
        "file (one text a line). Question answering: `context - question`, or `context` and "
        "`question` of a mapping, a list of these, or a JSON file.",
    )
    context: ContextConfig = Field(
        default_factory=ContextConfig, description="Device and execution mode."
    )
    parallel: ParallelConfig = Field(
        default_factory=ParallelConfig, description="How the work is divided over processes."
    )
    parallel_config: ParallelDegreesConfig = Field(
        default_factory=ParallelDegreesConfig, description="Into how many parts it is divided."
    )
    recompute_config: RecomputeConfig = Field(
        default_factory=RecomputeConfig, description="Time for memory in the backward pass."
    )
    runner_config: RunnerConfig = Field(
        default_factory=RunnerConfig, description="Length of the run and size of a batch."
    )
    runner_wrapper: RunnerWrapperConfig = Field(
        default_factory=RunnerWrapperConfig, description="Clipping and loss scaling."
    )
    optimizer: AnyOptimizerConfig = Field(
        default_factory=OptimizerConfig, description="The update rule."
    )
    lr_schedule: AnyScheduleConfig = Field(
        default_factory=LearningRateConfig, description="Learning rate over the steps."
    )
    train_dataset: TrainDatasetConfig = Field(
        default_factory=TrainDatasetConfig, description="Training text, rows and masks."
    )
    eval_dataset: EvalDatasetConfig = Field(
        default_factory=EvalDatasetConfig, description="Evaluation text."
    )
    callbacks: CallbacksConfig = Field(
        default_factory=CallbacksConfig, description="What happens at intervals."
    )
    processor: ProcessorConfig = Field(
        default_factory=ProcessorConfig, description="Tokenizer and word segmenter."
    )
    generation: GenerationConfig = Field(
        default_factory=GenerationConfig, description="How GPT-2 goes on from a prompt."
    )
    metric: MetricConfig = Field(
        default_factory=MetricConfig, description="How answers are chosen and judged."
    )
    electra: ElectraObjectiveConfig = Field(
        default_factory=ElectraObjectiveConfig, description="Replaced-token detection."
    )
    model: ModelConfig = Field(default_factory=ModelConfig, description="The network.")
    distillation: DistillationConfig = Field(
        default_factory=DistillationConfig, description="The teacher, and what is learned from it."
    )
    trainer: TrainerConfig = Field(
        default_factory=TrainerConfig, description="What is trained, and its name."
    )

    @property
    def degrees(self) -> tuple[int, int, int]:
        """(data_parallel, model_parallel, pipeline_stage) in force; all 1 without use_parallel."""
        cuts = self.parallel_config
        if not self.use_parallel:
            return 1, 1, 1
        return cuts.data_parallel, cuts.model_parallel, cuts.pipeline_stage

    @property
    def processes(self) -> int:
        """Number of processes that the run needs."""
        return math.prod(self.degrees)

    @property
    def parallel_mode(self) -> int:
        """`parallel.parallel_mode`, worked out where it is null."""
        if self.parallel.parallel_mode is not None:
            return self.parallel.parallel_mode
        _, model_parallel, pipeline_stage = self.degrees
        return 0 if model_parallel == pipeline_stage == 1 else 3

    @property
    def optimizer_parallel(self) -> bool:
        """Whether ZeRO-1 is asked for, by either of its two names."""
        names = (self.parallel.enable_parallel_optimizer, self.parallel_config.optimizer_shard)
        return True in names

    @property
    def micro_batches(self) -> int:
        """Micro-batches of one step on one data-parallel rank."""
        accumulated = self.runner_config.gradient_accumulation_steps
        return self.parallel_config.micro_batch_num * accumulated

    @property
    def global_batch_size(self) -> int:
        """Rows of one step over all ranks."""
        return self.runner_config.batch_size * self.degrees[0] * self.micro_batches
