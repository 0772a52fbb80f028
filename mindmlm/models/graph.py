"""Cells that the host calls again and again."""

from mindspore import nn


class Graph(nn.Cell):
    """A Cell at the top of a graph, whose calls do not walk through all Cells below.

    At every call MindSpore writes the name of the compiled graph into every Cell (`compile_phase`),
    9 ms for GPT-2's 1,100 of them; nothing needs it where the name is the one already there.
    """

    @property
    def compile_phase(self) -> str | None:
        """Name of the graph that was compiled or called last."""
        return self._compile_phase

    @compile_phase.setter
    def compile_phase(self, value: str) -> None:
        if value != self._compile_phase:
            nn.Cell.compile_phase.fset(self, value)
