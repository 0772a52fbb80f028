"""Where the time of a training step goes: `python benchmarks/profile_step.py [--config YAML]`.

MindSpore's own profiler measures every operator of some steps; here they are added up by the kind
of Cell that they belong to. Set `MINDMLM_KERNELS=0` for the step without fused operators.
"""

import argparse
import csv
import json
import os
import re
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from benchmarks import train_step_ours  # noqa: E402
from benchmarks.machine import describe_machine  # noqa: E402

_CONFIG = PROJECT / "configs" / "bert" / "run_bert_base_uncased.yaml"
_PRODUCTS = re.compile(r"Product|MatMul|Matmul")


@dataclass(frozen=True)
class Kind:
    """Operators of one kind in one step: how many, and their milliseconds together."""

    name: str
    number: float
    milliseconds: float


def kinds_of(rows: list[dict[str, str]], steps: int) -> list[Kind]:
    """Add up the rows of the profiler's table of operators; the longest first."""
    numbers: dict[str, float] = defaultdict(float)
    times: dict[str, float] = defaultdict(float)
    for row in rows:
        name = kind_of(row["full_op_name"], row["op_type"])
        numbers[name] += int(row["op_occurrences"]) / steps
        times[name] += float(row["op_total_time(ms)"]) / steps
    kinds = [Kind(name, numbers[name], times[name]) for name in times]
    return sorted(kinds, key=lambda kind: -kind.milliseconds)


def kind_of(path: str, operator: str) -> str:
    """The class of the innermost Cell, where it stands for the operator, else MindSpore's operator.

    A path is like ``Gradients/Default/layers-CellList/3-BertLayer/output-Dense/Custom-op2``.
    """
    cells = [part.partition("-")[2] for part in path.split("/")[:-1] if "-" in part]
    direction = "backward" if path.startswith("Gradients/") else "forward"
    if operator != "Custom":
        return f"{operator} ({direction})"
    return f"{cells[-1]} ({direction})" if cells else "optimizer and gradient norm"


def table(kinds: list[Kind], smallest: float = 1.0) -> str:
    """Markdown; what takes less than `smallest` milliseconds is added up in the last row."""
    total = sum(kind.milliseconds for kind in kinds)
    products = sum(kind.milliseconds for kind in kinds if _PRODUCTS.search(kind.name))
    shown = [kind for kind in kinds if kind.milliseconds >= smallest]
    rest = [kind for kind in kinds if kind.milliseconds < smallest]
    shown.append(Kind("all others", sum(k.number for k in rest), sum(k.milliseconds for k in rest)))
    lines = ["| operators | number | ms | share |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {kind.name} | {kind.number:.0f} | {kind.milliseconds:.1f} "
        f"| {kind.milliseconds / total:.1%} |"
        for kind in shown
    ]
    lines.append(f"| **together** | | {total:.1f} | matrix products {products / total:.1%} |")
    return "\n".join(lines)


def main() -> int:
    """Profile and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default=str(_CONFIG))
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--sequence", type=int, default=128)
    parser.add_argument("--steps", type=int, default=3, help="profiled steps (default 3)")
    parser.add_argument("--warm_up", type=int, default=5, help="steps before them (default 5)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = profiled(options, Path(folder))
    print(json.dumps(describe_machine()))
    print(table(kinds_of(rows, options.steps)))
    return 0


def profiled(options: argparse.Namespace, folder: Path) -> list[dict[str, str]]:
    """Rows of the profiler's table of operators for the steps after the warm-up."""
    os.environ.setdefault("GLOG_v", "3")
    with train_step_ours.training_steps(
        options.config, options.batch_size, options.sequence
    ) as step:
        for _ in range(options.warm_up):
            step()
        from mindspore import Profiler

        profiler = Profiler(output_path=str(folder), start_profile=False)
        profiler.start()
        for _ in range(options.steps):
            step()
        profiler.stop()
        profiler.analyse()
    (path,) = folder.rglob("cpu_op_detail_info_0.csv")
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


if __name__ == "__main__":
    sys.exit(main())
