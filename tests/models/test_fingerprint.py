"""Whatever changes a graph changes its hash; the same graph, built again, has the same hash."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.config.schema.gpt2 import GPT2ModelConfig
from mindmlm.models.bert.heads import BertForMaskedLM
from mindmlm.models.fingerprint import UnknownPartError, fingerprint
from mindmlm.models.gpt2.heads import GPT2LMHeadModel

SMALL = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
pytestmark = pytest.mark.usefixtures("graph_mode")


def bert(vocab_size: int = 20, training: bool = True, **settings: object) -> nn.Cell:
    config = BertModelConfig(**{**SMALL, "intermediate_size": 16, **settings})
    return BertForMaskedLM(config, vocab_size).set_train(training)


def of(cell: nn.Cell, *arguments: object) -> str:
    return fingerprint((cell,), arguments)


def test_the_same_model_has_the_same_hash():
    assert of(bert()) == of(bert())
    config = GPT2ModelConfig(**SMALL)
    assert of(GPT2LMHeadModel(config, 20)) == of(GPT2LMHeadModel(config, 20))


def test_weights_do_not_count():
    other = bert()
    for value in other.get_parameters():
        value.set_data(ms.Tensor(np.full(value.shape, 0.5, np.float32)))
    assert of(other) == of(bert())


@pytest.mark.parametrize(
    "changed",
    [
        {"hidden_size": 16},
        {"num_hidden_layers": 3},
        {"num_attention_heads": 4},
        {"intermediate_size": 32},
        {"hidden_act": "relu"},
        {"hidden_dropout_prob": 0.2},
        {"attention_probs_dropout_prob": 0.2},
        {"layer_norm_eps": 1e-5},
        {"post_layernorm_residual": False},
        {"compute_dtype": "float16"},
        {"vocab_size": 21},
        {"training": False},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_setting_counts(changed):
    assert of(bert(**changed)) != of(bert())


def test_shapes_and_types_of_arguments_count():
    rows = [ms.Tensor(np.zeros((2, n), t)) for n, t in ((4, np.int32), (5, np.int32), (4, bool))]
    hashes = {of(bert(), row) for row in rows} | {of(bert(), rows[0], rows[0]), of(bert(), 1)}
    assert len(hashes) == 5


class Scaled(nn.Cell):
    def __init__(self, factor: object, axis: int = 0) -> None:
        super().__init__()
        self.factor = factor
        self.sum = ops.Concat(axis)


def test_constants_and_primitives_count():
    tensors = [ms.Tensor(value, ms.float32) for value in (1.0, 2.0)]
    constants = (1, 1.0, 2.0, "1", None, (1, 2), {"a": 1}, *tensors)
    cells = [*(Scaled(one) for one in constants), Scaled(1, axis=1)]
    assert len({of(cell) for cell in cells}) == len(cells)
    assert of(Scaled(ms.Tensor(1.0, ms.float32))) == of(Scaled(ms.Tensor(1.0, ms.float32)))


def test_frozen_and_renamed_parameters_count():
    frozen, renamed = bert(), bert()
    next(iter(frozen.get_parameters())).requires_grad = False
    next(iter(renamed.get_parameters())).name = "another"
    assert len({of(bert()), of(frozen), of(renamed)}) == 3


def test_a_part_of_an_unknown_kind_is_said():
    with pytest.raises(UnknownPartError, match="object"):
        of(Scaled(object()))


def test_functions_count_by_what_they_do():
    def scaled(factor: float, default: float = 1.0):
        return (lambda x: x * factor), (lambda x: x + factor), (lambda x, by=default: x * by)

    hashes = {of(Scaled(one)) for factor in (1.0, 2.0) for one in scaled(factor, factor)}
    assert len(hashes) == 6
    assert of(Scaled(scaled(2.0)[0])) == of(Scaled(scaled(2.0)[0]))
