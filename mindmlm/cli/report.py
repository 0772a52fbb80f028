"""``python -m mindmlm report``: what a training run achieved."""

import argparse
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindmlm.errors import ConfigError, DataError

if TYPE_CHECKING:
    from mindmlm.training.history import Evaluation, History

HELP = "show what a training run achieved, and draw its loss curve"
DESCRIPTION = """\
Show what a training run achieved: perplexity and accuracy on the held-out text before and after,
sentences with a blank and the words that the model puts there; and draw loss_curve.png.

examples:
  python -m mindmlm report output
  python -m mindmlm report output --predict_data blanks.txt   your own sentences, one a line
  python -m mindmlm report output --json                      for programs
"""

TOP = 3
RESOURCES = Path(__file__).resolve().parents[1] / "resources"
FILES = {
    "config.yaml": "the resolved configuration",
    "metrics.jsonl": "a line for every step and evaluation",
    "loss_curve.png": "the curve of the losses",
    "vocab.txt": "the vocabulary",
    "checkpoint": "weights and optimizer state",
    "log": "the log",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("output_dir", metavar="OUTPUT_DIR", help="output folder of a run")
    parser.add_argument(
        "--predict_data",
        metavar="FILE",
        help="sentences with [MASK], one a line; default: five on the sample texts",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Print the report.

    Raises:
        ConfigError, DataError, CheckpointError: there is no finished run, or it cannot be used.
    """
    content = report(Path(options.output_dir), options.predict_data)
    print(json.dumps(content, indent=2, ensure_ascii=False) if options.json else as_text(content))
    return 0


def report(output_dir: Path, predict_data: str | None = None) -> dict[str, Any]:
    """Draw the loss curve of a run and return its results, in JSON's types.

    Raises:
        ConfigError, DataError, CheckpointError: see their messages.
    """
    from mindmlm.training.history import read_history

    if not output_dir.is_dir():
        raise DataError(f"{output_dir}: no such folder; name the --output_dir of a run")
    history = read_history(output_dir / "metrics.jsonl")
    cloze = _predict(output_dir, predict_data)
    _draw(history, output_dir)
    return {
        "output_dir": str(output_dir),
        "steps": int(history.steps[-1]),
        "tokens_per_second": _median_speed(history),
        "before": _plain(history.before),
        "after": _plain(history.after),
        "best": _plain(history.best),
        "cloze": cloze,
        "files": {name: text for name, text in FILES.items() if (output_dir / name).exists()},
    }


def _predict(output_dir: Path, predict_data: str | None) -> list[dict[str, Any]]:
    """Fill the blanks with the newest checkpoint; on the CPU's or card's own choice of device."""
    from mindmlm import jobs
    from mindmlm.config import load_config

    config_file = output_dir / "config.yaml"
    if not config_file.is_file():
        raise ConfigError(f"{config_file}: no such file; name the --output_dir of a run")
    if predict_data is not None and not Path(predict_data).is_file():
        raise ConfigError(f"--predict_data: {predict_data}: no such file")
    flags: dict[str, object] = {
        "run_mode": "predict",
        "output_dir": str(output_dir),
        "load_checkpoint": str(output_dir),
        "vocab_file": str(output_dir / "vocab.txt"),
        "predict_data": predict_data or str(RESOURCES / "cloze_en.txt"),
    }
    loaded = load_config(config_file, flags=flags)
    if predict_data is None and loaded.config.processor.segmenter == "jieba":
        flags["predict_data"] = str(RESOURCES / "cloze_zh.txt")
        loaded = load_config(config_file, flags=flags)
    return jobs.predict(loaded)


def _draw(history: "History", output_dir: Path) -> None:
    from mindmlm.training.curves import save_loss_curve

    path = output_dir / "loss_curve.png"
    try:
        save_loss_curve(history, path, f"Masked-language modelling: {output_dir.resolve().name}")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None


def _median_speed(history: "History") -> float | None:
    import numpy as np

    return _finite(float(np.nanmedian(history.tokens_per_second)))


def _plain(evaluation: "Evaluation") -> dict[str, Any]:
    values = asdict(evaluation)
    values |= values.pop("measures")
    return {
        name: _finite(value) if isinstance(value, float) else value
        for name, value in values.items()
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


# Measures that have rows of their own, or none.
_OTHER_ROWS = ("step", "loss", "perplexity")


def as_text(content: dict[str, Any]) -> str:
    """Return the report for people."""
    columns = [content["before"], content["after"], content["best"]]
    titles = [f"step {column['step']:,}" for column in columns]
    rows = [
        ["", "before", "after", "best"],
        ["", *titles],
        ["held-out perplexity", *(_shown(item["perplexity"], "{:,.1f}") for item in columns)],
    ]
    rows += [_measure(name, columns) for name in columns[0] if name not in _OTHER_ROWS]
    lines = ["", "Result on the held-out text"]
    lines += ["  " + row[0].ljust(20) + "".join(cell.rjust(12) for cell in row[1:]) for row in rows]
    speed = _shown(content["tokens_per_second"], "{:,.0f}")
    lines += ["", f"{content['steps']:,} steps at {speed} tokens/s (median)"]
    lines += ["", "What the model puts into the blanks"]
    for sentence in content["cloze"]:
        lines += _sentence(sentence)
    lines += ["", "Where everything is"]
    root = Path(content["output_dir"])
    width = max(len(str(root / name)) for name in content["files"])
    lines += [f"  {root / name!s:<{width}}  {text}" for name, text in content["files"].items()]
    return "\n".join(lines)


def _measure(name: str, columns: list[dict[str, Any]]) -> list[str]:
    form = "{:.1%}" if name.endswith("accuracy") else "{:,.1f}"
    return [name.replace("_", " "), *(_shown(item[name], form) for item in columns)]


def _shown(value: float | None, form: str) -> str:
    return "not finite" if value is None else form.format(value)


def _sentence(sentence: dict[str, Any]) -> list[str]:
    """The sentence with its blanks filled, then the candidates of each blank."""
    filled = sentence["text"]
    lines = []
    for blank in sentence["blanks"]:
        candidates = blank["candidates"][:TOP]
        filled = filled.replace("[MASK]", f"[{candidates[0]['token']}]", 1)
        lines.append(
            "    " + "   ".join(f"{item['token']} {item['score']:.0%}" for item in candidates)
        )
    return [f"  {filled}", *lines]
