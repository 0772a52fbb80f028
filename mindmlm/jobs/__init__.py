"""Training, evaluation and prediction as calls: what the command line and the Trainer run."""

from mindmlm.jobs.batches import Batches, evaluation_batches, training_batches
from mindmlm.jobs.evaluation import evaluate
from mindmlm.jobs.given import Given
from mindmlm.jobs.network import build_network
from mindmlm.jobs.prediction import Predictor, open_predictor, predict
from mindmlm.jobs.start import training_tokenizer
from mindmlm.jobs.training import train

__all__ = [
    "Batches",
    "Given",
    "Predictor",
    "build_network",
    "evaluate",
    "evaluation_batches",
    "open_predictor",
    "predict",
    "train",
    "training_batches",
    "training_tokenizer",
]
