"""What was measured: kept while a run goes on, shown as a table, compared with what is stored.

A record is a `Result` as a dictionary with `title`, `peer_name`, `rounds`, `date`, `corpus` and
`machine`.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- table of run.py -->", "<!-- end of the table of run.py -->"
Record = dict[str, Any]


def read_lines(path: Path) -> dict[str, Record]:
    """Records of a file with one in each line, by name; the last of a name counts.

    A line that a killed run left incomplete is passed over. No file, no records.
    """
    found = {}
    for line in path.read_text(encoding="utf-8").split("\n") if path.is_file() else ():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[record["name"]] = record
    return found


def append_line(path: Path, record: Record) -> None:
    """Add a record to the file; the folder is made when missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        # The first end of a line is that of one that a killed run left incomplete.
        file.write("\n" + json.dumps(record, ensure_ascii=False) + "\n")


def regressions(stored: Mapping[str, Record], now: Iterable[Record], tolerance: float) -> list[str]:
    """A line for each record whose ratio fell by more than a part of the stored one.

    Ratios are compared, never speeds, because the machines differ.

    Args:
        stored: by name; a record that is not there has nothing to be compared with.
        now: what was measured.
        tolerance: 0.1 = a tenth of the stored ratio may be lost.
    """
    found = []
    for record in now:
        before = stored.get(record["name"])
        if before and record["ratio"] < before["ratio"] * (1.0 - tolerance):
            change = record["ratio"] / before["ratio"] - 1.0
            found.append(
                f"{record['name']}: {record['ratio']:.2f} x, stored {before['ratio']:.2f} x "
                f"({change:+.0%})"
            )
    return found


def text_of(record: Record) -> str:
    """A record for people, several lines."""
    note = ", lower is better" if record["lower_is_better"] else ""
    return (
        f"{record['name']}: {record['title']}\n"
        f"  ours  {_number(record['ours']):>10} {record['unit']}{note}\n"
        f"  peer  {_number(record['peer']):>10} {record['unit']}  ({record['peer_name']})\n"
        f"  ratio {record['ratio']:>10.2f} x"
    )


def section(records: Iterable[Record]) -> str:
    """Markdown: for every machine what it is, when and how it was measured, and a table."""
    machines: dict[str, list[Record]] = {}
    for record in records:
        machines.setdefault(json.dumps(record["machine"], sort_keys=True), []).append(record)
    return "\n\n".join(f"{_heading(rows)}\n\n{_table(rows)}" for rows in machines.values())


def put_between(document: str, text: str) -> str:
    """The document with `text` between its two marker comments.

    Raises:
        ValueError: it does not have both of them.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document has no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def _heading(rows: list[Record]) -> str:
    machine = rows[0]["machine"]
    dates = sorted({row["date"] for row in rows})
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    rounds = ", ".join(str(number) for number in sorted({row["rounds"] for row in rows}))
    return (
        f"{when}; {machine['cores']} cores of {machine['processor']}, {machine['memory_gb']} GB, "
        f"{machine['system']}, Python {machine['python']}, {packages}. Medians of {rounds} "
        f"alternating rounds: `python benchmarks/run.py NAME --rounds {rows[-1]['rounds']}`."
    )


def _table(rows: list[Record]) -> str:
    lines = ["| name | what | ours | peer | unit | × |", "| --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        unit = row["unit"] + (", lower is better" if row["lower_is_better"] else "")
        lines.append(
            f"| `{row['name']}` | {row['title']}; peer: {row['peer_name']} | "
            f"{_number(row['ours'])} | {_number(row['peer'])} | {unit} | {row['ratio']:.2f} |"
        )
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.2f}" if value < 10 else f"{value:.1f}"
