"""``python -m mindmlm sample``: write the sample text of the quick start."""

import argparse
import sys
from pathlib import Path

from mindmlm.errors import ConfigError

HELP = "write a sample text to train on"
DESCRIPTION = """\
Write a small text to try things with, one blank line between its documents:
  zh  articles on education in Chinese, shipped with mindmlm, one sentence a line
  en  the language reference that comes with Python (pydoc topics), one paragraph a line

example:
  python -m mindmlm sample --lang zh --output data      writes data/sample_zh.txt
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("--lang", choices=("zh", "en"), default="zh", help="default: zh")
    parser.add_argument(
        "--output", metavar="FOLDER", required=True, help="folder of the file; made when missing"
    )


def run(options: argparse.Namespace) -> int:
    """Write the text and print its path.

    Raises:
        ConfigError: the folder or file cannot be written.
    """
    from mindmlm.data.samples import write_sample

    try:
        path = write_sample(options.lang, Path(options.output))
    except OSError as error:
        raise ConfigError(
            f"--output: {options.output} cannot be written: {error.strerror}"
        ) from None
    lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line]
    print(f"{len(lines):,} lines, {path.stat().st_size:,} bytes", file=sys.stderr)
    print(path)
    return 0
