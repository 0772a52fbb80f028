"""What both sides of the conversion benchmarks do: input, output, and what counts as done."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import BertConfig, BertForMaskedLM

from benchmarks.worker import serve

TO_SAFETENSORS, TO_BIN = "safetensors", "bin"


def serve_conversion(
    convert: Callable[[Path, Path, str], None], command: Callable[[Path, Path, str], list[str]]
) -> None:
    """Make the input and serve `convert(input, output, format)`.

    The clock stops when every byte of the output is on the disk (`--unsynchronised`: when the call
    returns), and starts when the disk has nothing left to do from the turns before. With
    `--whole_process` each turn is a process of its own, imports included: Python with the words of
    `command`.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--to", choices=[TO_SAFETENSORS, TO_BIN], default=TO_SAFETENSORS)
    parser.add_argument("--unsynchronised", action="store_true")
    parser.add_argument("--whole_process", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        source, output = Path(root) / "in", Path(root) / "out"
        megabytes = _write_bert_base(source, options.to == TO_BIN)

        def before() -> None:
            shutil.rmtree(output, ignore_errors=True)
            os.sync()

        def work() -> float:
            if options.whole_process:
                words = command(source, output, options.to)
                subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
            else:
                convert(source, output, options.to)
            if not options.unsynchronised:
                _synchronise(output)
            return megabytes

        serve(work, warm_up=1, before=before)


def _synchronise(folder: Path) -> None:
    for path in (*folder.iterdir(), folder, folder.parent):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def _write_bert_base(folder: Path, as_safetensors: bool) -> float:
    """Write a BERT-base with random weights, `config.json` and `vocab.txt`; return megabytes."""
    torch.manual_seed(0)
    model = BertForMaskedLM(BertConfig())
    model.save_pretrained(folder, safe_serialization=as_safetensors)
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens += [f"w{number}" for number in range(model.config.vocab_size - len(tokens))]
    (folder / "vocab.txt").write_text("\n".join(tokens))
    return sum(path.stat().st_size for path in folder.glob("*model.*")) / 1e6
