"""The command behind `tools/plan_parallel.py`."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace

from mindmlm.config import load_config
from mindmlm.config.schema import RunConfig
from mindmlm.config.schema.memory import parse_memory
from mindmlm.errors import ConfigError, MindmlmError
from mindmlm.planning.device import DEVICES, Device
from mindmlm.planning.layouts import overview
from mindmlm.planning.report import json_report, text_report
from mindmlm.planning.teacher import planned_teacher

_DESCRIPTION = """\
Compare all ways to divide a training run over cards, without a card and without weights.

For every data_parallel x model_parallel x pipeline_stage that makes --num_devices: bytes of the
fullest rank, how long stages wait, what is sent, how long a step may take; why a layout does not
fit; and the parallel_config to use. The global batch stays that of the configuration.

Bytes of parameters, gradients and optimizer are exact. Activations follow formulas, seconds follow
from the data sheet of a device: both are for comparing layouts, not for promising anything.
"""
_EXAMPLES = """\
examples:
  python tools/plan_parallel.py configs/gpt2/run_gpt2_13b.yaml --num_devices 32 --device_memory 32GB
  python tools/plan_parallel.py run.yaml --num_devices 16 --device_memory 64GB --device ascend910b
  python tools/plan_parallel.py run.yaml --num_devices 8 --device_memory 24GB --tflops 90 --json
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="plan_parallel.py",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", metavar="CONFIG", help="YAML file of a run")
    parser.add_argument("--num_devices", type=int, required=True, help="cards of the job")
    parser.add_argument(
        "--device_memory",
        type=_memory,
        required=True,
        help="memory of a card, such as 32GB; context.max_device_memory counts where it is less",
    )
    parser.add_argument(
        "--options",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="values in place of the file's",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, in bytes and seconds")
    device = parser.add_argument_group("the device, for the seconds of a step")
    device.add_argument(
        "--device", choices=sorted(DEVICES), default="ascend910", help="default: %(default)s"
    )
    fields = {
        "tflops": "10^12 float operations a second of matrix products",
        "efficiency": "share of them that training reaches, above 0 to 1",
        "bandwidth": "GB a second between cards of one machine",
        "network": "GB a second of a card to another machine",
    }
    for name, words in fields.items():
        device.add_argument(f"--{name}", type=_positive, help=words)
    device.add_argument("--per_machine", type=int, help="cards of a machine; default 8")
    return parser


def _memory(text: str) -> int:
    try:
        return parse_memory(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = build_parser()
    words = parser.parse_args(argv)
    if words.num_devices < 1:
        parser.error(f"--num_devices: expected at least 1, got {words.num_devices}")
    try:
        options = ["use_parallel=True", *words.options]
        config = load_config(words.config, options, require_inputs=False).config
        limit = min(words.device_memory, _own_limit(config) or words.device_memory)
        found = overview(config, _vocabulary(config), words.num_devices, _device(words), limit)
    except MindmlmError as error:
        print(f"plan_parallel.py: error: {error}", file=sys.stderr)
        return error.exit_code
    if words.json:
        print(json.dumps(json_report(found, config), indent=2))
    else:
        print(text_report(found, config))
    return 0 if found.best is not None else 1


def _own_limit(config: RunConfig) -> int | None:
    text = config.context.max_device_memory
    return parse_memory(text) if text else None


def _vocabulary(config: RunConfig) -> int:
    """Rows of the word embedding; of a vocabulary that is yet to be trained, its largest size.

    A student has its teacher's vocabulary.
    """
    teacher = planned_teacher(config)
    if teacher is not None:
        return teacher.vocab_size
    return config.model.settings.vocab_size or config.processor.tokenizer.train_vocab_size


def _device(words: argparse.Namespace) -> Device:
    names = ("tflops", "efficiency", "bandwidth", "network", "per_machine")
    given = {name: value for name in names if (value := getattr(words, name)) is not None}
    device = replace(DEVICES[words.device], **given)
    if device.efficiency > 1 or device.per_machine < 1:
        raise ConfigError("--efficiency is at most 1 and --per_machine at least 1")
    return device
