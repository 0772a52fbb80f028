"""Teachers with random weights, and a text in their words."""

import random
from pathlib import Path
from typing import Any

from mindmlm.testing.tiny_bert import TOKENS, huggingface_bert, save_huggingface

TEACHER_LAYERS = 4
# The student of `configs/distill/run_distill_tiny_zh.yaml`, made to fit `write_teacher`.
STUDENT = (
    "context.device_target=CPU",
    "model.model_config.hidden_size=24",
    "model.model_config.num_attention_heads=3",
    "model.model_config.intermediate_size=40",
    "model.model_config.max_position_embeddings=20",
    "model.model_config.hidden_dropout_prob=0",
    "model.model_config.attention_probs_dropout_prob=0",
    "processor.segmenter=none",
    "train_dataset.max_seq_length=16",
    "runner_config.batch_size=4",
)


def write_teacher(folder: Path, seed: int = 0, **settings: Any) -> Path:
    """Save a BERT of transformers with four layers and random weights; returns the folder.

    Its logits are far apart, so that it has something to teach.
    """
    model = huggingface_bert(seed=seed, **{"num_hidden_layers": TEACHER_LAYERS, **settings})
    model.cls.predictions.transform.LayerNorm.weight.data.mul_(6.0)
    return save_huggingface(model, folder)


def write_words(path: Path, lines: int = 60, seed: int = 1) -> Path:
    """Write lines of 3 to 16 of the teacher's words, the first ones far more often than the last.

    Returns:
        `path`.
    """
    rng = random.Random(seed)
    words = [token for token in TOKENS if not token.startswith("[")]
    weights = [1.0 / (1 + number) for number in range(len(words))]
    texts = (" ".join(rng.choices(words, weights, k=rng.randint(3, 16))) for _ in range(lines))
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path
