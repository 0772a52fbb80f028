"""The output folder of a run: its files, and the lock that keeps a second run out."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mindmlm.errors import ConfigError


@dataclass(frozen=True)
class RunFolder:
    """Where a run writes what.

    Args:
        root: `output_dir` of the configuration.
    """

    root: Path

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.root / "config.yaml"

    @property
    def metrics(self) -> Path:
        """One JSON object a line."""
        return self.root / "metrics.jsonl"

    @property
    def vocabulary(self) -> Path:
        """The vocabulary that the run used."""
        return self.root / "vocab.txt"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.root / "checkpoint"

    @property
    def dataset_cache(self) -> Path:
        """Prepared text; may be deleted at any time."""
        return self.root / "dataset_cache"

    @property
    def predictions(self) -> Path:
        """Answers of the last evaluation, by the ids of the questions."""
        return self.root / "predictions.json"

    @property
    def profile(self) -> Path:
        """Seconds by phase, with `profile: True`."""
        return self.root / "profile.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process; it is made when missing.

        Raises:
            ConfigError: another process writes there, or the folder cannot be made.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise ConfigError(
                f"output_dir: {self.root} cannot be written: {error.strerror}; choose another "
                "with --output_dir"
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise ConfigError(
                f"output_dir: another process is writing to {self.root}; wait for it, or choose "
                "another folder with --output_dir"
            ) from None
        try:
            yield
        finally:
            os.close(descriptor)

    def has_checkpoints(self) -> bool:
        """Whether a run has saved anything here.

        A save or a deletion that a kill cut short (`.tmp`, `.trash`) is no checkpoint: the run has
        to start anew.
        """
        return self.checkpoints.is_dir() and any(
            path.suffix not in (".tmp", ".trash") for path in self.checkpoints.glob("step_*")
        )

    def set_old_metrics_aside(self) -> None:
        """Rename the metrics of an earlier run that left no checkpoint; nothing is lost."""
        if not self.metrics.exists():
            return
        number = 1
        while (aside := self.root / f"metrics.{number}.jsonl").exists():
            number += 1
        self.metrics.rename(aside)
