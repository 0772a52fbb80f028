"""The tokenizer of a folder: reading it, and writing it as transformers expects it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindmlm.conversion.json_files import read_json_object
from mindmlm.errors import CheckpointError
from mindmlm.tokenizers.bert import (
    CLS,
    MASK,
    PAD,
    SEP,
    SPECIAL_TOKENS,
    UNK,
    BertTokenizer,
    read_vocab,
)

VOCAB_NAME = "vocab.txt"
_TOKENIZER_NAME = "tokenizer.json"
_CONFIG_NAME = "tokenizer_config.json"


@dataclass(frozen=True)
class TokenizerFiles:
    """A vocabulary and how texts are cleaned for it; `notes` says what was concluded from what."""

    tokens: list[str]
    do_lower_case: bool
    notes: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """Return the fingerprint that a checkpoint carries."""
        return BertTokenizer(self.tokens, self.do_lower_case).fingerprint()


def read_tokenizer(
    folder: Path, vocab_file: Path | None = None, do_lower_case: bool | None = None
) -> TokenizerFiles | None:
    """Return the tokenizer in ``folder``, or None when there is none.

    Args:
        folder: with `vocab.txt` or `tokenizer.json`, and perhaps `tokenizer_config.json`.
        vocab_file: is taken in place of the folder's vocabulary.
        do_lower_case: is taken in place of what the folder says.

    Raises:
        CheckpointError: `tokenizer.json` is not a WordPiece vocabulary.
        DataError: the vocabulary is damaged.
    """
    tokens = _tokens(folder, vocab_file)
    if tokens is None:
        return None
    settings = _settings(folder)
    notes = [
        f"{_CONFIG_NAME} sets {key}: {settings[key]}, which the tokenizer here does not do"
        for key, usual in (("strip_accents", None), ("tokenize_chinese_chars", True))
        if settings.get(key, usual) != usual
    ]
    lower = settings.get("do_lower_case") if do_lower_case is None else do_lower_case
    if not isinstance(lower, bool):
        capitals = any(
            t != t.lower() for t in tokens if not (t.startswith("[") and t.endswith("]"))
        )
        lower = not capitals
        seen = "has" if capitals else "has no"
        notes.append(f"do_lower_case {lower}: not given, and the vocabulary {seen} capital letters")
    return TokenizerFiles(tokens, lower, tuple(notes))


def _tokens(folder: Path, vocab_file: Path | None) -> list[str] | None:
    path = vocab_file or folder / VOCAB_NAME
    if vocab_file or path.is_file():
        return read_vocab(path)
    if not (folder / _TOKENIZER_NAME).is_file():
        return None
    path = folder / _TOKENIZER_NAME
    model = read_json_object(path).get("model")
    vocab = model.get("vocab") if isinstance(model, dict) else None
    if (
        not isinstance(model, dict)
        or model.get("type") != "WordPiece"
        or not isinstance(vocab, dict)
    ):
        raise CheckpointError(f"{path}: holds no WordPiece vocabulary; name one with --vocab_file")
    if sorted(vocab.values(), key=str) != sorted(range(len(vocab)), key=str):
        raise CheckpointError(f"{path}: the ids of its vocabulary are not 0, 1, 2, ...")
    tokens = sorted(vocab, key=lambda token: vocab[token])
    missing = [token for token in SPECIAL_TOKENS if token not in vocab]
    if missing:
        raise CheckpointError(f"{path}: {', '.join(missing)} missing in its vocabulary")
    return tokens


def _settings(folder: Path) -> dict[str, Any]:
    if (folder / _CONFIG_NAME).is_file():
        return read_json_object(folder / _CONFIG_NAME)
    return {}


def tokenizer_texts(files: TokenizerFiles, max_length: int) -> dict[str, str]:
    """Return the files that transformers' `BertTokenizer` reads: name -> content."""
    special = {
        "pad_token": PAD,
        "unk_token": UNK,
        "cls_token": CLS,
        "sep_token": SEP,
        "mask_token": MASK,
    }
    settings = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": files.do_lower_case,
        "model_max_length": max_length,
        "strip_accents": None,
        "tokenize_chinese_chars": True,
        **special,
    }
    return {
        VOCAB_NAME: "".join(f"{token}\n" for token in files.tokens),
        _CONFIG_NAME: json.dumps(settings, indent=2, ensure_ascii=False) + "\n",
        "special_tokens_map.json": json.dumps(special, indent=2) + "\n",
    }
