"""The typed schema of a run: one frozen model per section.

Section and key names are those of MindFormers r0.3 where it has them. Two Python names differ from
the YAML's because pydantic reserves one and the others are class names: `model.model_config` is
`config.model.settings`, and `callbacks.CheckpointMonitor` is `config.callbacks.checkpoint_monitor`.
"""

from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.config.schema.callbacks import CallbacksConfig
from mindmlm.config.schema.context import ContextConfig
from mindmlm.config.schema.data import (
    EvalDatasetConfig,
    MaskingConfig,
    TrainDataLoaderConfig,
    TrainDatasetConfig,
)
from mindmlm.config.schema.distillation import DistillationConfig
from mindmlm.config.schema.electra import ElectraModelConfig, ElectraObjectiveConfig
from mindmlm.config.schema.gpt2 import GPT2ModelConfig
from mindmlm.config.schema.metric import MetricConfig
from mindmlm.config.schema.model import ModelConfig, TrainerConfig
from mindmlm.config.schema.network import NetworkConfig
from mindmlm.config.schema.optimization import (
    LearningRateConfig,
    OptimizerConfig,
    RegisteredOptimizerConfig,
    RegisteredScheduleConfig,
)
from mindmlm.config.schema.parallel import ParallelConfig, ParallelDegreesConfig, RecomputeConfig
from mindmlm.config.schema.processor import ProcessorConfig, TokenizerConfig
from mindmlm.config.schema.roberta import RobertaModelConfig
from mindmlm.config.schema.run import RunConfig
from mindmlm.config.schema.runner import LossScaleConfig, RunnerConfig, RunnerWrapperConfig

__all__ = [
    "BertModelConfig",
    "CallbacksConfig",
    "ContextConfig",
    "DistillationConfig",
    "ElectraModelConfig",
    "ElectraObjectiveConfig",
    "EvalDatasetConfig",
    "GPT2ModelConfig",
    "LearningRateConfig",
    "LossScaleConfig",
    "MaskingConfig",
    "MetricConfig",
    "ModelConfig",
    "NetworkConfig",
    "OptimizerConfig",
    "ParallelConfig",
    "ParallelDegreesConfig",
    "ProcessorConfig",
    "RecomputeConfig",
    "RegisteredOptimizerConfig",
    "RegisteredScheduleConfig",
    "RobertaModelConfig",
    "RunConfig",
    "RunnerConfig",
    "RunnerWrapperConfig",
    "TokenizerConfig",
    "TrainDataLoaderConfig",
    "TrainDatasetConfig",
    "TrainerConfig",
]
