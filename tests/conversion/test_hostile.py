"""Files that want to do harm: they are refused, and nothing in them runs."""

import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import pytest

from mindmlm.conversion.convert import Conversion, convert
from mindmlm.conversion.readers.mindspore_ckpt import MindSporeFile
from mindmlm.conversion.readers.safetensors_files import SafetensorsFile
from mindmlm.conversion.readers.tensorflow import TensorFlowCheckpoint
from mindmlm.conversion.readers.torch_bin import TorchFile
from mindmlm.conversion.recognise import open_source
from mindmlm.errors import CheckpointError


class Runs:
    """Pickles as a call."""

    def __init__(self, function, *arguments) -> None:
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def zip_of(data: bytes, path: Path, storages: dict[str, bytes] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/version", "3\n")
        for key, content in (storages or {}).items():
            archive.writestr(f"archive/data/{key}", content)
    return path


# Protocol 2 by hand: opcodes that no dump would write.
TENSOR = (
    b"\x80\x02}(X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storage"
    b"ctorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu%stQ%s%s%s\x89ccollections\n"
    b"OrderedDict\n)RtRu."
)


def tensor_pickle(length=b"K\x04", offset=b"K\x00", shape=b"K\x04\x85", strides=b"K\x01\x85"):
    return TENSOR % (length, offset, shape, strides)


def test_the_hand_made_pickle_is_otherwise_good(tmp_path) -> None:
    values = struct.pack("<4f", 1, 2, 3, 4)
    path = zip_of(tensor_pickle(), tmp_path / "x.bin", {"0": values})
    assert TorchFile(path).read("w").tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "payload",
    [
        {"w": Runs(os.system, "touch OWNED")},
        Runs(exec, "open('OWNED', 'w')"),
        {"w": Runs(eval, "open('OWNED', 'w')")},
        Runs(os.mkdir, "OWNED"),
        {"w": Runs(__import__, "antigravity")},
        {"w": Path("OWNED")},
    ],
)
@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_a_pickle_with_code_is_refused_and_does_not_run(
    payload, protocol, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = pickle.dumps(payload, protocol=protocol)
    zip_of(data, tmp_path / "new.bin")
    # The older form: magic number, protocol, system, then the payload.
    head = b"".join(
        pickle.dumps(part, protocol=2)
        for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    )
    (tmp_path / "old.bin").write_bytes(head + data)
    (tmp_path / "first.bin").write_bytes(data)
    for name in ("new.bin", "old.bin", "first.bin"):
        with pytest.raises(CheckpointError):
            TorchFile(tmp_path / name)
    assert not (tmp_path / "OWNED").exists()


@pytest.mark.parametrize(
    "module",
    [
        "os system",
        "builtins eval",
        "torch load",
        "torch._utils _rebuild",
        "torch hub",
        "posix system",
    ],
)
def test_names_that_are_no_tensors_are_named(module, tmp_path) -> None:
    first, second = module.split()
    data = f"\x80\x02c{first}\n{second}\n.".encode("latin-1")
    with pytest.raises(CheckpointError, match=f"asks for {first}.{second}"):
        TorchFile(zip_of(data, tmp_path / "x.bin"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"length": b"J\xff\xff\xff\x7f"}, "has 16 bytes, not those of"),
        ({"shape": b"J\xff\xff\xff\x7f\x85"}, "reaches beyond its storage"),
        ({"offset": b"K\x01"}, "reaches beyond its storage"),
        ({"offset": b"J\xff\xff\xff\xff"}, "where a size is expected"),
        ({"strides": b"K\x02\x85"}, "reaches beyond its storage"),
        ({"strides": b"J\xff\xff\xff\xff\x85"}, "where a size is expected"),
        ({"shape": b"K\x04K\x01\x86"}, "makes no sense"),
        ({"length": b"X\x01\x00\x00\x004"}, "where a size is expected"),
    ],
)
def test_a_tensor_cannot_reach_outside_of_its_storage(change, message, tmp_path) -> None:
    path = zip_of(tensor_pickle(**change), tmp_path / "x.bin", {"0": bytes(16)})
    with pytest.raises(CheckpointError, match=message):
        TorchFile(path)


def test_pickles_that_grow_are_harmless(tmp_path) -> None:
    # 40 lists, each holding the one before twice: 2 ** 40 elements if anyone looked at them.
    bomb = b"\x80\x02]q\x00" + b"".join(
        b"]q" + bytes([n]) + b"(h" + bytes([n - 1]) + b"h" + bytes([n - 1]) + b"e"
        for n in range(1, 40)
    )
    nested = b"\x80\x02" + b")" + b"".join(b"2\x86" for _ in range(40))
    far = b"\x80\x02}r\xff\xff\xff\x7f."
    for data in (bomb + b".", nested + b".", b"\x80\x02}" + bomb[2:] + b"K\x01s.", far):
        with pytest.raises(CheckpointError):
            TorchFile(zip_of(data, tmp_path / "x.bin"))


