"""The composition root: from a configuration to the parts of a run."""

from mindmlm.build.data import (
    batch_layout,
    build_batches,
    corpus_settings,
    total_steps,
)
from mindmlm.build.description import describe
from mindmlm.build.engine import engine_of
from mindmlm.build.families import FAMILIES, family_of
from mindmlm.build.first_weights import load_first_weights
from mindmlm.build.instance import architecture_of, model_of_cell
from mindmlm.build.model import (
    ModelOnRank,
    build_model,
    load_model,
    load_tensors,
    model_with_rows,
    vocabulary_extension,
)
from mindmlm.build.place import place_of
from mindmlm.build.prediction import read_texts
from mindmlm.build.registered import build_registered_callbacks
from mindmlm.build.saving import Updates, layout_record, load_state, tensors_to_save
from mindmlm.build.tasks import Corpus, Task, task_of
from mindmlm.build.term_evaluation import build_term_evaluator
from mindmlm.build.training import (
    Updater,
    build_evaluator,
    build_loss_scale,
    build_schedule,
    build_train_step,
    build_updater,
)

__all__ = [
    "FAMILIES",
    "Corpus",
    "ModelOnRank",
    "Task",
    "Updater",
    "Updates",
    "architecture_of",
    "batch_layout",
    "build_batches",
    "build_evaluator",
    "build_loss_scale",
    "build_model",
    "build_registered_callbacks",
    "build_schedule",
    "build_term_evaluator",
    "build_train_step",
    "build_updater",
    "corpus_settings",
    "describe",
    "engine_of",
    "family_of",
    "layout_record",
    "load_first_weights",
    "load_model",
    "load_state",
    "load_tensors",
    "model_of_cell",
    "model_with_rows",
    "place_of",
    "read_texts",
    "task_of",
    "tensors_to_save",
    "total_steps",
    "vocabulary_extension",
]
