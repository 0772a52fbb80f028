"""Small RoBERTas of transformers with random weights, and vocabularies for them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mindmlm.testing.tiny_bert import SHAPE
from mindmlm.tokenizers.byte_level import MERGES_NAME, VOCAB_NAME
from mindmlm.tokenizers.byte_level_bpe import END_OF_TEXT, train_byte_level_bpe
from mindmlm.tokenizers.roberta import OF_ROBERTA, RobertaTokenizer

TEXTS = ("the cat sat on the mat, the hat", "今天天气很好，今天很好", "It's a naïve café.") * 3
TOKENS = 290
# Special tokens of RoBERTa's own vocabulary that stand for nothing (fairseq pads it to 8 x n).
_MADE_UP = tuple(f"madeupword{number:04}" for number in range(3))


def trained_tokenizer(texts: Sequence[str] = TEXTS, tokens: int = TOKENS) -> RobertaTokenizer:
    """Return a tokenizer that was trained on texts."""
    return RobertaTokenizer.of_bpe(train_byte_level_bpe(texts, tokens, OF_ROBERTA))


def from_gpt2(vocab_file: Path, merges_file: Path, folder: Path) -> tuple[Path, Path]:
    """Write RoBERTa's vocabulary of 50,265 tokens, which is made of GPT-2's; return its files.

    Apart from the order of the ordinary tokens it is that of roberta-base.
    """
    gpt2 = json.loads(vocab_file.read_text(encoding="utf-8"))
    ordinary = [token for token in sorted(gpt2, key=gpt2.__getitem__) if token != END_OF_TEXT]
    vocab = [*OF_ROBERTA.first, *ordinary, END_OF_TEXT, *_MADE_UP, *OF_ROBERTA.last]
    ids = {token: place for place, token in enumerate(vocab)}
    (folder / VOCAB_NAME).write_text(json.dumps(ids), encoding="utf-8")
    (folder / MERGES_NAME).write_bytes(merges_file.read_bytes())
    return folder / VOCAB_NAME, folder / MERGES_NAME


def huggingface_roberta(vocab_size: int, seed: int = 0, **settings: Any) -> Any:
    """Return a `RobertaForMaskedLM` of transformers whose every weight is random."""
    import torch
    import transformers

    torch.manual_seed(seed)
    shape = {**SHAPE, "max_position_embeddings": 22, "type_vocab_size": 1, **settings}
    model = transformers.RobertaForMaskedLM(
        transformers.RobertaConfig(vocab_size=vocab_size, **shape)
    ).eval()
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.2)
    return model


def save_huggingface(model: Any, folder: Path, tokenizer: RobertaTokenizer, **options: Any) -> Path:
    """Save a model with a tokenizer as transformers does; returns the folder."""
    import transformers

    model.save_pretrained(folder, **options)
    for name, text in tokenizer.texts().items():
        (folder / name).write_text(text, encoding="utf-8")
    names = {"vocab_file": folder / VOCAB_NAME, "merges_file": folder / MERGES_NAME}
    theirs = transformers.RobertaTokenizerFast(**{key: str(path) for key, path in names.items()})
    theirs.save_pretrained(folder)
    return folder
