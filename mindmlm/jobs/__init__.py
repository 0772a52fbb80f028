"""Training, evaluation and prediction as calls: what the command line runs."""

from mindmlm.jobs.evaluate import evaluate
from mindmlm.jobs.predict import predict
from mindmlm.jobs.start import training_tokenizer
from mindmlm.jobs.train import train

__all__ = ["evaluate", "predict", "train", "training_tokenizer"]
