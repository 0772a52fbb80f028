"""Config-driven pre-training and fine-tuning of BERT and GPT-2 on MindSpore."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mindmlm.pipelines import pipeline
    from mindmlm.trainer import Trainer, TrainingArguments

__version__ = "0.1.0"
__all__ = ["Trainer", "TrainingArguments", "__version__", "pipeline"]

# Imported when they are asked for: `import mindmlm` loads nothing.
_LAZY = {
    "Trainer": "mindmlm.trainer",
    "TrainingArguments": "mindmlm.trainer",
    "pipeline": "mindmlm.pipelines",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'mindmlm' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
