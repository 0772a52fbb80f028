"""``python -m mindmlm convert-config``: a YAML of MindFormers r0.3 becomes one of ours."""

import argparse
from collections import Counter
from pathlib import Path

from mindmlm.config import load_config
from mindmlm.config.from_mindformers import Converted, convert
from mindmlm.errors import ConfigError
from mindmlm.runtime.files import write_text_atomic

HELP = "convert a YAML of MindFormers r0.3 to one of mindmlm"
DESCRIPTION = """\
Convert a YAML of MindFormers r0.3 for BERT, GPT-2 or question answering (with the files of its
base_config) to one self-contained YAML of mindmlm, and print what became of every key: renamed,
moved, changed, dropped, added (where MindFormers' default is not ours) or unknown, with the reason.
Keys that are not named went over as they were. What would make another training run of it is
refused with file, line and key; nothing is written then. The exit code is 1 where the new file
still needs a repair before a dry run passes, such as a path that is not on this machine.

examples:
  python -m mindmlm convert-config run_bert_base_uncased.yaml --output bert.yaml
  python run_mindformer.py --config bert.yaml --dry_run
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("old", metavar="OLD", type=Path, help="the YAML of MindFormers r0.3")
    parser.add_argument(
        "--output", metavar="NEW", type=Path, help="the file to write; without it nothing is"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace NEW if it exists")


def run(options: argparse.Namespace) -> int:
    """Convert, write and check.

    Returns:
        0; 1 when the new file does not pass a dry run yet.

    Raises:
        ConfigError: the old file cannot be converted, or the new one exists.
    """
    if options.output and options.output.exists() and not options.overwrite:
        raise ConfigError(f"{options.output}: exists already; add --overwrite, or choose another")
    converted = convert(options.old)
    for line in converted.report():
        print(line)
    print(_summary(converted))
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        header = f"# converted by mindmlm from {options.old.name} of MindFormers r0.3\n"
        write_text_atomic(options.output, header + converted.yaml())
        print(f"wrote {options.output}")
    else:
        print("nothing was written; add --output NEW.yaml")
    return _check(converted)


def _check(converted: Converted) -> int:
    """Say what is missing and what is wrong; places are those of the old file."""
    try:
        loaded = load_config(None, layers=[converted.layer()], require_inputs=False)
    except ConfigError as error:
        for line in str(error).splitlines():
            print(f"to repair: {line}")
        return 1
    for note in loaded.notes:
        print(f"still missing: {note}")
    return 0


def _summary(converted: Converted) -> str:
    counts = Counter(change.kind for change in converted.changes)
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())
