"""The input of the conversion benchmarks: a BERT-base with random weights in a `.bin`."""

from pathlib import Path

import torch
from transformers import BertConfig, BertForMaskedLM


def write_bert_base(folder: Path) -> float:
    """Write `pytorch_model.bin`, `config.json` and `vocab.txt`; return the megabytes of weights."""
    torch.manual_seed(0)
    model = BertForMaskedLM(BertConfig())
    folder.mkdir()
    model.config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens += [f"w{number}" for number in range(model.config.vocab_size - len(tokens))]
    (folder / "vocab.txt").write_text("\n".join(tokens))
    return (folder / "pytorch_model.bin").stat().st_size / 1e6
