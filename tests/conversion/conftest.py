"""Checkpoints of the other libraries, written by themselves."""

from pathlib import Path

import pytest

from mindmlm.checkpoint import find_in_folder
from mindmlm.config.schema import RunConfig
from mindmlm.conversion.convert import Conversion, convert
from mindmlm.testing.tiny_bert import huggingface_bert, save_huggingface

pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="session")
def masked_lm():
    return huggingface_bert()


@pytest.fixture(scope="session")
def huggingface_folder(masked_lm, tmp_path_factory) -> Path:
    """What `save_pretrained` writes; tests read it only."""
    return save_huggingface(masked_lm, tmp_path_factory.mktemp("huggingface") / "tiny")


@pytest.fixture
def imported(tmp_path):
    """Convert an input to a run folder of ours; give its weights, its settings, and the report."""

    def run(path: Path, **options):
        output = tmp_path / f"imported{len(list(tmp_path.iterdir()))}"
        report = convert(Conversion(path, output, "mindmlm", **options))
        checkpoint = find_in_folder(output).checkpoint
        settings = RunConfig.model_validate(checkpoint.config).model.settings
        return checkpoint.tensors("model"), settings, report

    return run
