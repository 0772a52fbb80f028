"""Conversions of a 1.3 GB model under a limit that the system enforces."""

import json
from pathlib import Path

import numpy as np
import pytest

from mindmlm.checkpoint.shards import TensorSpec, stream_safetensors
from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.conversion.architectures import BERT
from mindmlm.conversion.model_config import huggingface_config
from mindmlm.testing.command import run_python

# BERT-large: 335 million parameters.
LARGE = BertModelConfig(
    hidden_size=1024,
    num_hidden_layers=24,
    num_attention_heads=16,
    intermediate_size=4096,
    vocab_size=30522,
)
LARGEST_TENSOR = 30522 * 1024 * 4

# RLIMIT_DATA bounds what a process may write to in its own memory: here what it has after the
# imports, the largest tensor and 200 MB. Mapped files do not count.
PROGRAM = """
import resource, sys
from pathlib import Path
import tqdm, yaml
from mindmlm.conversion.convert import Conversion, convert

source, output, target, room = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
limit = int(status["VmData"].split()[0]) * 1024 + room
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
names = "mindformers" if target == "mindspore" else "mindmlm"
report = convert(Conversion(source, output, target, names=names))
print(report.summary())
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """A Hugging Face folder of 1.3 GB, made on the spot."""
    folder = tmp_path_factory.mktemp("large") / "bert"
    folder.mkdir()
    shapes = BERT.parameters(LARGE, 30522)
    names = BERT.table("huggingface").recipes(shapes)
    theirs = {names[ours].theirs: TensorSpec("float32", shape) for ours, shape in shapes.items()}
    rng = np.random.default_rng(0)
    stream_safetensors(
        folder / "model.safetensors",
        theirs,
        lambda name: rng.standard_normal(theirs[name].shape, np.float32),
        {"format": "pt"},
    )
    (folder / "config.json").write_text(json.dumps(huggingface_config(LARGE, 30522, 0)))
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{n}" for n in range(30517))]
    (folder / "vocab.txt").write_text("\n".join(tokens))
    assert (folder / "model.safetensors").stat().st_size > 1.3e9
    return folder


def converted(source: Path, output: Path, target: str, room: int):
    return run_python(["-c", PROGRAM, source, output, target, str(room)], timeout=300)


@pytest.mark.slow
def test_memory_is_that_of_the_largest_tensor(large, tmp_path) -> None:
    room = LARGEST_TENSOR + 200 * 2**20
    source = large
    for target in ("mindmlm", "mindspore", "huggingface"):
        done = converted(source, tmp_path / target, target, room)
        assert done.code == 0, done.stderr[-2000:]
        assert " loaded" in done.stdout
        source = tmp_path / target
    first, last = (folder / "model.safetensors" for folder in (large, source))
    assert first.read_bytes() == last.read_bytes()


@pytest.mark.slow
def test_the_limit_is_one(large, tmp_path) -> None:
    done = converted(large, tmp_path / "x", "mindspore", room=1 * 2**20)
    assert done.code != 0 and "MemoryError" in done.stderr
    assert not (tmp_path / "x").exists()
