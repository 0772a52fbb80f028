"""Small BERTs of transformers with random weights, and what models compute from a random batch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mindmlm.config.schema.bert import BertModelConfig

VOCAB = 61
SHAPE = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 20,
    "type_vocab_size": 2,
}
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"word{n}" for n in range(VOCAB - 5))]


def huggingface_bert(kind: str = "BertForMaskedLM", seed: int = 0, **settings: Any) -> Any:
    """Return a model of transformers (`kind` is its class) whose every weight is random."""
    import torch
    import transformers

    torch.manual_seed(seed)
    config = transformers.BertConfig(**{"vocab_size": VOCAB, **SHAPE, **settings})
    model = getattr(transformers, kind)(config).eval()
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.2)
    return model


def save_huggingface(
    model: Any, folder: Path, tokens: Sequence[str] = tuple(TOKENS), **options: Any
) -> Path:
    """Save a model with a tokenizer as transformers does; returns the folder."""
    import transformers

    model.save_pretrained(folder, **options)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens))
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def random_batch(seed: int = 0) -> dict[str, np.ndarray]:
    """Return int32 ids, mask and segments [3, 12], with padding."""
    rng = np.random.default_rng(seed)
    mask = (np.arange(12) < np.array([[12], [8], [5]])).astype(np.int32)
    return {
        "ids": rng.integers(5, VOCAB, (3, 12)).astype(np.int32),
        "mask": mask,
        "segments": (np.arange(12) >= np.array([[5], [9], [3]])).astype(np.int32) * mask,
    }


def huggingface_logits(model: Any, batch: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the logits [batch, sequence, vocabulary] of a model of transformers."""
    import torch

    ids, mask, segments = (
        torch.from_numpy(batch[key].astype(np.int64)) for key in ("ids", "mask", "segments")
    )
    with torch.no_grad():
        output = model(input_ids=ids, attention_mask=mask, token_type_ids=segments)
    logits = output.prediction_logits if "prediction_logits" in output else output.logits
    return logits.numpy()


def our_logits(
    weights: Mapping[str, np.ndarray], settings: BertModelConfig, batch: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Return the logits [batch, sequence, vocabulary] of our model with these weights."""
    import mindspore as ms

    from mindmlm.models.bert.heads import BertForMaskedLM

    model = BertForMaskedLM(settings, weights["bert.embeddings.word"].shape[0])
    parameters = {value.name: value for value in model.get_parameters()}
    assert set(parameters) == set(weights)
    for name, value in parameters.items():
        value.set_data(ms.Tensor(np.array(weights[name])))
    model.set_train(False)
    rows, length = batch["ids"].shape
    positions = np.tile(np.arange(length, dtype=np.int32), (rows, 1))
    arrays = (batch["ids"], batch["mask"], batch["segments"], positions)
    logits = model(*(ms.Tensor(array) for array in arrays), ())
    return logits.asnumpy().reshape(rows, length, -1)
