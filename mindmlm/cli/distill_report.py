"""``python -m mindmlm distill-report``: a student beside its teacher."""

import argparse
import json
from pathlib import Path

from mindmlm.errors import ConfigError

HELP = "show a student beside its teacher: size, speed, held-out perplexity"
DESCRIPTION = """\
Measure the newest checkpoint of a distillation and its teacher on the text that the run held out:
parameters, bytes, rows a second of the forward pass, perplexity and accuracy. The table is written
to distill_report.txt, the numbers to distill_report.json, in OUTPUT_DIR.

examples:
  python -m mindmlm distill-report output/student
  python -m mindmlm distill-report output/student --json     for programs
"""
JSON_NAME, TEXT_NAME = "distill_report.json", "distill_report.txt"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("output_dir", metavar="OUTPUT_DIR", help="output folder of a distillation")
    parser.add_argument("--json", action="store_true", help="print the JSON, not the table")


def run(options: argparse.Namespace) -> int:
    """Measure, write both files, print one.

    Raises:
        ConfigError, DataError, CheckpointError: there is no such run, or its teacher is not there.
    """
    from mindmlm.jobs.distillation_report import as_text, report_distillation
    from mindmlm.runtime.files import write_text_atomic

    folder = Path(options.output_dir)
    report = report_distillation(folder)
    text, content = as_text(report), json.dumps(report.to_dict(), indent=2, ensure_ascii=False)
    try:
        write_text_atomic(folder / TEXT_NAME, text + "\n")
        write_text_atomic(folder / JSON_NAME, content + "\n")
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error.strerror}") from None
    print(content if options.json else text)
    return 0
