"""The teacher of a distillation, as far as a plan can know it."""

import math
from dataclasses import dataclass

from mindmlm.config.schema import BertModelConfig, RunConfig
from mindmlm.conversion.architectures import bert_parameters
from mindmlm.conversion.names import resolve_name
from mindmlm.conversion.origin import open_origin
from mindmlm.errors import ConfigError

TRAINER = "DistillationTrainer"
_FLOAT = 4


@dataclass(frozen=True)
class PlannedTeacher:
    """A frozen `BertForMaskedLM`, whole on every rank of the last stage (`build.teacher`).

    Args:
        settings: of the network, with `vocab_size` set; the student's `compute_dtype`.
        origin: where its size is from, in words.
    """

    settings: BertModelConfig
    origin: str

    @property
    def vocab_size(self) -> int:
        """Rows of its word embedding."""
        assert self.settings.vocab_size is not None
        return self.settings.vocab_size

    @property
    def weights(self) -> int:
        """Bytes of its weights. Exact."""
        shapes = bert_parameters(self.settings, self.vocab_size)
        return _FLOAT * sum(map(math.prod, shapes.values()))


def distils(config: RunConfig) -> bool:
    """Whether a run learns from a teacher."""
    return config.trainer.type == TRAINER


def planned_teacher(config: RunConfig, vocab_size: int | None = None) -> PlannedTeacher | None:
    """What is known of the teacher; None where there is none, or where nothing tells its size.

    A checkpoint's description says it. Without one, `distillation.teacher_layers` does: the student
    then has the teacher's widths, and the teacher no fewer layers than those that are named.

    Args:
        config: of the run.
        vocab_size: rows of the student's word embedding, for a teacher without a checkpoint.

    Raises:
        CheckpointError: the checkpoint is missing or damaged.
        ConfigError: it holds no BERT.
    """
    section, ours = config.distillation, config.model.settings
    if not distils(config):
        return None
    if section.teacher:
        return _described(section.teacher, ours.compute_dtype)
    if section.teacher_layers is None or vocab_size is None:
        return None
    layers = max(section.teacher_layers) + 1
    settings = {"num_hidden_layers": layers, "vocab_size": vocab_size, "add_pooling_layer": False}
    assert isinstance(ours, BertModelConfig)
    return PlannedTeacher(
        ours.model_copy(update=settings),
        f"no distillation.teacher is given; distillation.teacher_layers names layer {layers - 1}, "
        "so it has at least these",
    )


def _described(name: str, compute_dtype: str) -> PlannedTeacher:
    path = resolve_name(name)
    settings = open_origin(path).settings
    if not isinstance(settings, BertModelConfig):
        raise ConfigError(
            f"distillation.teacher: {path} is not described as a BERT; name a checkpoint of a "
            "BertForMaskedLM with its description beside it"
        )
    changed = {"add_pooling_layer": False, "compute_dtype": compute_dtype}
    return PlannedTeacher(settings.model_copy(update=changed), str(path))
