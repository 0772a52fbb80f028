"""ELECTRA between transformers and us: both networks, their descriptions, starting points."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from mindmlm.checkpoint import find_in_folder
from mindmlm.cli.convert_checkpoint import main
from mindmlm.config.schema import ElectraModelConfig, RunConfig
from mindmlm.conversion.convert import Conversion, convert
from mindmlm.conversion.starting_point import open_foreign
from mindmlm.errors import CheckpointError, ConfigError
from mindmlm.models.initialization import initial_value
from mindmlm.testing.tiny_bert import save_huggingface
from mindmlm.testing.tiny_electra import SETTINGS, VOCAB, huggingface_electra, random_batch

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"word{n}" for n in range(VOCAB - 5))]
CONFIG = {
    "train_dataset": {"max_seq_length": 20},
    "model": {
        "arch": {"type": "ElectraForPreTraining"},
        "model_config": {"type": "ElectraConfig", "generator_hidden_size": 0.5},
    },
    "trainer": {"type": "ReplacedTokenDetectionTrainer"},
}


@pytest.fixture(scope="module")
def pair():
    return huggingface_electra(5)


@pytest.fixture(scope="module")
def folders(pair, tmp_path_factory) -> tuple[Path, Path]:
    """Discriminator and generator as transformers saves them; read only."""
    root = tmp_path_factory.mktemp("electra")
    names = ("discriminator", "generator")
    models = (pair.discriminator, pair.generator)
    found = [
        save_huggingface(model, root / name, TOKENS)
        for name, model in zip(names, models, strict=True)
    ]
    return found[0], found[1]


@pytest.fixture(scope="module")
def run(folders, tmp_path_factory) -> Path:
    """Both in one run folder of ours, made by the command."""
    output = tmp_path_factory.mktemp("joined") / "run"
    words = ["--input", folders[0], "--generator", folders[1], "--output", output, "--to=mindmlm"]
    assert main([str(word) for word in words]) == 0
    return output


def logits_of(model) -> np.ndarray:
    batch = random_batch(2)
    ids, mask, segments = (
        torch.from_numpy(batch[name].astype(np.int64))
        for name in ("input_ids", "input_mask", "segment_ids")
    )
    with torch.no_grad():
        output = model(input_ids=ids, attention_mask=mask, token_type_ids=segments)
    return output.logits.numpy()


def test_two_folders_become_one_run(run):
    config = RunConfig.model_validate(find_in_folder(run).checkpoint.config)
    settings = config.model.settings
    assert isinstance(settings, ElectraModelConfig)
    assert settings.generator().hidden_size == SETTINGS.generator().hidden_size == 12
    assert settings.generator().num_hidden_layers == 1 and settings.embedding_size == 20
    assert config.model.arch.type == "ElectraForPreTraining"
    assert config.trainer.type == "ReplacedTokenDetectionTrainer"
    masking = config.train_dataset.masking
    assert (masking.mask_prob, masking.random_prob) == (0.85, 0.0)


@pytest.mark.parametrize("part", ["discriminator", "generator"])
@pytest.mark.parametrize("target", ["huggingface", "pytorch"])
def test_each_network_goes_back_to_transformers(pair, folders, run, tmp_path, part, target):
    output = tmp_path / "back"
    command = ["--input", run, "--output", output, "--to", target, "--part", part]
    assert main([str(word) for word in command]) == 0
    auto = transformers.AutoModelForPreTraining
    if part == "generator":
        auto = transformers.AutoModelForMaskedLM
    loaded, report = auto.from_pretrained(output, output_loading_info=True)
    assert not any(report.values())
    theirs = getattr(pair, part)
    assert type(loaded.eval()) is type(theirs)
    assert np.abs(logits_of(loaded) - logits_of(theirs)).max() <= 1e-5
    assert loaded.config.hidden_size == theirs.config.hidden_size
    if target == "huggingface":
        ours = load_file(output / "model.safetensors")
        original = load_file(folders[part == "generator"] / "model.safetensors")
        assert all(np.array_equal(original[name], array) for name, array in ours.items())
        assert auto.__name__ in (output / "README.md").read_text()
        assert transformers.AutoTokenizer.from_pretrained(output).mask_token_id == 4


def test_a_discriminator_alone_gets_a_new_generator(folders):
    source = folders[0]
    config = RunConfig.model_validate(
        {**CONFIG, "run_mode": "finetune", "load_checkpoint": str(source)}
    )
    start = open_foreign(source, config)
    settings = start.config.model.settings
    assert (settings.hidden_size, settings.embedding_size) == (36, 20)
    assert settings.generator_hidden_size == 0.5 and settings.generator().hidden_size == 18
    found = dict(start.checkpoint.iterate("model"))
    theirs = load_file(source / "model.safetensors")
    name = "generator.layers.0.output.weight"
    expected = initial_value(name, (18, 72), start.config.seed, 0.02)
    np.testing.assert_array_equal(found[name], expected)
    for ours, other in (
        ("embeddings.word", "electra.embeddings.word_embeddings.weight"),
        ("discriminator.layers.1.output.weight", "electra.encoder.layer.1.output.dense.weight"),
        ("discriminator_head.prediction.bias", "discriminator_predictions.dense_prediction.bias"),
    ):
        np.testing.assert_array_equal(found[ours], theirs[other])


def test_what_does_not_belong_together_is_refused(folders, run, tmp_path):
    discriminator, generator = folders
    out = tmp_path / "out"
    with pytest.raises(CheckpointError, match="--generator"):
        convert(Conversion(generator, out, "mindmlm"))
    with pytest.raises(CheckpointError, match=r"which .* is not"):
        convert(Conversion(run, out, "mindmlm", generator=generator))
    with pytest.raises(CheckpointError, match=r"--part generator: goes with"):
        convert(Conversion(run, out, "mindmlm", part="generator"))
    with pytest.raises(CheckpointError, match="mindformers has no ElectraForPreTraining"):
        convert(Conversion(run, out, "mindspore", names="mindformers"))
    with pytest.raises(ConfigError, match=r"run_electra_small\.yaml"):
        open_foreign(discriminator, RunConfig())
    other = tmp_path / "other"
    save_huggingface(huggingface_electra(6).generator, other, TOKENS)
    with pytest.raises(CheckpointError, match="they differ"):
        convert(Conversion(discriminator, out, "mindmlm", generator=other))
    described = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**described, "num_attention_heads": 2}))
    with pytest.raises(CheckpointError, match="num_attention_heads is 2"):
        convert(Conversion(discriminator, out, "mindmlm", generator=other))
    assert not out.exists()


def test_a_missing_tensor_of_the_discriminator_is_named(folders, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in folders[0].iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    tensors = load_file(broken / "model.safetensors")
    del tensors["discriminator_predictions.dense.bias"]
    save_file(tensors, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"discriminator_head\.dense\.bias"):
        convert(Conversion(broken, tmp_path / "out", "mindmlm"))
