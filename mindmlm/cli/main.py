"""``python -m mindmlm COMMAND``: the tools around training."""

import argparse
import os
import sys
from collections.abc import Sequence

from mindmlm import __version__
from mindmlm.cli import (
    compare_report,
    convert_config,
    distill_report,
    doctor,
    inspect,
    mask_report,
    report,
    sample,
)
from mindmlm.errors import MindmlmError
from mindmlm.runtime.environment import prepare_environment

COMMANDS = {
    "sample": sample,
    "doctor": doctor,
    "mask-report": mask_report,
    "report": report,
    "compare-report": compare_report,
    "distill-report": distill_report,
    "inspect": inspect,
    "convert-config": convert_config,
}

DESCRIPTION = """\
Tools around training: texts, masks, reports, checkpoints.
Training, evaluation and prediction are started with run_mindformer.py.
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; each module in `COMMANDS` adds its own arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m mindmlm",
        description=DESCRIPTION,
        epilog="'python -m mindmlm COMMAND --help' explains one command, with examples.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mindmlm {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=module.DESCRIPTION,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; a user's error is printed as one message."""
    prepare_environment()
    options = build_parser().parse_args(arguments)
    try:
        code = options.run(options)
        sys.stdout.flush()
    except MindmlmError as error:
        print(f"mindmlm: error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # The reader (head, less) has gone. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13
    return code
