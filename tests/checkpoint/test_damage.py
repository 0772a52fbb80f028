"""Damage of every kind to every file is found, and hostile manifests do no harm."""

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mindmlm.checkpoint import read_checkpoint
from mindmlm.checkpoint.manifest import MAX_MANIFEST_BYTES
from mindmlm.checkpoint.shards import write_safetensors
from mindmlm.errors import CheckpointError

from .conftest import save

WEIGHTS = "model.rank_00000.safetensors"
MUTATIONS = 400


def flip_bit(path: Path, rng: random.Random, foreign: Path) -> None:
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def truncate(path: Path, rng: random.Random, foreign: Path) -> None:
    os.truncate(path, rng.randrange(path.stat().st_size))


def extend(path: Path, rng: random.Random, foreign: Path) -> None:
    path.write_bytes(path.read_bytes() + rng.randbytes(rng.randint(1, 9)))


def zero_tail(path: Path, rng: random.Random, foreign: Path) -> None:
    """What a power cut leaves of data that were never synchronised."""
    data = path.read_bytes()
    keep = rng.randrange(len(data) - 1)
    path.write_bytes(data[:keep] + bytes(len(data) - keep))


def delete(path: Path, rng: random.Random, foreign: Path) -> None:
    path.unlink()


def take_foreign(path: Path, rng: random.Random, foreign: Path) -> None:
    shutil.copyfile(foreign / path.name, path)


def swap_two(path: Path, rng: random.Random, foreign: Path) -> None:
    data = bytearray(path.read_bytes())
    first = rng.randrange(len(data))
    second = rng.choice([index for index in range(len(data)) if data[index] != data[first]])
    data[first], data[second] = data[second], data[first]
    path.write_bytes(data)


KINDS = [flip_bit, truncate, extend, zero_tail, delete, take_foreign, swap_two]


def test_every_mutation_is_detected(root: Path) -> None:
    original = save(root, 50)
    foreign = save(root / "foreign", 50, seed=51)
    names = sorted(entry.name for entry in original.iterdir())
    assert len(names) == 4
    rng = random.Random(20240607)
    for number in range(MUTATIONS):
        victim = root / "step_00000050x"
        shutil.copytree(original, victim)
        kind, name = KINDS[number % len(KINDS)], rng.choice(names)
        kind(victim / name, rng, foreign)
        with pytest.raises(CheckpointError, match=r"manifest|safetensors"):
            read_checkpoint(victim)
        shutil.rmtree(victim)
    assert read_checkpoint(original).step == 50


def test_all_damaged_files_are_named(root: Path) -> None:
    path = save(root, 1)
    (path / WEIGHTS).unlink()
    os.truncate(path / "optimizer.rank_00000.safetensors", 3)
    with pytest.raises(CheckpointError, match=r"model.*is missing; optimizer.*has 3 bytes, not"):
        read_checkpoint(path)


