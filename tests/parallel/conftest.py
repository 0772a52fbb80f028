"""A small model that was trained in many layouts, each by real processes, once in a session."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mindmlm.checkpoint import Checkpoint, read_checkpoint
from mindmlm.config import load_config
from mindmlm.testing.corpus import write_corpus
from mindmlm.testing.layouts import LAYOUTS
from mindmlm.testing.run_ranks import run_ranks

PROGRAMS = Path(__file__).parent / "programs"


@dataclass(frozen=True)
class Start:
    """One start of processes: layouts that are trained, and checkpoints that move to another one.

    A move is (from, to); its result is called "from > to".
    """

    ranks: int
    train: list[str]
    move: list[tuple[str, str]] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return [*self.train, *(f"{origin} > {target}" for origin, target in self.move)]


_FOUR = [
    *("dp4", "dp4_zero", "tp4", "tp4_vocabulary", "pp4", "dp2_tp2", "dp2_tp2_zero_vocabulary"),
    *("dp2_pp2", "dp2_pp2_zero", "tp2_pp2", "tp2_pp2_vocabulary"),
]
STARTS = [
    Start(1, ["one"]),
    Start(1, ["one_in_four", "one_recompute"]),
    Start(
        2,
        ["dp2_zero", "tp2_vocabulary", "pp2"],
        [
            ("one", "dp2_zero"),
            ("one", "pp2"),
            ("one", "tp2_vocabulary"),
            ("dp2_zero", "tp2_vocabulary"),
            ("tp2_vocabulary", "pp2"),
            ("pp2", "dp2_zero"),
        ],
    ),
    Start(
        2,
        ["dp2", "tp2", "pp2_recompute", "dp2_unclipped", "dp2_zero_unclipped"],
        [
            ("one", "dp2"),
            ("one", "tp2"),
            ("one", "pp2_recompute"),
            ("dp2", "tp2"),
            ("tp2", "pp2_recompute"),
            ("pp2_recompute", "dp2"),
        ],
    ),
    Start(
        3,
        ["dp3", "dp3_zero", "pp3"],
        [
            ("one", "dp3"),
            ("one", "dp3_zero"),
            ("one", "pp3"),
            ("tp2_vocabulary", "dp3_zero"),
            ("dp3", "pp3"),
            ("dp3_zero", "pp3"),
            ("pp3", "dp3_zero"),
        ],
    ),
    Start(
        4,
        _FOUR,
        [
            *(("one", name) for name in _FOUR),
            *zip(_FOUR, [*_FOUR[1:], _FOUR[0]], strict=True),
            ("dp3_zero", "dp2_tp2_zero_vocabulary"),
            ("pp3", "tp2_pp2_vocabulary"),
        ],
    ),
]


class Proof:
    """What the layouts did.

    Args:
        folder: of the results.
        config: of all runs.
        flags: text and vocabulary.
        starts: which layouts are trained together.
        more: options of all runs besides those of their layouts.
    """

    def __init__(
        self,
        folder: Path,
        config: Path,
        flags: dict[str, str],
        starts: Sequence[Start] = tuple(STARTS),
        more: Sequence[str] = (),
    ) -> None:
        self.folder, self.config, self.flags = folder, config, flags
        self.starts, self.more = starts, more
        self._done: set[str] = set()

    def options(self, name: str) -> list[str]:
        """What makes a layout of the configuration."""
        return [*LAYOUTS[name], *self.more]

    def load(self, name: str):
        """The configuration of a layout."""
        return load_config(self.config, self.options(name), flags=self.flags).config

    def notes(self, name: str) -> list[dict]:
        """What each rank has written down."""
        ranks = self._start(name).ranks
        return [
            json.loads((self.folder / f"{name}.{rank}.json").read_text()) for rank in range(ranks)
        ]

    def checkpoint(self, name: str) -> Checkpoint:
        """Weights, optimizer state and, where the layout was trained, the first gradients."""
        self._start(name)
        (path,) = (self.folder / name).glob("step_*")
        return read_checkpoint(path)

    def _start(self, name: str) -> Start:
        """See that the start that makes `name` is done, and those that it takes from."""
        (start,) = (start for start in self.starts if name in start.names)
        for origin, _ in start.move:
            if origin not in start.train:
                self._start(origin)
        if name not in self._done:
            self._run(start)
        return start

    def _run(self, start: Start) -> None:
        job = {
            "config": str(self.config),
            "flags": self.flags,
            "cache": str(self.folder / "cache"),
            "out": str(self.folder),
            "train": [{"name": name, "options": self.options(name)} for name in start.train],
            "move": [
                {"name": f"{origin} > {target}", "options": self.options(target), "from": origin}
                for origin, target in start.move
            ],
        }
        path = self.folder / "job.json"
        path.write_text(json.dumps(job))
        # One thread each, so that sums are added up in one order whatever the number of ranks.
        env = {"OMP_NUM_THREADS": "1"}
        run_ranks(PROGRAMS / "train_layouts.py", start.ranks, [path], timeout=1500, env=env)
        self._done |= set(start.names)


@pytest.fixture(scope="session")
def text_and_vocabulary(tmp_path_factory) -> dict[str, str]:
    """A small text and its vocabulary, as flags."""
    from mindmlm.data.sources.files import FileSource
    from mindmlm.data.vocabulary import train_vocab_file

    folder = tmp_path_factory.mktemp("text")
    text = write_corpus(folder / "text.txt")
    train_vocab_file(folder / "vocab.txt", FileSource.of_paths(text), 300, True)
    return {"dataset_dir": str(text), "vocab_file": str(folder / "vocab.txt")}


@pytest.fixture(scope="session")
def proof(project_root, tmp_path_factory, text_and_vocabulary) -> Proof:
    config = project_root / "configs" / "bert" / "run_bert_tiny_zh.yaml"
    return Proof(tmp_path_factory.mktemp("proof"), config, text_and_vocabulary)
