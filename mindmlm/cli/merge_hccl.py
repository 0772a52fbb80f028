"""The command behind `tools/merge_hccl.py`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mindmlm.cli.hccl_tools import default_name, write_table
from mindmlm.errors import MindmlmError
from mindmlm.runtime import rank_table

_DESCRIPTION = """\
Join the rank tables of several machines into the one that all of them need.

The servers keep the order of the files, the ranks are numbered anew through all of them. Copy the
result to every machine: it has to be the same everywhere.
"""
_EXAMPLES = """\
example:
  python tools/merge_hccl.py machine1.json machine2.json machine3.json machine4.json
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="merge_hccl.py",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="tables of tools/hccl_tools.py"
    )
    parser.add_argument(
        "--output", type=Path, help="the file to write; default hccl_4s_32p.json, by its content"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = build_parser().parse_args(argv)
    try:
        table = rank_table.merge([rank_table.read(path) for path in options.files])
        path = options.output or Path(default_name(table))
        write_table(table, path)
    except MindmlmError as error:
        print(f"merge_hccl.py: error: {error}", file=sys.stderr)
        return error.exit_code
    print(path)
    return 0