def rewrite(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the manifest and give it a digest that is right: what a forger would do."""
    content = json.loads((path / "manifest.json").read_text())
    change(content)
    replace_manifest(path, json.dumps(content).encode())


def replace_manifest(path: Path, data: bytes) -> None:
    (path / "manifest.json").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    (path / "manifest.sha256").write_text(f"{digest}  manifest.json\n")


def rename_file(content: dict[str, Any], name: str) -> None:
    content["files"][name] = content["files"].pop(WEIGHTS)
    for record in content["tensors"]["model"].values():
        record["slices"][0]["file"] = name


def weight(content: dict[str, Any]) -> dict[str, Any]:
    return content["tensors"]["model"]["encoder.weight"]


@pytest.mark.parametrize(
    "name",
    [
        f"../{WEIGHTS}",
        f"/etc/{WEIGHTS}",
        f"sub/{WEIGHTS}",
        "..",
        ".",
        "",
        ".hidden",
        "a\\b",
        "a\nb",
        "a" * 201,
        f"{WEIGHTS}\n",
    ],
)
def test_only_plain_file_names(root: Path, name: str) -> None:
    path = save(root, 1)
    shutil.copyfile(path / WEIGHTS, path.parent / WEIGHTS)
    rewrite(path, lambda content: rename_file(content, name))
    with pytest.raises(CheckpointError, match=r"manifest.json: files"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: c.update(format_version=2), "format_version 2"),
        (lambda c: c.pop("format_version"), "format_version None"),
        (lambda c: c.update(step="1"), "step"),
        (lambda c: c.update(step=-1), "step"),
        (lambda c: c.update(step=True), "step"),
        (lambda c: c.update(extra=1), "extra"),
        (lambda c: c.pop("state"), "state"),
        (lambda c: c["files"][WEIGHTS].update(size=10**30), "size"),
        (lambda c: c["files"][WEIGHTS].update(sha256="0" * 63), "sha256"),
        (lambda c: c["files"].pop(WEIGHTS), "does not list"),
        (lambda c: weight(c).update(dtype="int32"), "the manifest says"),
        (lambda c: weight(c).update(dtype="object"), "the manifest says"),
        (lambda c: weight(c).update(shape=[5, 7]), "beyond its shape"),
        (lambda c: weight(c).update(shape=[7, 6]), "not covered exactly"),
        (lambda c: weight(c).update(shape=[35]), "number of dimensions"),
        (lambda c: weight(c).update(shape=[-7, -5]), "shape"),
        (lambda c: weight(c).update(shape=[2**40, 2**40]), "not covered exactly"),
        (lambda c: weight(c).update(slices=[]), "slices"),
        (lambda c: weight(c)["slices"].append(weight(c)["slices"][0]), "not covered exactly"),
        (
            lambda c: (
                weight(c).update(shape=[5, 7]),
                weight(c)["slices"][0].update(shape=[5, 7]),
            ),
            "the manifest says",
        ),
        (lambda c: c["tensors"]["model"].pop("encoder.bias"), "holds other tensors"),
        (lambda c: c["tensors"].update({"../x": {}}), "tensors"),
    ],
)
def test_a_manifest_that_contradicts_itself_or_the_files(
    root: Path, change: Callable[[dict[str, Any]], Any], reason: str
) -> None:
    path = save(root, 1)
    rewrite(path, change)
    with pytest.raises(CheckpointError, match=reason):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not valid JSON"),
        (b"[]", "format_version"),
        (b"\xff\xfe", "not valid JSON"),
        (b'{"format_version": 1, "step": NaN}', "NaN"),
        (b'{"format_version": 1, "step": -Infinity}', "-Infinity"),
        (b'{"format_version": 1, "format_version": 1}', "twice"),
        (b"[" * 200_000, "not valid JSON"),
        (b'{"format_version": ' + b"9" * 10_000 + b"}", "not valid JSON"),
    ],
)
def test_hostile_json(root: Path, data: bytes, reason: str) -> None:
    path = save(root, 1)
    replace_manifest(path, data)
    with pytest.raises(CheckpointError, match=reason):
        read_checkpoint(path)


def test_a_huge_manifest_is_not_read(root: Path) -> None:
    path = save(root, 1)
    os.truncate(path / "manifest.json", MAX_MANIFEST_BYTES + 1)
    with pytest.raises(CheckpointError, match="larger than"):
        read_checkpoint(path)


def test_a_pipe_instead_of_a_file_does_not_hang(root: Path) -> None:
    path = save(root, 1)
    (path / WEIGHTS).unlink()
    os.mkfifo(path / WEIGHTS)
    with pytest.raises(CheckpointError, match="not a regular file"):
        read_checkpoint(path)


def test_a_listed_file_that_is_not_safetensors(root: Path) -> None:
    path = save(root, 1)
    data = np.random.default_rng(0).bytes(500)
    (path / WEIGHTS).write_bytes(data)
    record = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    rewrite(path, lambda content: content["files"].update({WEIGHTS: record}))
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        read_checkpoint(path)


def test_a_file_with_a_tensor_too_many(root: Path) -> None:
    path = save(root, 1)
    (path / WEIGHTS).unlink()
    record = write_safetensors(path / WEIGHTS, {"stowaway": np.zeros(3)}).model_dump()
    rewrite(path, lambda content: content["files"].update({WEIGHTS: record}))
    with pytest.raises(CheckpointError, match="holds other tensors"):
        read_checkpoint(path)


def test_a_change_after_verification_is_an_error_too(root: Path) -> None:
    checkpoint = read_checkpoint(save(root, 1))
    (checkpoint.path / WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match="changed while it was read"):
        checkpoint.tensors("model")
