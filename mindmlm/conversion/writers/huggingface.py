"""A folder that transformers' `from_pretrained` loads: weights, description, tokenizer, card."""

import json
import math
from pathlib import Path

from mindmlm.checkpoint.shards import stream_safetensors
from mindmlm.conversion.converted_model import Exported
from mindmlm.conversion.distilbert import ARCHITECTURE as DISTILBERT
from mindmlm.conversion.folder_checksums import CARD_NAME, write_checksums
from mindmlm.conversion.model_config import AnySettings, huggingface_config
from mindmlm.conversion.tokenizer_files import TokenizerFiles, tokenizer_texts
from mindmlm.conversion.writers.model_card import model_card
from mindmlm.runtime.files import new_file
from mindmlm.tokenizers.bert import PAD
from mindmlm.tokenizers.byte_level_bpe import END_OF_TEXT
from mindmlm.tokenizers.files import GPT2

WEIGHTS_NAME = "model.safetensors"
# transformers refuses a file that does not say which library's layout it has.
METADATA = {"format": "pt"}
# BERT's, but it gives no token types, which the model does not take.
DISTILBERT_TOKENIZER = "DistilBertTokenizer"


def write_huggingface(
    folder: Path,
    tensors: Exported,
    settings: AnySettings,
    architecture: str,
    tokenizer: TokenizerFiles | None,
    name: str,
    origin: str,
) -> None:
    """Fill ``folder``: weights, `config.json`, tokenizer files, `README.md`, `sha256sums.txt`.

    Args:
        folder: empty.
        tensors: under transformers' names.
        settings: of the model, with `vocab_size`.
        architecture: name of the model, which is the same there.
        tokenizer: None leaves its files out.
        name: title of the model card.
        origin: a sentence on where the weights come from, or "".

    Raises:
        CheckpointError: transformers has no such model.
        OSError: a file cannot be written.
    """
    texts = description_texts(settings, architecture, tokenizer)
    size = sum(math.prod(spec.shape) for spec in tensors.specs.values())
    texts[CARD_NAME] = model_card(settings, architecture, size, name, origin)
    record = stream_safetensors(folder / WEIGHTS_NAME, tensors.specs, tensors.read, METADATA)
    for file_name, text in texts.items():
        with new_file(folder / file_name) as file:
            file.write(text.encode("utf-8"))
    write_checksums(folder, {WEIGHTS_NAME: record.sha256})


def description_texts(
    settings: AnySettings, architecture: str, tokenizer: TokenizerFiles | None
) -> dict[str, str]:
    """Return `config.json` and the tokenizer's files: name -> content.

    Raises:
        CheckpointError: transformers has no such model.
    """
    assert settings.vocab_size is not None
    special = _special_id(tokenizer) if tokenizer else None
    config = huggingface_config(settings, settings.vocab_size, special, architecture)
    config["architectures"] = [architecture]
    texts = {"config.json": json.dumps(config, indent=2) + "\n"}
    if tokenizer:
        kind = DISTILBERT_TOKENIZER if architecture == DISTILBERT else tokenizer.kind
        texts |= tokenizer_texts(tokenizer, settings.longest_row, kind)
    return texts


def _special_id(files: TokenizerFiles) -> int | None:
    """Return the id of the token that `config.json` names: [PAD], or the end of a text."""
    return files.tokenizer.token_to_id(END_OF_TEXT if files.kind == GPT2 else PAD)
