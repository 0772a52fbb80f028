"""Losses, step time, messages and memory by layout: `python benchmarks/layouts.py --write`.

Every layout trains the same steps of `run_bert_tiny_zh_parallel.yaml` on the Chinese sample, in
real processes on this machine, and is compared with one process. A second run without messages (its
numbers are wrong) tells the share of the time that goes into messages and into waiting for others.
A layout that is done is kept in `--results`, so that a run that was stopped goes on.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from benchmarks.machine import describe_machine  # noqa: E402
from mindmlm.data.samples import write_sample  # noqa: E402
from mindmlm.data.sources.files import FileSource  # noqa: E402
from mindmlm.data.vocabulary import train_vocab_file  # noqa: E402
from mindmlm.runtime.files import write_text_atomic  # noqa: E402
from mindmlm.testing.run_ranks import run_ranks  # noqa: E402

CONFIG = PROJECT / "configs" / "bert" / "run_bert_tiny_zh_parallel.yaml"
DOCUMENT = PROJECT / "docs" / "parallel.md"
BEGIN, END = "<!-- layouts table -->", "<!-- end of layouts table -->"
GLOBAL_BATCH = 16


@dataclass(frozen=True)
class Layout:
    """Degrees, and the two switches that change what is kept where."""

    data: int = 1
    model: int = 1
    stages: int = 1
    zero: bool = False
    cut_vocabulary: bool = False

    @property
    def ranks(self) -> int:
        """Number of processes."""
        return self.data * self.model * self.stages

    @property
    def name(self) -> str:
        """As in the documents: dp2·tp2·pp2."""
        parts = (("dp", self.data), ("tp", self.model), ("pp", self.stages))
        name = "·".join(f"{axis}{degree}" for axis, degree in parts if degree > 1)
        name += " ZeRO" if self.zero else ""
        name += ", vocabulary cut" if self.cut_vocabulary else ""
        return name or "one process"

    def options(self) -> list[str]:
        """Keys of the configuration."""
        micro_batches = max(2, self.stages)
        degrees = {
            "data_parallel": self.data,
            "model_parallel": self.model,
            "pipeline_stage": self.stages,
            "micro_batch_num": micro_batches,
            "optimizer_shard": self.zero,
            "vocab_emb_dp": not self.cut_vocabulary,
        }
        return [
            *(f"parallel_config.{key}={value}" for key, value in degrees.items()),
            f"parallel.enable_parallel_optimizer={self.zero}",
            f"runner_config.batch_size={GLOBAL_BATCH // self.data // micro_batches}",
            f"use_parallel={self.ranks > 1}",
            "runner_config.max_steps=20",
        ]


LAYOUTS = (
    Layout(),
    Layout(data=2),
    Layout(data=2, zero=True),
    Layout(model=2),
    Layout(model=2, cut_vocabulary=True),
    Layout(stages=2),
    Layout(data=4),
    Layout(data=4, zero=True),
    Layout(model=4),
    Layout(model=4, cut_vocabulary=True),
    Layout(stages=4),
    Layout(data=2, model=2),
    Layout(data=2, stages=2),
    Layout(model=2, stages=2),
    Layout(data=2, model=2, stages=2),
    Layout(data=2, model=2, stages=2, zero=True, cut_vocabulary=True),
)


def main() -> int:
    """Measure the layouts and print a table, JSON, or the section of the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", type=int, default=8, help="leave larger layouts out (8)")
    parser.add_argument("--steps", type=int, default=20, help="steps to compare (20)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--results",
        type=Path,
        default=PROJECT / "output" / "layouts.jsonl",
        help="what is measured goes there, and is not measured again (output/layouts.jsonl)",
    )
    parser.add_argument("--write", action="store_true", help="put the table into docs/parallel.md")
    options = parser.parse_args()
    rows = _measured(options)
    machine = describe_machine()
    text = table(rows, machine, options.steps)
    if options.write:
        write_section(text)
    print(json.dumps({"layouts": rows, "machine": machine}) if options.json else text)
    return 0


def _measured(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each layout, from the file of results where it has one of so many steps."""
    done = {}
    if options.results.is_file():
        for line in options.results.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if len(row["losses"]) == options.steps:
                done[row["layout"]] = row
    options.results.parent.mkdir(parents=True, exist_ok=True)
    wanted = [layout for layout in LAYOUTS if layout.ranks <= options.ranks]
    with tempfile.TemporaryDirectory() as name:
        inputs = _prepare(Path(name))
        for layout in wanted:
            if layout.name in done:
                continue
            row = done[layout.name] = measure(layout, inputs, options.steps)
            with options.results.open("a", encoding="utf-8") as results:
                results.write(json.dumps(row) + "\n")
            print(json.dumps(row), file=sys.stderr)
    return [done[layout.name] for layout in wanted]


def _prepare(folder: Path) -> list[str]:
    text = write_sample("zh", folder)
    vocab = folder / "vocab.txt"
    train_vocab_file(vocab, FileSource.of_paths(text), 8000, True)
    return ["--text", str(text), "--vocab", str(vocab), "--cache", str(folder)]


def measure(layout: Layout, inputs: list[str], steps: int) -> dict[str, Any]:
    """Run a layout with and without messages."""
    worker = Path(__file__).with_name("layout_worker.py")
    words = ["--config", str(CONFIG), *inputs, "--steps", str(steps)]
    found = []
    for extra in ([], ["--silent"]) if layout.ranks > 1 else ([],):
        printed = run_ranks(worker, layout.ranks, [*words, *extra, *layout.options()], 1800)[0]
        found.append(json.loads(printed.splitlines()[-1]))
    silent = found[-1]["seconds"] if layout.ranks > 1 else found[0]["seconds"]
    return {
        "layout": layout.name,
        "ranks": layout.ranks,
        "losses": found[0]["losses"],
        "seconds": found[0]["seconds"],
        "share_of_messages": max(0.0, 1.0 - silent / found[0]["seconds"]),
        "bytes": found[0]["bytes"],
    }


def table(rows: list[dict[str, Any]], machine: dict[str, object], steps: int) -> str:
    """Markdown: one line a layout, deviations from the first row."""
    reference = rows[0]["losses"]
    lines = [
        "| layout | processes | largest deviation of a loss | ms a step | messages and waiting | "
        "weights and optimizer of a process |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        deviation = max(abs(a / b - 1) for a, b in zip(row["losses"], reference, strict=True))
        alone = row["ranks"] == 1
        messages = "–" if alone else f"{row['share_of_messages']:.0%}"
        lines.append(
            f"| {row['layout']} | {row['ranks']} | {'–' if alone else f'{deviation:.1e}'} | "
            f"{1000 * row['seconds']:.0f} | {messages} "
            f"| {row['bytes'] / 2**20:.2f} MB |"
        )
    lines += [
        "",
        f"{steps} steps with dropout 0.1, relative to one process. {machine['cores']} cores of "
        f"{machine['processor']} for all processes together, so the times say what messages cost, "
        "not what cards would gain.",
    ]
    return "\n".join(lines)


def write_section(text: str) -> None:
    """Replace the table in docs/parallel.md."""
    document = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    write_text_atomic(DOCUMENT, f"{before}{BEGIN}\n{text}\n{END}{after}")


if __name__ == "__main__":
    sys.exit(main())
