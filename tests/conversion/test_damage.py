"""Damaged files of every format: refused, or, where nothing has a checksum, of the same shapes."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
import torch

from mindmlm.conversion.convert import Conversion, convert
from mindmlm.conversion.matching import Allowances
from mindmlm.conversion.origin import match_origin, open_origin
from mindmlm.errors import CheckpointError, DataError
from mindmlm.testing.tiny_bert import huggingface_bert, save_huggingface

FIXTURE = Path(__file__).parent / "tf1_bert"
MUTANTS = 30


def flip(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def flip_in_the_first_bytes(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(min(len(data), 400))] ^= 1 << rng.randrange(8)


def truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def overwrite(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    end = min(len(data), start + rng.randrange(1, 64))
    data[start:end] = rng.randbytes(end - start)


def append(data: bytearray, rng: random.Random) -> None:
    data += rng.randbytes(rng.randrange(1, 64))


def remove_a_piece(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    del data[start : start + rng.randrange(1, 64)]


CHANGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flip,
    flip_in_the_first_bytes,
    truncate,
    overwrite,
    append,
    remove_a_piece,
)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> dict[str, Path]:
    """A small checkpoint of each format, by its name."""
    root = tmp_path_factory.mktemp("checkpoints")
    model = huggingface_bert(num_hidden_layers=1)
    folder = save_huggingface(model, root / "transformers")
    for target in ("mindmlm", "huggingface", "mindspore", "pytorch"):
        convert(Conversion(folder, root / f"our_{target}", target))
    state = model.state_dict()
    for name, options in (("zip", {}), ("legacy", {"_use_new_zipfile_serialization": False})):
        (root / name).mkdir()
        torch.save(state, root / name / "pytorch_model.bin", **options)
    (root / "plain_ckpt").mkdir()
    (root / "tensorflow").mkdir()
    for name in ("zip", "legacy", "plain_ckpt"):
        for file in ("config.json", "vocab.txt"):
            shutil.copy(folder / file, root / name)
    ms.save_checkpoint(
        [{"name": n, "data": ms.Tensor(v.numpy())} for n, v in state.items()],
        str(root / "plain_ckpt" / "model.ckpt"),
    )
    (root / "plain_ckpt" / "model.ckpt").chmod(0o644)
    for path in FIXTURE.glob("bert_*"):
        shutil.copy(path, root / "tensorflow")
    return {path.name: path for path in root.iterdir()}


# name of the folder -> the files that are damaged, and whether a checksum covers every tensor
FORMATS = {
    "our_mindmlm": ("**/*.safetensors", True),
    "our_huggingface": ("model.safetensors", True),
    "our_mindspore": ("model.ckpt", True),
    "our_pytorch": ("pytorch_model.bin", True),
    "tensorflow": ("*.data-*", True),
    "zip": ("pytorch_model.bin", True),
    "transformers": ("model.safetensors", False),
    "legacy": ("pytorch_model.bin", False),
    "plain_ckpt": ("model.ckpt", False),
}
SMALL_FILES = {
    "our_mindmlm": ("**/manifest.json", True),
    "tensorflow": ("*.index", True),
}
CASES = [
    *((name, *rest) for name, rest in FORMATS.items()),
    *((name, *rest) for name, rest in SMALL_FILES.items()),
]


def test_there_are_enough_of_them() -> None:
    assert MUTANTS * len(CASES) >= 200


def read_everything(path: Path) -> dict[str, np.ndarray]:
    """Every parameter of the model, as a conversion reads it."""
    found = match_origin(open_origin(path), Allowances())
    return {name: np.array(found.read(name)) for name in found.recipes}


@pytest.mark.parametrize(("name", "pattern", "is_checked"), CASES)
def test_a_damaged_file_is_refused(name, pattern, is_checked, checkpoints, tmp_path) -> None:
    original = read_everything(checkpoints[name])
    rng = random.Random(f"{name} {pattern}")
    refused = 0
    for number in range(MUTANTS):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(checkpoints[name], copy)
        target = rng.choice(sorted(copy.glob(pattern)))
        data = bytearray(target.read_bytes())
        CHANGES[number % len(CHANGES)](data, rng)
        target.write_bytes(data)
        try:
            found = read_everything(copy)
        except (CheckpointError, DataError) as error:
            refused += 1
            assert str(copy) in str(error)
            continue
        assert {n: a.shape for n, a in found.items()} == {n: a.shape for n, a in original.items()}
        if is_checked:
            # The bytes that were changed belong to nothing (the padding of a zip archive, say).
            for tensor, array in original.items():
                assert found[tensor].tobytes() == array.tobytes(), (number, tensor)
    assert refused >= MUTANTS * (0.8 if is_checked else 0.4), refused
