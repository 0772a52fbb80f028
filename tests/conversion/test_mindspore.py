"""MindSpore's `.ckpt`, in and out, against MindSpore itself; MindFormers' names."""

import re

import mindspore as ms
import numpy as np
import pytest

from mindmlm.conversion.architectures import BERT
from mindmlm.conversion.convert import Conversion, convert
from mindmlm.conversion.converted_model import Exported
from mindmlm.conversion.matching import Allowances
from mindmlm.conversion.readers.mindspore_ckpt import MindSporeFile
from mindmlm.conversion.tokenizer_files import GivenTokenizer
from mindmlm.conversion.writers import mindspore_ckpt
from mindmlm.errors import CheckpointError
from mindmlm.testing.tiny_bert import huggingface_logits, our_logits, random_batch

# As mindformers r0.3 has them: models/bert/bert.py, modules/transformer/transformer.py.
LAYER_NAMES = {
    "attention.self.query": "attention.dense1",
    "attention.self.key": "attention.dense2",
    "attention.self.value": "attention.dense3",
    "attention.output.dense": "attention.projection",
    "attention.output.LayerNorm": "layernorm2",
    "intermediate.dense": "output.mapping",
    "output.dense": "output.projection",
    "output.LayerNorm": "layernorm1",
}
OTHER_NAMES = {
    "bert.embeddings.word_embeddings.weight": "bert.word_embedding.embedding_table",
    "bert.embeddings.position_embeddings.weight": (
        "bert.embedding_postprocessor.full_position_embedding.embedding_table"
    ),
    "bert.embeddings.token_type_embeddings.weight": (
        "bert.embedding_postprocessor.token_type_embedding.embedding_table"
    ),
    "bert.embeddings.LayerNorm.weight": "bert.embedding_postprocessor.layernorm.gamma",
    "bert.embeddings.LayerNorm.bias": "bert.embedding_postprocessor.layernorm.beta",
    "cls.predictions.transform.dense.weight": "mlmloss.dense.weight",
    "cls.predictions.transform.dense.bias": "mlmloss.dense.bias",
    "cls.predictions.transform.LayerNorm.weight": "mlmloss.layernorm.gamma",
    "cls.predictions.transform.LayerNorm.bias": "mlmloss.layernorm.beta",
    "cls.predictions.bias": "mlmloss.output_bias",
}


def mindformers_state(model) -> dict[str, np.ndarray]:
    """The weights of a model of transformers as MindFormers keeps them."""
    state = {}
    for name, value in model.state_dict().items():
        array = value.numpy()
        if name in OTHER_NAMES:
            state[OTHER_NAMES[name]] = array
            continue
        found = re.fullmatch(r"bert\.encoder\.layer\.(\d+)\.(.+)\.(weight|bias)", name)
        if not found:
            assert name.startswith("cls.predictions.decoder"), name
            continue
        part = LAYER_NAMES[found[2]]
        leaf = found[3]
        if "layernorm" in part:
            leaf = {"weight": "gamma", "bias": "beta"}[leaf]
        turned = part in ("attention.projection", "output.mapping", "output.projection")
        key = f"bert.bert_encoder.encoder.blocks.{found[1]}.{part}.{leaf}"
        state[key] = array.T if turned and leaf == "weight" else array
    return state


def save(path, state, **options) -> None:
    ms.save_checkpoint(
        [{"name": name, "data": ms.Tensor(np.ascontiguousarray(v))} for name, v in state.items()],
        str(path),
        **options,
    )


@pytest.mark.parametrize("crc", [False, True])
@pytest.mark.parametrize("older_head", [False, True])
def test_mindformers_files_give_the_logits_of_transformers(
    crc, older_head, masked_lm, huggingface_folder, tmp_path, imported, graph_mode
) -> None:
    state = mindformers_state(masked_lm)
    if older_head:
        # Its own converter writes these names, and the tied decoder.
        state = {f"bert.{n}" if n.startswith("mlmloss") else n: v for n, v in state.items()}
        state["bert.mlmloss.vocab_dense.weight"] = state["bert.word_embedding.embedding_table"]
    state |= {"scale_sense": np.float32([1024]), "adam_m.mlmloss.dense.bias": np.zeros(24, "f4")}
    save(tmp_path / "bert.ckpt", state, crc_check=crc)
    weights, settings, report = imported(
        tmp_path / "bert.ckpt",
        model_config=huggingface_folder / "config.json",
        tokenizer=GivenTokenizer(huggingface_folder / "vocab.txt"),
    )
    assert report.names == "mindformers"
    assert bool(report.of("tied")) == older_head
    batch = random_batch()
    difference = our_logits(weights, settings, batch) - huggingface_logits(masked_lm, batch)
    assert np.abs(difference).max() < 1e-5


