"""Cells that the host calls again and again."""

from typing import Any

import mindspore as ms
from mindspore import nn

from mindmlm.models import graph_cache
from mindmlm.models.fingerprint import fingerprint


class Graph(nn.Cell):
    """A Cell at the top of a graph.

    Its calls do not walk through all Cells below: at every call MindSpore writes the name of the
    compiled graph into every Cell (`compile_phase`), 9 ms for GPT-2's 1,100 of them; nothing needs
    it where the name is the one already there. What it compiles can be kept (`graph_cache`).
    """

    def parts(self) -> tuple[object, ...]:
        """What the graph is made from, beside the class and the arguments."""
        return (self,)

    @property
    def compile_phase(self) -> str | None:
        """Name of the graph that was compiled or called last."""
        return self._compile_phase

    @compile_phase.setter
    def compile_phase(self, value: str) -> None:
        if value != self._compile_phase:
            nn.Cell.compile_phase.fset(self, value)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile for arguments of these shapes, or find the graph."""
        shapes = (self.training, _shape(args))
        compiled: set[tuple[object, ...]] = self.__dict__.setdefault("_compiled_shapes", set())
        if shapes in compiled:
            super().compile(*args, **kwargs)
            return
        with graph_cache.kept(lambda: fingerprint((type(self), *self.parts()), args)):
            super().compile(*args, **kwargs)
        compiled.add(shapes)


def _shape(argument: Any) -> object:
    """Shape and type of a tensor, also within tuples; anything else stands for itself."""
    if isinstance(argument, ms.Tensor):
        return argument.shape, argument.dtype
    if isinstance(argument, tuple | list):
        return tuple(_shape(one) for one in argument)
    return argument
