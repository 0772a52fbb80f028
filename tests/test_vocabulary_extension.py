"""A checkpoint's weights in a model with a larger vocabulary."""

from pathlib import Path

import numpy as np
import pytest

from mindmlm import build
from mindmlm.checkpoint import read_checkpoint, save_checkpoint
from mindmlm.config import load_config
from mindmlm.errors import CheckpointError
from mindmlm.tokenizers.bert import SPECIAL_TOKENS, BertTokenizer

OLD = [*SPECIAL_TOKENS, "trans", "##form", "a"]
NEW = [*OLD, "transform", "zz"]
CONFIG = """\
model:
  model_config: {hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2,
    intermediate_size: 8, max_position_embeddings: 128}
"""


def values_of(model: build.ModelOnRank) -> dict[str, np.ndarray]:
    return {value.name: value.asnumpy() for value in model.parameters()}


@pytest.mark.usefixtures("graph_mode")
def test_new_rows_are_the_mean_of_their_pieces(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(CONFIG)
    config = load_config(tmp_path / "run.yaml", require_inputs=False).config
    old = build.build_model(config, BertTokenizer(OLD))
    generator = np.random.default_rng(0)
    tensors = {
        name: generator.standard_normal(value.shape).astype(np.float32)
        for name, value in values_of(old).items()
    }
    path = save_checkpoint(tmp_path, 1, {"model": tensors}, {}, {}, 1)
    checkpoint = read_checkpoint(path)

    model = build.build_model(config, BertTokenizer(NEW))
    with pytest.raises(CheckpointError, match="in the checkpoint"):
        build.load_model(model, checkpoint)
    resize = build.vocabulary_extension(model, config, OLD, NEW)
    rows = build.family_of(config).vocabulary_rows
    assert resize.keys() == set(rows)
    build.load_model(model, checkpoint, resize)
    found = values_of(model)
    for name, value in found.items():
        trained = tensors[name]
        if name not in rows:
            np.testing.assert_array_equal(value, trained)
            continue
        np.testing.assert_array_equal(value[: len(OLD)], trained)
        np.testing.assert_allclose(value[8], trained[5:7].mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(value[9], trained[5:8].mean(axis=0), rtol=1e-6)
