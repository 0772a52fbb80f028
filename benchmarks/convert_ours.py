"""Worker: BERT-base to safetensors or to a `.bin` by our converter."""

from pathlib import Path

from benchmarks.convert_folder import TO_BIN, TO_SAFETENSORS, serve_conversion
from mindmlm.conversion.convert import Conversion, convert

TARGETS = {TO_SAFETENSORS: "huggingface", TO_BIN: "pytorch"}
TOOL = Path(__file__).resolve().parents[1] / "tools" / "convert_checkpoint.py"


def convert_folder(source: Path, output: Path, kind: str) -> None:
    """Convert by a call."""
    convert(Conversion(source, output, TARGETS[kind]))


def command(source: Path, output: Path, kind: str) -> list[str]:
    """Convert as users do."""
    return [str(TOOL), "--input", str(source), "--output", str(output), "--to", TARGETS[kind]]


if __name__ == "__main__":
    serve_conversion(convert_folder, command)
