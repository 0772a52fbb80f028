"""The conversion that people write with transformers: `INPUT OUTPUT safetensors|bin`."""

import sys
from pathlib import Path

from transformers import BertForMaskedLM, BertTokenizer


def convert_folder(source: Path, output: Path, kind: str) -> None:
    """Load a folder and save it."""
    model = BertForMaskedLM.from_pretrained(source)
    model.save_pretrained(output, safe_serialization=kind == "safetensors")
    BertTokenizer.from_pretrained(source).save_pretrained(output)


if __name__ == "__main__":
    convert_folder(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
