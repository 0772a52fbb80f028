"""Peak memory and time of a step with and without recomputing: `python benchmarks/recompute.py`.

Both train the same steps on the Chinese sample, in processes of their own that take turns. Memory
is the largest that the process had, Python and MindSpore included (0.4 GB). KEY=VALUE change the
configuration of both, as `--options` do; the losses have to be the same to the last bit.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from benchmarks.machine import describe_machine  # noqa: E402

CONFIG = PROJECT / "configs" / "bert" / "run_bert_small_zh.yaml"


def main() -> int:
    """Measure both and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=CONFIG, help="(run_bert_small_zh.yaml)")
    parser.add_argument("--steps", type=int, default=6, help="steps of a run, at least 3 (6)")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each (2)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--worker", metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument("options", nargs="*", metavar="KEY=VALUE")
    given = parser.parse_args()
    if given.steps < 3:
        parser.error("--steps: the first two are not timed, so at least 3 are needed")
    if given.worker:
        print(json.dumps(work(Path(given.worker), given.config, given.steps, given.options)))
        return 0
    with tempfile.TemporaryDirectory() as name:
        _prepare(Path(name))
        rounds = [
            [measure(name, given, recompute) for recompute in (False, True)]
            for _ in range(given.rounds)
        ]
    result = summary(rounds) | {"options": given.options, "machine": describe_machine()}
    print(json.dumps(result) if given.json else table(result))
    return 0


def _prepare(folder: Path) -> None:
    from mindmlm.data.samples import write_sample
    from mindmlm.data.sources.files import FileSource
    from mindmlm.data.vocabulary import train_vocab_file

    text = write_sample("zh", folder).rename(folder / "text.txt")
    train_vocab_file(folder / "vocab.txt", FileSource.of_paths(text), 8000, True)


def measure(folder: str, given: argparse.Namespace, recompute: bool) -> dict[str, Any]:
    """Run a process of its own."""
    command = [sys.executable, __file__, "--worker", folder, "--config", str(given.config)]
    command += ["--steps", str(given.steps), *given.options]
    command += [f"recompute_config.recompute={recompute}"]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])


def work(folder: Path, config: Path, steps: int, options: list[str]) -> dict[str, Any]:
    """Train in this process; returns losses, seconds of a step and peak memory in bytes."""
    from mindmlm.config import load_config
    from mindmlm.runtime.context import initialise
    from mindmlm.testing.small_run import SmallRun

    flags = {"dataset_dir": str(folder / "text.txt"), "vocab_file": str(folder / "vocab.txt")}
    length = [f"runner_config.max_steps={steps}", "context.device_target=CPU"]
    loaded = load_config(str(config), [*length, *options], flags=flags)
    initialise("CPU", device_id=0, mode=0)
    run = SmallRun.create(loaded.config, folder / "cache")
    losses, seconds = [], []
    for step in range(steps):
        batches = run.micro_batches(step)
        start = time.perf_counter()
        losses.append(run.step(batches).loss)
        seconds.append(time.perf_counter() - start)
    return {
        "losses": losses,
        # The first step compiles, the second still fills pools of memory.
        "seconds": statistics.median(seconds[2:]),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def summary(rounds: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians; the ratio of the times is that of the pairs."""
    plain, recomputed = zip(*rounds, strict=True)
    pairs = [again["seconds"] / once["seconds"] for once, again in rounds]
    return {
        "same_losses": all(once["losses"] == again["losses"] for once, again in rounds),
        "peak": statistics.median(one["peak"] for one in plain),
        "peak_recomputed": statistics.median(one["peak"] for one in recomputed),
        "seconds": statistics.median(one["seconds"] for one in plain),
        "time_ratio": statistics.median(pairs),
    }


def table(result: dict[str, Any]) -> str:
    """Markdown."""
    gigabytes = [result[key] / 1e9 for key in ("peak", "peak_recomputed")]
    return "\n".join(
        [
            "| recompute | peak memory | time of a step |",
            "| --- | --- | --- |",
            f"| False | {gigabytes[0]:.2f} GB | {result['seconds']:.2f} s |",
            f"| True | {gigabytes[1]:.2f} GB | x {result['time_ratio']:.2f} |",
            "",
            f"Losses equal to the last bit: {'yes' if result['same_losses'] else 'NO'}.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
