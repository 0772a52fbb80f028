"""Google's checkpoints: files that TensorFlow wrote (see write_tf1_fixture.py), read without it."""

import random
import shutil
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.conversion.checksums import crc32c_of
from mindmlm.conversion.convert import Conversion, convert
from mindmlm.conversion.readers.tensorflow import TensorFlowCheckpoint
from mindmlm.data.records.crc32c import crc32c
from mindmlm.errors import CheckpointError
from mindmlm.testing.tiny_bert import huggingface_logits, our_logits

FIXTURE = Path(__file__).parent / "tf1_bert"


@pytest.fixture(scope="module")
def computed_by_tensorflow():
    with np.load(FIXTURE / "logits.npz", allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.mark.parametrize("name", ["bert_model.ckpt", "with_slots.ckpt", "bert_model.ckpt.index"])
def test_logits_are_those_of_tensorflow(name, computed_by_tensorflow, imported, graph_mode) -> None:
    weights, model, report = imported(FIXTURE / name)
    assert "tensorflow" not in sys.modules
    found = our_logits(weights, model, computed_by_tensorflow)
    assert np.abs(found - computed_by_tensorflow["logits"]).max() < 1e-5
    slots = [line for line in report.of("left out") if "optimizer" in line.note]
    # Two of each of the 44 variables, and the step; those of the next-sentence head go with it.
    assert len(slots) == (89 if name == "with_slots.ckpt" else 0)
    assert len(report.of("transposed")) == 14


def test_transformers_computes_the_same_from_what_we_write(
    computed_by_tensorflow, tmp_path
) -> None:
    convert(Conversion(FIXTURE / "bert_model.ckpt", tmp_path / "out", "huggingface"))
    model, info = transformers.BertForMaskedLM.from_pretrained(
        tmp_path / "out", output_loading_info=True
    )
    # The pooler is there and has no place in this class.
    assert info["missing_keys"] == []
    assert set(info["unexpected_keys"]) == {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
    found = huggingface_logits(model.eval(), computed_by_tensorflow)
    assert np.abs(found - computed_by_tensorflow["logits"]).max() < 1e-5


def test_a_folder_with_one_checkpoint_is_enough(tmp_path, imported) -> None:
    shutil.copytree(FIXTURE, tmp_path / "in")
    with pytest.raises(CheckpointError, match=r"there are 2 \*\.index"):
        imported(tmp_path / "in")
    for path in (tmp_path / "in").glob("with_slots*"):
        path.unlink()
    assert imported(tmp_path / "in")[2].format == "tensorflow"


def test_every_tensor_is_read_with_its_type() -> None:
    checkpoint = TensorFlowCheckpoint(FIXTURE / "with_slots.ckpt")
    step = checkpoint.read("global_step")
    assert (step.dtype, step.shape, int(step)) == (np.dtype(np.int64), (), 1000)
    plain = TensorFlowCheckpoint(FIXTURE / "bert_model.ckpt")
    for name in plain.tensors:
        np.testing.assert_array_equal(plain.read(name), checkpoint.read(name))


def test_a_missing_data_file_is_named(tmp_path) -> None:
    shutil.copy(FIXTURE / "bert_model.ckpt.index", tmp_path)
    with pytest.raises(CheckpointError, match="data-00000-of-00001: cannot be opened"):
        TensorFlowCheckpoint(tmp_path / "bert_model.ckpt")


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 3), st.integers(0, 1000), st.integers(0, 2**32))
def test_checksum_of_a_large_piece_is_that_of_its_bytes(blocks, rest, seed) -> None:
    data = random.Random(seed).randbytes(blocks * 7_000 + rest)
    expected = int(crc32c([data])[0]) if data else 0
    assert crc32c_of(memoryview(data)) == expected


def test_checksum_of_a_standard_vector() -> None:
    # RFC 3720, B.4: 32 bytes of zeros, in the middle of nothing.
    assert crc32c_of(memoryview(bytes(32))) == 0x8A9136AA
    assert crc32c_of(memoryview(struct.pack("32B", *range(32)))) == 0x46DD794E
