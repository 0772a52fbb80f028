"""Training, evaluation and prediction as calls: what the command line runs."""

from mindmlm.jobs.evaluation import evaluate
from mindmlm.jobs.prediction import predict
from mindmlm.jobs.start import training_tokenizer
from mindmlm.jobs.training import train

__all__ = ["evaluate", "predict", "train", "training_tokenizer"]
