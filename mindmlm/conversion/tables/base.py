"""The form of a name table.

A table pairs modules, and says by a style which tensors a module has and how their matrices lie.
``{n}`` stands for the number of a layer. Our matrices are [outputs, inputs], as PyTorch's.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mindmlm.errors import CheckpointError

LAYER = "{n}"


@dataclass(frozen=True)
class Leaf:
    """A tensor of a module: its name here and there, and whether theirs is our transpose."""

    ours: str
    theirs: str
    transposed: bool = False


Style = tuple[Leaf, ...]
AS_IT_IS: Style = (Leaf("", ""),)
TORCH: Style = (Leaf(".weight", ".weight"), Leaf(".bias", ".bias"))
TORCH_TABLE: Style = (Leaf("", ".weight"),)
TORCH_CONV1D: Style = (Leaf(".weight", ".weight", transposed=True), Leaf(".bias", ".bias"))
TF_DENSE: Style = (Leaf(".weight", "/kernel", transposed=True), Leaf(".bias", "/bias"))
TF_NORM: Style = (Leaf(".weight", "/gamma"), Leaf(".bias", "/beta"))
MS_DENSE = TORCH
MS_DENSE_TRANSPOSED = TORCH_CONV1D
MS_NORM: Style = (Leaf(".weight", ".gamma"), Leaf(".bias", ".beta"))
MS_TABLE: Style = (Leaf("", ".embedding_table"),)


@dataclass(frozen=True)
class Entry:
    """A module of theirs and the one of ours, or the several of ours that it holds in one.

    Where there are several (GPT-2's query, key and value), theirs is divided evenly along its
    outputs, in this order.
    """

    ours: str | tuple[str, ...]
    theirs: str
    style: Style

    @property
    def parts(self) -> tuple[str, ...]:
        """Our modules."""
        return (self.ours,) if isinstance(self.ours, str) else self.ours


@dataclass(frozen=True)
class Recipe:
    """How one tensor of ours is made from one of theirs.

    Theirs is transposed if need be, divided into ``parts`` along the first axis, and the one with
    number ``part`` is taken.
    """

    theirs: str
    transposed: bool
    part: int = 0
    parts: int = 1


@dataclass(frozen=True)
class NameTable:
    """The names of one architecture in one library.

    Attributes:
        library: ``huggingface``, ``tensorflow``, ``mindformers``.
        entries: modules in pairs.
        prefix: the beginning of their names that a bare encoder's file leaves out ("bert.").
        without_prefix: beginnings that never carry the prefix (the heads).
        spellings: endings of names in older files -> today's.
        tied: their name -> the name of theirs that must hold the same numbers.
        left_out: pattern of their names -> what that is and why it is not taken.
        zero: our names of what the library's model does not have; it is that model with zeros.
    """

    library: str
    entries: tuple[Entry, ...]
    prefix: str = ""
    without_prefix: tuple[str, ...] = ()
    spellings: Mapping[str, str] = field(default_factory=dict)
    tied: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    zero: tuple[str, ...] = ()

    def recipes(self, ours: Iterable[str]) -> dict[str, Recipe]:
        """Return for each of our names how it is made; names without an entry are left out."""
        layers = {match[1] for name in ours if (match := re.search(r"\.layers\.(\d+)\.", name))}
        known: dict[str, Recipe] = {}
        for entry in self.entries:
            numbers = sorted(layers, key=int) if LAYER in entry.theirs else [""]
            for number in numbers:
                known.update(_expand(entry, number))
        return {name: known[name] for name in ours if name in known}

    def canonical(self, names: Iterable[str]) -> dict[str, str]:
        """Return today's full spelling of each name in a file -> the name in the file.

        Raises:
            CheckpointError: two names of the file mean the same tensor.
        """
        names = list(names)
        bare = bool(self.prefix) and not any(name.startswith(self.prefix) for name in names)
        found: dict[str, str] = {}
        for name in names:
            full = self._spelling(name)
            if bare and not full.startswith(self.without_prefix or ("\0",)):
                full = self.prefix + full
            if full in found:
                raise CheckpointError(f"{name} and {found[full]} are two names of one tensor")
            found[full] = name
        return found

    def _spelling(self, name: str) -> str:
        for old, new in self.spellings.items():
            if name.endswith(old):
                return name.removesuffix(old) + new
        return name


def _expand(entry: Entry, number: str) -> Iterator[tuple[str, Recipe]]:
    theirs = entry.theirs.replace(LAYER, number)
    for part, ours in enumerate(entry.parts):
        for leaf in entry.style:
            recipe = Recipe(theirs + leaf.theirs, leaf.transposed, part, len(entry.parts))
            yield ours.replace(LAYER, number) + leaf.ours, recipe
