"""``python -m mindmlm compare-report``: what a run has learned, and what it has forgotten."""

import argparse
import json
from pathlib import Path

from mindmlm.errors import ConfigError

HELP = "compare a run's model before and after: its domain, its terms, and what was forgotten"
DESCRIPTION = """\
Judge the model that a run began with and the model it has made, on the same text with the same
hidden tokens, and say what the training was worth:

  domain text    is the text that the model was trained for known better?
  domain terms   are words of your field guessed when they are hidden?
  general text   what has become worse elsewhere (forgetting)?

The result is a table here, compare_report.json for programs and compare_report.html for people, in
OUTPUT_DIR; the page needs no other file.

examples:
  python -m mindmlm compare-report output/news
      on the text that the run held out
  python -m mindmlm compare-report output/news \\
      --domain_text cases.txt --general_text wiki.txt --terms terms.txt
      cases.txt and wiki.txt: a text a line, none of it in the training text; terms.txt: a term
      a line
  python -m mindmlm compare-report output/news --general_text wiki.txt --after best
      the checkpoint with the lowest held-out loss, not the last one
  python -m mindmlm compare-report output/news --before bert-base-chinese/
      beside a model of your choice with the same vocabulary
"""
JSON_NAME, PAGE_NAME = "compare_report.json", "compare_report.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    add = parser.add_argument
    add("output_dir", metavar="OUTPUT_DIR", help="output folder of a run")
    add(
        "--domain_text",
        default="",
        metavar="FILE",
        help="text of the domain, a file or folder; default: the text that the run held out",
    )
    add(
        "--general_text",
        default="",
        metavar="FILE",
        help="text of other kinds, to see what was forgotten; default: none",
    )
    add("--terms", default="", metavar="FILE", help="terms of the domain, one a line (BERT)")
    add(
        "--before",
        default="",
        metavar="CHECKPOINT",
        help="default: what the run began with, a checkpoint or its own first weights",
    )
    add(
        "--after",
        default="last",
        metavar="CHECKPOINT",
        help="last (default), best (of those that are kept, by held-out loss), or the path of one",
    )
    add("--num_samples", type=int, metavar="N", help="read only so many lines of each text")
    add("--json", action="store_true", help="print the JSON, not the table")


def run(options: argparse.Namespace) -> int:
    """Compare, write both files, print the table.

    Raises:
        ConfigError, DataError, CheckpointError: there is no run, or something does not fit.
    """
    from mindmlm.jobs.comparison import ComparisonSettings, compare
    from mindmlm.runtime.files import write_text_atomic
    from mindmlm.training.comparison_page import comparison_page

    if options.num_samples is not None and options.num_samples < 1:
        raise ConfigError("--num_samples: expected a whole number from 1")
    folder = Path(options.output_dir)
    names = ("domain_text", "general_text", "terms", "before", "after", "num_samples")
    given = {name: getattr(options, name) for name in names}
    comparison = compare(ComparisonSettings(folder, **given))
    content = json.dumps(comparison.to_dict(), indent=2, ensure_ascii=False)
    try:
        write_text_atomic(folder / JSON_NAME, content + "\n")
        write_text_atomic(folder / PAGE_NAME, comparison_page(comparison))
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error.strerror}") from None
    print(content if options.json else f"{comparison.as_text()}\n\n{folder / PAGE_NAME}")
    return 0
