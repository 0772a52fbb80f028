"""What the heads of the recipes and a teacher keep, where they are no operators of the engine."""

from dataclasses import replace

from mindmlm.config.schema import RunConfig
from mindmlm.models.plan import ParallelPlan
from mindmlm.parallel.layout import ParallelLayout
from mindmlm.parallel.semi_auto.programs import NetworkPrograms, bert_programs
from mindmlm.parallel.semi_auto.transformer import Frame
from mindmlm.planning.kept import block_bytes, forward_bytes, loss_bytes, score_bytes, width_of
from mindmlm.planning.teacher import PlannedTeacher

_FLOAT = 4
_SCORES_OF_A_LOSS = 3


def head_bytes(config: RunConfig, frame: Frame, network: NetworkPrograms) -> int:
    """Bytes that the head of a run keeps of a micro-batch, and its scores with their gradient."""
    arch = config.model.arch.type
    if arch == "BertForQuestionAnswering":
        return _answers(frame)
    pairs = _pairs(frame) if arch == "BertForPreTraining" else 0
    return block_bytes(network.head) + loss_bytes(network.head) + pairs


def _answers(frame: Frame) -> int:
    """Two scores a position; the product keeps what goes into it."""
    rows, hidden = frame.rows // frame.layout.data_parallel, frame.settings.hidden_size
    low = width_of(frame.settings.compute_dtype)
    weight = 2 * hidden * low if low < _FLOAT else 0
    return rows * (hidden * low + 2 * _FLOAT * (1 + _SCORES_OF_A_LOSS)) + weight


def _pairs(frame: Frame) -> int:
    """The pooler and two scores a row: the first position, its tanh, both for the products."""
    batch, hidden = frame.batch // frame.layout.data_parallel, frame.settings.hidden_size
    low = width_of(frame.settings.compute_dtype)
    cast = batch * hidden * low + (hidden + 2) * hidden * low if low < _FLOAT else 0
    return batch * hidden * (low + _FLOAT) + cast + 2 * batch * _FLOAT * (1 + _SCORES_OF_A_LOSS)


def teacher_bytes(teacher: PlannedTeacher, frame: Frame, predictions: int) -> int:
    """Bytes that the forward pass of a teacher adds to what its student keeps.

    The largest moment within one of its layers (nothing is kept for a backward pass), its last
    hidden states, and its scores, their probabilities and the product of the divergence.

    Args:
        teacher: whole on the rank.
        frame: of the student.
        predictions: positions of a row at which the two are compared.
    """
    without_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    settings = teacher.settings.model_copy(update={**without_dropout, "num_hidden_layers": 1})
    whole = replace(
        frame,
        settings=settings,
        vocab_size=teacher.vocab_size,
        layout=ParallelLayout(),
        plan=ParallelPlan({}),
        batch=frame.batch // frame.layout.data_parallel,
    )
    network = bert_programs(whole, predictions)
    hidden = _FLOAT * whole.rows * settings.hidden_size
    return forward_bytes(network.layers[0]) + hidden + 3 * score_bytes(network.head)
