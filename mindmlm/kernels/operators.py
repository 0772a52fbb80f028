"""The compiled kernels as operators of MindSpore."""

import ctypes
import logging
from functools import cache
from typing import Any

import mindspore as ms
from mindspore import ops

from mindmlm.kernels.library import library

logger = logging.getLogger(__name__)

Shape = list[int]


def _first(x: Shape, *others: Shape) -> Shape:
    return x


def _scalar(*inputs: Shape) -> Shape:
    return [1]


def _pair(*inputs: Shape) -> Shape:
    return [2]


def _columns(x: Shape) -> Shape:
    return x[-1:]


def _norm(x: Shape, *others: Shape) -> tuple[Shape, ...]:
    return x, x[:1], x[:1]


def _norm_gradients(x: Shape, weight: Shape, *others: Shape) -> tuple[Shape, ...]:
    return x, weight, weight


def _attention(query: Shape, *others: Shape) -> tuple[Shape, ...]:
    batch, sequence, heads, _ = query
    return query, [batch, heads, sequence, sequence]


def _attention_gradients(query: Shape, *others: Shape) -> tuple[Shape, ...]:
    return query, query, query


def _loss(logits: Shape, *others: Shape) -> tuple[Shape, ...]:
    return [1], logits


def _product(x: Shape, weight: Shape, *others: Shape) -> Shape:
    return [x[0], weight[0]]


def _input_gradient(dy: Shape, weight: Shape) -> Shape:
    return [dy[0], weight[1]]


def _weight_gradient(dy: Shape, x: Shape) -> Shape:
    return [dy[1], x[1]]


# The shapes of what each kernel returns, and how many tensors these are. What it takes stands above
# it in the C++ source. All results are float32.
_KERNELS: dict[str, tuple[Any, int]] = {
    "GeluForward": (_first, 1),
    "GeluBackward": (_first, 1),
    "GeluTanhForward": (_first, 1),
    "GeluTanhBackward": (_first, 1),
    "ColumnSums": (_columns, 1),
    "LayerNormForward": (_norm, 3),
    "LayerNormBackward": (_norm_gradients, 3),
    "Attention": (_first, 1),
    "AttentionForward": (_attention, 2),
    "AttentionDropoutForward": (_attention, 2),
    "AttentionBackward": (_attention_gradients, 3),
    "AttentionDropoutBackward": (_attention_gradients, 3),
    "DropoutApply": (_first, 1),
    "CrossEntropyForward": (_loss, 2),
    "CrossEntropyBackward": (_first, 1),
    "Product": (_product, 1),
    "DenseForward": (_product, 1),
    "InputGradient": (_input_gradient, 1),
    "WeightGradient": (_weight_gradient, 1),
    "DecoderLayersGelu": (_first, 1),
    "DecoderLayersGeluTanh": (_first, 1),
    "DecoderLayersRelu": (_first, 1),
    "SquareSums": (_pair, 1),
    "AdamWUpdates": (_scalar, 1),
}


def kernels_in_use() -> bool:
    """Whether layers that are made now use the fused kernels: graphs on a CPU, with a library.

    In MindSpore's PyNative mode the gradient of a Cell with custom operators was wrong (2.9.0), so
    it has the plain ones.
    """
    graphs = ms.get_context("mode") == ms.GRAPH_MODE
    return graphs and ms.get_context("device_target") == "CPU" and _loads()


@cache
def _loads() -> bool:
    path = library()
    if path is None:
        return False
    try:
        ctypes.CDLL(str(path))
    except OSError as error:
        logger.warning("fused kernels are not used, training is slower: %s", error)
        return False
    return True


@cache
def kernel(name: str) -> ops.Custom:
    """The operator `name` of the library, where `kernels_in_use()`."""
    shapes, outputs = _KERNELS[name]
    dtypes = ms.float32 if outputs == 1 else (ms.float32,) * outputs
    return ops.Custom(f"{library()}:{name}", shapes, dtypes, func_type="aot")
