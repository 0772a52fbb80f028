"""Worker: BERT-base to safetensors or to a `.bin` by transformers."""

from pathlib import Path

from benchmarks.convert_folder import serve_conversion
from benchmarks.transformers_conversion import convert_folder

SCRIPT = Path(__file__).with_name("transformers_conversion.py")


def command(source: Path, output: Path, kind: str) -> list[str]:
    """Convert by a script that does nothing else."""
    return [str(SCRIPT), str(source), str(output), kind]


if __name__ == "__main__":
    serve_conversion(convert_folder, command)
