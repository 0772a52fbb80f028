"""Speed, start-up and memory beside the peers, in one run.

Both sides are processes of their own that take turns, A B A B ..., so a machine whose speed drifts
is fair to both; medians of the turns count. Every result is kept in --results when it is there, so
that --resume goes on with a run that was stopped.

  python benchmarks/run.py bert_base_train_8x128           one
  python benchmarks/run.py train generation --rounds 7     two groups
  python benchmarks/run.py all --resume --write            everything; the table of the README
  python benchmarks/run.py train --check                   is a ratio worse than the stored one?

Stop everything else on the machine first: a ratio survives other processes, a speed does not.
"""

import argparse
import datetime
import json
import os
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from benchmarks import chinese_text, results  # noqa: E402
from benchmarks.catalogue import catalogue, select  # noqa: E402
from benchmarks.harness import Benchmark, run_benchmark  # noqa: E402
from benchmarks.machine import describe_machine  # noqa: E402
from mindmlm.runtime.files import write_text_atomic  # noqa: E402

DOCUMENT = PROJECT / "benchmarks" / "README.md"
STORED = PROJECT / "benchmarks" / "results.json"


def main() -> int:
    """Run what was named; 1 = --check found a ratio that fell, 2 = a name is wrong."""
    parser = _parser()
    options = parser.parse_args()
    for variable, path in (
        (chinese_text.TEXT_VARIABLE, options.text),
        (chinese_text.VOCABULARY_VARIABLE, options.vocab),
    ):
        if path is not None:
            os.environ[variable] = str(path.resolve(strict=True))
    if options.sentences:
        os.environ[chinese_text.SENTENCES_VARIABLE] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")])
    try:
        chosen = select(catalogue(chinese_text.name()), options.names)
    except ValueError as error:
        parser.error(str(error))
    records = _measured(chosen, options)
    # Before the stored ratios are replaced.
    code = _check(records, options.tolerance) if options.check else 0
    if options.write:
        _write(records)
    return code


def _parser() -> argparse.ArgumentParser:
    lines = []
    for group, members in catalogue("the Chinese text").items():
        lines += [f"{group}:", *(f"  {name}: {one.title}" for name, one in members.items())]
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="groups and their benchmarks (step time by layout is benchmarks/layouts.py):\n"
        + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("names", nargs="+", metavar="NAME", help="benchmarks, groups, or all")
    add("--rounds", type=int, default=5, help="turns of each side (default 5)")
    add("--json", action="store_true", help="one JSON object a benchmark, not text")
    add(
        "--results",
        type=Path,
        default=PROJECT / "output" / "benchmarks.jsonl",
        help="every result goes there at once (output/benchmarks.jsonl)",
    )
    add("--resume", action="store_true", help="skip what --results has with so many rounds")
    add("--write", action="store_true", help="into benchmarks/results.json and README.md")
    add("--check", action="store_true", help="compare with benchmarks/results.json, by ratio")
    add("--tolerance", type=float, default=0.1, help="part of a ratio that may be lost (0.1)")
    add("--text", type=Path, help="Chinese text, a line an example (default: mindmlm's sample)")
    add("--sentences", action="store_true", help="give every sentence of it a line")
    add("--vocab", type=Path, help="vocab.txt for it (default: one trained on the text)")
    return parser


def _measured(chosen: dict[str, Benchmark], options: argparse.Namespace) -> list[results.Record]:
    """A record for each benchmark, from --results where it may be."""
    done = results.read_lines(options.results) if options.resume else {}
    common = {
        "rounds": options.rounds,
        "corpus": chinese_text.name(),
        "machine": json.loads(json.dumps(describe_machine())),
    }
    records = []
    for name, benchmark in chosen.items():
        record = done.get(name)
        if record is None or any(record[key] != value for key, value in common.items()):
            record = _record(name, benchmark, common)
            results.append_line(options.results, record)
        print(json.dumps(record) if options.json else results.text_of(record), flush=True)
        records.append(record)
    return records


def _record(name: str, benchmark: Benchmark, common: dict[str, Any]) -> results.Record:
    result = run_benchmark(name, benchmark, common["rounds"])
    return {
        **result.to_dict(),
        "title": benchmark.title,
        "peer_name": benchmark.peer_name,
        "date": datetime.date.today().isoformat(),
        **common,
    }


def _stored() -> dict[str, results.Record]:
    return json.loads(STORED.read_text(encoding="utf-8")) if STORED.is_file() else {}


def _write(records: list[results.Record]) -> None:
    """Store the records over older ones of the same names; the table shows all that are stored."""
    stored = _stored() | {record["name"]: record for record in records}
    text = json.dumps(stored, indent=1, ensure_ascii=False, sort_keys=True)
    write_text_atomic(STORED, text + "\n")
    document = DOCUMENT.read_text(encoding="utf-8")
    text = results.section(stored.values())
    write_text_atomic(DOCUMENT, results.put_between(document, text))


def _check(records: list[results.Record], tolerance: float) -> int:
    stored = _stored()
    unknown = [record["name"] for record in records if record["name"] not in stored]
    if unknown:
        print(f"not stored, so not compared: {', '.join(unknown)}", file=sys.stderr)
    fallen = results.regressions(stored, records, tolerance)
    print("\n".join(["ratios that fell:", *fallen] if fallen else ["no ratio fell"]))
    return 1 if fallen else 0


if __name__ == "__main__":
    sys.exit(main())