def test_files_of_mindformers_own_converter_lack_the_bias(
    masked_lm, huggingface_folder, tmp_path, imported
) -> None:
    state = mindformers_state(masked_lm)
    del state["mlmloss.output_bias"]
    save(tmp_path / "bert.ckpt", state)
    beside = {
        "model_config": huggingface_folder / "config.json",
        "tokenizer": GivenTokenizer(huggingface_folder / "vocab.txt"),
    }
    with pytest.raises(CheckpointError, match=r"missing: head\.bias .*mlmloss\.output_bias"):
        imported(tmp_path / "bert.ckpt", **beside)
    weights, _, _ = imported(
        tmp_path / "bert.ckpt", **beside, allowances=Allowances(missing=("head.bias",))
    )
    assert not weights["head.bias"].any()


@pytest.mark.parametrize("names", ["mindmlm", "mindformers"])
def test_mindspore_loads_what_we_write(names, huggingface_folder, masked_lm, tmp_path) -> None:
    convert(Conversion(huggingface_folder, tmp_path / "out", "mindspore", names=names))
    path = tmp_path / "out" / "model.ckpt"
    loaded = ms.load_checkpoint(str(path), crc_check=True)
    if names == "mindformers":
        expected = mindformers_state(masked_lm)
    else:
        expected = {
            ours: masked_lm.state_dict()[recipe.theirs].numpy()
            for ours, recipe in BERT.table("huggingface").recipes(loaded).items()
        }
    assert set(loaded) == set(expected)
    for name, value in loaded.items():
        np.testing.assert_array_equal(value.asnumpy(), expected[name], err_msg=name)


def test_types_scalars_and_empty_shapes(tmp_path) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        name: rng.integers(0, 100, (3, 2)).astype(name)
        for name in ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8")
    }
    arrays["bool"] = rng.random((2, 2)) < 0.5
    save(tmp_path / "a.ckpt", arrays)
    ms.save_checkpoint(
        [
            {"name": "x", "data": ms.Tensor(arrays["float32"])},
            {"name": "scalar", "data": ms.Tensor(2.5, ms.float32)},
            {"name": "half", "data": ms.Tensor(arrays["float32"], ms.bfloat16)},
        ],
        str(tmp_path / "b.ckpt"),
        append_dict={"epoch_num": 3, "note": "text"},
    )
    first, second = MindSporeFile(tmp_path / "a.ckpt"), MindSporeFile(tmp_path / "b.ckpt")
    for name, array in arrays.items():
        found = first.read(name)
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)
    assert second.read("scalar") == 2.5 and second.read("scalar").shape == ()
    assert second.read("epoch_num") == 3
    assert second.texts == ["note"]
    np.testing.assert_array_equal(second.read("half"), arrays["float32"])


def test_large_tensors_are_divided_as_mindspore_does(tmp_path, monkeypatch) -> None:
    array = np.random.default_rng(1).random((40, 30), np.float32)
    monkeypatch.setattr(mindspore_ckpt, "PIECE_BYTES", 1000)
    from mindmlm.checkpoint.shards import TensorSpec

    tensors = Exported({"x": TensorSpec("float32", array.shape)}, lambda _: array)
    mindspore_ckpt.write_mindspore(tmp_path / "x.ckpt", tensors)
    np.testing.assert_array_equal(
        ms.load_checkpoint(str(tmp_path / "x.ckpt"))["x"].asnumpy(), array
    )
    np.testing.assert_array_equal(MindSporeFile(tmp_path / "x.ckpt").read("x"), array)


def test_mindspore_divides_and_we_read(tmp_path, monkeypatch) -> None:
    array = np.random.default_rng(2).random((4000, 30), np.float32)
    monkeypatch.setattr("mindspore.train.serialization.SLICE_SIZE", 100)
    save(tmp_path / "x.ckpt", {"x": array, "y": array[:2]})
    assert MindSporeFile(tmp_path / "x.ckpt")._stored["x"].pieces[1:]
    np.testing.assert_array_equal(MindSporeFile(tmp_path / "x.ckpt").read("x"), array)


def test_encrypted_files_are_refused(tmp_path) -> None:
    save(tmp_path / "x.ckpt", {"x": np.ones(5, "f4")}, enc_key=b"0123456789ABCDEF")
    with pytest.raises(CheckpointError, match="encrypted ones are not read"):
        MindSporeFile(tmp_path / "x.ckpt")
