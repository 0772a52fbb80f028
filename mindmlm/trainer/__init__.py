"""Training, evaluation and prediction from Python; see docs/trainer.md."""

from mindmlm.trainer.arguments import TrainingArguments
from mindmlm.trainer.trainer import Trainer

__all__ = ["Trainer", "TrainingArguments"]
