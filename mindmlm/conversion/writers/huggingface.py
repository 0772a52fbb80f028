"""A folder that transformers' `from_pretrained` loads: weights, description, tokenizer, card."""

import json
import math
from pathlib import Path

from mindmlm import __version__
from mindmlm.checkpoint.shards import stream_safetensors
from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.conversion.converted_model import Exported
from mindmlm.conversion.folder_checksums import CARD_NAME, write_checksums
from mindmlm.conversion.model_config import huggingface_config
from mindmlm.conversion.tokenizer_files import TokenizerFiles, tokenizer_texts
from mindmlm.runtime.files import new_file
from mindmlm.tokenizers.bert import PAD

WEIGHTS_NAME = "model.safetensors"
# transformers refuses a file that does not say which library's layout it has.
METADATA = {"format": "pt"}

_CARD = """\
---
library_name: transformers
pipeline_tag: fill-mask
tags:
- bert
- mindmlm
---

# {name}

BERT with the masked-language-model head: {layers} layers of width {hidden} with {heads} attention
heads, {positions} positions, {vocab_size} tokens, {parameters:,} parameters in float32.

{origin}Converted by mindmlm {version}. `sha256sums.txt` lists the SHA-256 of every file.

```python
from transformers import AutoModelForMaskedLM, AutoTokenizer

model = AutoModelForMaskedLM.from_pretrained("{name}")
tokenizer = AutoTokenizer.from_pretrained("{name}")
```

Say here what text the model was trained on, what it is for, where it fails, and under which licence
it may be used.
"""


def write_huggingface(
    folder: Path,
    tensors: Exported,
    settings: BertModelConfig,
    tokenizer: TokenizerFiles | None,
    name: str,
    origin: str,
) -> None:
    """Fill ``folder``: weights, `config.json`, tokenizer files, `README.md`, `sha256sums.txt`.

    Args:
        folder: empty.
        tensors: under transformers' names.
        settings: of the model, with `vocab_size`.
        tokenizer: None leaves its files out.
        name: title of the model card.
        origin: a sentence on where the weights come from, or "".

    Raises:
        CheckpointError: transformers has no such model.
        OSError: a file cannot be written.
    """
    texts = description_texts(settings, tokenizer)
    size = sum(math.prod(spec.shape) for spec in tensors.specs.values())
    texts[CARD_NAME] = _card(settings, size, name, origin)
    record = stream_safetensors(folder / WEIGHTS_NAME, tensors.specs, tensors.read, METADATA)
    for file_name, text in texts.items():
        with new_file(folder / file_name) as file:
            file.write(text.encode("utf-8"))
    write_checksums(folder, {WEIGHTS_NAME: record.sha256})


def description_texts(
    settings: BertModelConfig, tokenizer: TokenizerFiles | None
) -> dict[str, str]:
    """Return `config.json` and the tokenizer's files: name -> content.

    Raises:
        CheckpointError: transformers has no such model.
    """
    assert settings.vocab_size is not None
    pad = tokenizer.tokens.index(PAD) if tokenizer else 0
    config = huggingface_config(settings, settings.vocab_size, pad)
    texts = {"config.json": json.dumps(config, indent=2) + "\n"}
    if tokenizer:
        texts |= tokenizer_texts(tokenizer, settings.max_position_embeddings)
    return texts


def _card(settings: BertModelConfig, parameters: int, name: str, origin: str) -> str:
    return _CARD.format(
        name=name,
        layers=settings.num_hidden_layers,
        hidden=settings.hidden_size,
        heads=settings.num_attention_heads,
        positions=settings.max_position_embeddings,
        vocab_size=settings.vocab_size,
        parameters=parameters,
        origin=f"{origin} " if origin else "",
        version=__version__,
    )
