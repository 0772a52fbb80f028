from pathlib import Path

import numpy as np
import pytest

from mindmlm.checkpoint import save_checkpoint

Tensors = dict[str, dict[str, np.ndarray]]


def random_tensors(seed: int, size: int = 7) -> Tensors:
    """Small arrays of several types; the model group and the optimizer group differ in names."""
    rng = np.random.default_rng(seed)
    return {
        "model": {
            "encoder.weight": rng.standard_normal((size, 5)).astype(np.float32),
            "encoder.bias": rng.standard_normal(size).astype(np.float16),
            "scalar": np.array(rng.standard_normal(), np.float64),
        },
        "optimizer": {
            "moment1.encoder.weight": rng.standard_normal((size, 5)).astype(np.float32),
            "step": np.array(seed, np.int64),
            "no_decay": rng.random(size) < 0.5,
        },
    }


def save(root: Path, step: int, seed: int | None = None, keep: int = 5) -> Path:
    """Save a small checkpoint whose contents follow from ``seed`` (the step by default)."""
    seed = step if seed is None else seed
    state = {"step": step, "samples_seen": step * 8, "seed": seed}
    config = {"model": {"arch": {"type": "BertForMaskedLM"}, "model_config": {"hidden_size": 5}}}
    return save_checkpoint(root, step, random_tensors(seed), state, config, keep)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "output" / "checkpoint"
