"""Seconds by phase, written when the run ends."""

import json
from pathlib import Path

from mindmlm.runtime.files import write_text_atomic
from mindmlm.training.loop import Callback, Run


class ProfileCallback(Callback):
    """Writes `profile.json`: seconds, calls and share of every phase."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_end(self, run: Run) -> None:
        """Write the file."""
        write_text_atomic(self.path, json.dumps(run.phases.report(), indent=2) + "\n")