def test_a_compressed_archive_is_refused(tmp_path) -> None:
    with zipfile.ZipFile(tmp_path / "x.bin", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", tensor_pickle())
        archive.writestr("archive/data/0", bytes(16))
    with pytest.raises(CheckpointError, match="compressed"):
        TorchFile(tmp_path / "x.bin")


def test_a_pickle_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path) -> None:
    with zipfile.ZipFile(tmp_path / "x.bin", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(40 * 2**20))
    with pytest.raises(CheckpointError, match=r"no data\.pkl"):
        TorchFile(tmp_path / "x.bin")


@pytest.mark.parametrize(
    "name", ["../secret.safetensors", "/etc/passwd", "sub/x.safetensors", "..", "", "a\0b", 7, None]
)
def test_an_index_cannot_name_files_outside_of_its_folder(
    name, huggingface_folder, tmp_path
) -> None:
    (tmp_path / "secret.safetensors").write_bytes(
        (huggingface_folder / "model.safetensors").read_bytes()
    )
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "x.safetensors").write_bytes(b"x")
    index = {"weight_map": {"bert.embeddings.LayerNorm.bias": name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"not the name of a file|must map names"):
        open_source(folder)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"weight_map": []}', '{"weight_map": {}}', "[" * 100_000, "\xff"]
)
def test_an_index_that_is_none_is_refused(text, tmp_path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(text, encoding="latin-1")
    with pytest.raises(CheckpointError):
        open_source(tmp_path)


def test_an_index_must_agree_with_its_files(huggingface_folder, tmp_path) -> None:
    weights = (huggingface_folder / "model.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(weights)
    index = {"weight_map": {"bert.embeddings.LayerNorm.bias": "a.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="do not agree"):
        open_source(tmp_path)


def safetensors_bytes(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


@pytest.mark.parametrize(
    "content",
    [
        safetensors_bytes({}, length=2**63),
        safetensors_bytes({}, length=200 * 2**20),
        safetensors_bytes(
            {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 4]}}, b"1234"
        ),
        safetensors_bytes({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 400]}}, b"1234"),
        safetensors_bytes({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}, b"1234"),
        safetensors_bytes({"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}, b"1234"),
        safetensors_bytes(
            {
                "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
                "b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
            },
            b"1234",
        ),
        safetensors_bytes([]),
        b"",
        b"1234567",
    ],
)
def test_headers_that_lie_are_refused(content, tmp_path) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError):
        SafetensorsFile(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    "content",
    [
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",  # an entry of 2 ** 63 bytes
        b"\x0a\x0a\x0a\x01x\x12\x05\x08\xff\xff\xff\x7f",  # a shape without content
        b"\xff" * 64,
        b"\x0a\x02\x0a\x00" * 1000,
        b"x",
    ],
)
def test_messages_that_lie_are_refused(content, tmp_path) -> None:
    (tmp_path / "x.ckpt").write_bytes(content)
    with pytest.raises(CheckpointError):
        MindSporeFile(tmp_path / "x.ckpt")


def test_a_checkpoint_of_tensorflow_that_is_none(tmp_path) -> None:
    for content in (b"x", bytes(48), bytes(40) + bytes.fromhex("57fb808b247547db"), b"\xff" * 60):
        (tmp_path / "x.index").write_bytes(content)
        with pytest.raises(CheckpointError):
            TensorFlowCheckpoint(tmp_path / "x")


@pytest.mark.parametrize("kind", ["device", "pipe", "folder"])
def test_only_regular_files_are_read(kind, tmp_path) -> None:
    path = tmp_path / "x.ckpt"
    if kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(CheckpointError):
        MindSporeFile(path)


def test_a_failed_conversion_leaves_nothing(huggingface_folder, tmp_path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for path in huggingface_folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    convert(Conversion(folder, tmp_path / "bin", "pytorch"))
    data = bytearray((tmp_path / "bin" / "pytorch_model.bin").read_bytes())
    (tmp_path / "bin" / "sha256sums.txt").unlink()
    with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive:
        last = max(archive.infolist(), key=lambda entry: entry.file_size)
    data[last.header_offset + 200] ^= 1
    (tmp_path / "bin" / "pytorch_model.bin").write_bytes(data)
    for target in ("mindmlm", "huggingface", "mindspore", "pytorch"):
        with pytest.raises(CheckpointError, match="damaged"):
            convert(Conversion(tmp_path / "bin", tmp_path / "out", target))
        assert {path.name for path in tmp_path.iterdir()} == {"in", "bin"}
