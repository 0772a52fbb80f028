"""Consecutive layers of a model: what a pipeline stage holds, or what is recomputed at once."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """Layers [start, stop) of `num_layers`, with what stands before the first and behind the last.

    Args:
        start, stop: numbers of layers, from 0; stop is more than start.
        num_layers: of the whole model.
    """

    start: int
    stop: int
    num_layers: int

    @classmethod
    def whole(cls, num_layers: int) -> "Span":
        """All layers."""
        return cls(0, num_layers, num_layers)

    @property
    def first(self) -> bool:
        """Whether the embeddings belong to it."""
        return self.start == 0

    @property
    def last(self) -> bool:
        """Whether the head belongs to it."""
        return self.stop == self.num_layers

    def single_layers(self) -> list["Span"]:
        """One span for each layer."""
        return [Span(n, n + 1, self.num_layers) for n in range(self.start, self.stop)]
