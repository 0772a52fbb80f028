"""Writing a block of a network as operators, whose cuts follow from those of its inputs. Pure."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mindmlm.models.plan import ParallelPlan
from mindmlm.parallel.layout import ParallelLayout
from mindmlm.parallel.semi_auto.operators import Cuts, Operator, Outcome, Shape, Value, outcome


@dataclass(frozen=True)
class Program:
    """A block of a network: what it takes, what it does, what it makes.

    Args:
        name: of the block.
        inputs: activations and rows of a batch, in the order they are passed.
        parameters: of the model, by their names there, whole.
        constants: fixed tensors, by name.
        operators: in an order in which they can run.
        output: name of the tensor that is handed on.
    """

    name: str
    inputs: tuple[Value, ...]
    parameters: tuple[Value, ...]
    constants: dict[str, np.ndarray]
    operators: tuple[Operator, ...]
    output: Value


class Builder:
    """Collects the operators of a block.

    Args:
        name: of the block.
        layout: of the ranks; rows are cut over `data_parallel`.
        plan: along which axis each parameter is cut over `model_parallel`.
    """

    def __init__(self, name: str, layout: ParallelLayout, plan: ParallelPlan) -> None:
        self.name = name
        self.layout = layout
        self.plan = plan
        self._inputs: list[Value] = []
        self._parameters: dict[str, Value] = {}
        self._constants: dict[str, np.ndarray] = {}
        self._operators: list[Operator] = []

    def input(self, name: str, shape: Shape, cuts: Cuts | None = None) -> Value:
        """Something that is passed in; by default its first axis is cut over the data axis."""
        cuts = cuts or (self.layout.data_parallel, *(1,) * (len(shape) - 1))
        value = Value(name, shape, cuts)
        self._inputs.append(value)
        return value

    def parameter(self, name: str, shape: Shape) -> Value:
        """A parameter of the model, cut as the plan says."""
        axis = self.plan.axis(name)
        cuts = tuple(
            self.layout.model_parallel if number == axis else 1 for number in range(len(shape))
        )
        return self._parameters.setdefault(name, Value(name, shape, cuts))

    def constant(self, name: str, array: np.ndarray) -> Value:
        """A fixed tensor, whole on every device."""
        self._constants[name] = array
        return Value(name, array.shape, (1,) * array.ndim)

    def apply(self, name: str, kind: str, *inputs: Value, **settings: Any) -> Value:
        """Append an operator and return its result.

        Raises:
            CutError: its inputs are not cut in a way that it can work with.
        """
        made: Outcome = outcome(kind, list(inputs), settings)
        result = Value(name, made.shape, made.cuts)
        names = tuple(value.name for value in inputs)
        strategy = tuple(value.cuts for value in inputs)
        self._operators.append(Operator(name, kind, names, strategy, result, settings))
        return result

    def program(self, output: Value) -> Program:
        """What was written."""
        return Program(
            self.name,
            tuple(self._inputs),
            tuple(self._parameters.values()),
            dict(self._constants),
            tuple(self._operators),
            output,
        )

    def dense(self, name: str, x: Value, weight: str, sizes: Shape, dtype: str) -> Value:
        """x @ weight.T + bias for x [rows, in] and `sizes` (in, out) of the parameter `weight`."""
        inner, outer = sizes
        product = self.matmul(name, x, self.parameter(f"{weight}.weight", (outer, inner)), dtype)
        return self.apply(
            f"{name}.add_bias", "Add", product, self.parameter(f"{weight}.bias", (outer,))
        )

    def matmul(self, name: str, a: Value, b: Value, dtype: str, transpose_b: bool = True) -> Value:
        """A product in `dtype` with a float32 result."""
        kind = "MatMul" if len(a.shape) == 2 else "BatchMatMul"
        if dtype == "float32":
            return self.apply(f"{name}.matmul", kind, a, b, transpose_b=transpose_b)
        low = [
            self.apply(f"{name}.{side}", "Cast", value, dtype=dtype)
            for side, value in (("left", a), ("right", b))
        ]
        product = self.apply(f"{name}.matmul", kind, *low, transpose_b=transpose_b)
        return self.apply(f"{name}.result", "Cast", product, dtype="float32")

    def norm(self, name: str, x: Value, parameter: str, epsilon: float) -> Value:
        """Layer normalisation of x [rows, features]."""
        size = x.shape[-1:]
        weight = self.parameter(f"{parameter}.weight", size)
        bias = self.parameter(f"{parameter}.bias", size)
        return self.apply(name, "LayerNorm", x, weight, bias, epsilon=epsilon)

    def activation(self, name: str, x: Value, kind: str) -> Value:
        """gelu (exact), gelu_tanh or relu."""
        if kind != "gelu":
            return self.apply(name, {"gelu_tanh": "GeLU", "relu": "ReLU"}[kind], x)
        error = self.apply(f"{name}.erf", "Erf", self.scale(f"{name}.scaled", x, 0.5**0.5))
        half = self.scale(f"{name}.half", self.offset(f"{name}.offset", error, 1.0), 0.5)
        return self.apply(name, "Mul", x, half)

    def scale(self, name: str, x: Value, factor: float) -> Value:
        """x * factor."""
        return self.apply(name, "Scale", x, number=factor)

    def offset(self, name: str, x: Value, number: float) -> Value:
        """x + number."""
        return self.apply(name, "Offset", x, number=number)

    def reshape(self, name: str, x: Value, shape: Shape) -> Value:
        """The same values in another shape."""
        return self.apply(name, "Reshape", x, shape=shape)
