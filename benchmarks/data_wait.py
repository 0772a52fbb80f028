"""How long a training step waits for its batch: `python benchmarks/data_wait.py --json`.

Trains on the Chinese sample for some steps with `profile: True` and reads the share of the time
that the loop spent waiting for data.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from benchmarks.machine import describe_machine  # noqa: E402
from mindmlm.data.samples import write_sample  # noqa: E402

_STEP_PHASES = ("data", "forward_backward", "reduce", "gradient_norm", "update")


def main() -> int:
    """Train, read the profile, print the share."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="configs/bert/run_bert_mini_zh.yaml")
    parser.add_argument("--strategy", default="whole_word")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        profile = train(options, Path(name))
    seconds = {phase: profile[phase]["seconds"] for phase in _STEP_PHASES}
    share = seconds["data"] / sum(seconds.values())
    result = {
        "name": f"data_wait_{options.strategy}",
        "share": share,
        "seconds": seconds,
        "machine": describe_machine(),
    }
    text = f"waiting for data: {share:.2%} of {sum(seconds.values()):.1f} s"
    print(json.dumps(result) if options.json else text)
    return 0


def train(options: argparse.Namespace, folder: Path) -> dict[str, dict[str, float]]:
    """Run the training and return its profile."""
    text = write_sample("zh", folder)
    command = [
        sys.executable,
        str(PROJECT / "run_mindformer.py"),
        *("--config", str(PROJECT / options.config), "--dataset_dir", str(text)),
        *("--output_dir", str(folder / "output"), "--max_steps", str(options.steps)),
        *("--profile", "True", "--train_dataset.data_loader.text_format", "document"),
        *("--train_dataset.masking.strategy", options.strategy),
    ]
    subprocess.run(command, check=True, stdout=sys.stderr)
    profile: dict[str, dict[str, float]] = json.loads((folder / "output/profile.json").read_text())
    return profile


if __name__ == "__main__":
    sys.exit(main())
