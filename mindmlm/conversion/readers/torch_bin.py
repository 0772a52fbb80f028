"""PyTorch's `pytorch_model.bin`, without PyTorch: the zip form (1.6 and later) and the older one.

Zip form: `NAME/data.pkl` describes the tensors, `NAME/data/KEY` holds their numbers, stored
uncompressed with a CRC-32 each. Older form (`torch/serialization.py`, `_legacy_save`): five
pickles in a row, then for each storage its length (8 bytes) and its numbers.
"""

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from mindmlm.conversion.readers.pickle_program import Storage, StridedTensor, run_pickle
from mindmlm.conversion.source import BFLOAT16, MappedFile, TensorInfo, decode, item_size
from mindmlm.errors import CheckpointError

FORMAT = "pytorch"
MAX_PICKLE_BYTES = 16 * 2**20
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_CHUNK_BYTES = 8 * 2**20


class TorchFile:
    """A state dict that `torch.save` wrote.

    Raises:
        CheckpointError: damaged, not such a file, or a pickle that wants more than tensors.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.format = FORMAT
        self._file = MappedFile(path)
        is_zip = bytes(self._file.view[:4]) == b"PK\x03\x04"
        content, self._storages = (self._read_zip if is_zip else self._read_legacy)()
        self._strided = _tensors_of(content, path)
        self.tensors = {
            name: TensorInfo(tensor.storage.dtype, tensor.shape)
            for name, tensor in self._strided.items()
        }
        for tensor in self._strided.values():
            self._check(tensor.storage)
        self._verified: set[str] = set()

    def _read_zip(self) -> tuple[Any, dict[str, tuple[int, int, int | None]]]:
        """Return the content of the pickle, and offset, bytes and CRC-32 of every storage."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                entries = archive.infolist()
                pickles = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
                if len(pickles) != 1 or pickles[0].file_size > MAX_PICKLE_BYTES:
                    raise CheckpointError(f"{self.path}: not a file of torch.save (no data.pkl)")
                data = archive.read(pickles[0])
                prefix = pickles[0].filename.removesuffix("data.pkl")
                if f"{prefix}byteorder" in archive.namelist():
                    order = archive.read(f"{prefix}byteorder")[:16]
                    if order != b"little":
                        raise CheckpointError(f"{self.path}: its byte order is {order!r}")
        except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, EOFError) as error:
            raise CheckpointError(f"{self.path}: the zip archive is damaged: {error}") from None
        except (zlib.error, ValueError) as error:
            raise CheckpointError(f"{self.path}: the zip archive is damaged: {error}") from None
        content = run_pickle(io.BytesIO(data), f"{self.path}: data.pkl")
        folder = f"{prefix}data/"
        return content, {
            entry.filename.removeprefix(folder): self._place(entry)
            for entry in entries
            if entry.filename.startswith(folder)
        }

    def _place(self, entry: zipfile.ZipInfo) -> tuple[int, int, int | None]:
        """Return where the bytes of a stored entry lie; the local header may differ in length."""
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise CheckpointError(f"{self.path}: {entry.filename} is compressed or encrypted")
        header = self._file.bytes_at(entry.header_offset, 30, f"the header of {entry.filename}")
        if bytes(header[:4]) != b"PK\x03\x04":
            raise CheckpointError(f"{self.path}: the header of {entry.filename} is damaged")
        name, extra = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
        return entry.header_offset + 30 + name + extra, entry.file_size, entry.CRC

    def _read_legacy(self) -> tuple[Any, dict[str, tuple[int, int, int | None]]]:
        stream = io.BytesIO(bytes(self._file.view[:MAX_PICKLE_BYTES]))
        name = f"{self.path}"
        if bytes(self._file.view[:1]) != b"\x80" or run_pickle(stream, name) != _LEGACY_MAGIC:
            raise CheckpointError(f"{self.path}: not a file that torch.save wrote")
        if run_pickle(stream, name) != _LEGACY_PROTOCOL:
            raise CheckpointError(f"{self.path}: written by an unknown version of torch.save")
        system = run_pickle(stream, name)
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise CheckpointError(f"{self.path}: not written on a little-endian machine")
        content = run_pickle(stream, name)
        keys = run_pickle(stream, name)
        if not isinstance(keys, list):
            raise CheckpointError(f"{self.path}: the list of storages is damaged")
        return content, self._legacy_places(content, keys, stream.tell())

    def _legacy_places(
        self, content: Any, keys: list[Any], offset: int
    ) -> dict[str, tuple[int, int, int | None]]:
        storages = {
            tensor.storage.key: tensor.storage
            for tensor in _tensors_of(content, self.path).values()
        }
        places: dict[str, tuple[int, int, int | None]] = {}
        for key in map(str, keys):
            count = int.from_bytes(self._file.bytes_at(offset, 8, f"storage {key}"), "little")
            if key not in storages or count != storages[key].length:
                raise CheckpointError(f"{self.path}: storage {key} does not have its length")
            length = count * item_size(storages[key].dtype)
            self._file.bytes_at(offset + 8, length, f"storage {key}")
            places[key] = (offset + 8, length, None)
            offset += 8 + length
        if offset != self._file.size:
            raise CheckpointError(f"{self.path}: {self._file.size - offset} bytes too many")
        return places

    def _check(self, storage: Storage) -> None:
        if storage.key not in self._storages:
            raise CheckpointError(f"{self.path}: storage {storage.key} is missing")
        length = self._storages[storage.key][1]
        if length != storage.length * item_size(storage.dtype):
            raise CheckpointError(
                f"{self.path}: storage {storage.key} has {length} bytes, not those of "
                f"{storage.length} x {storage.dtype}"
            )
        self._file.bytes_at(self._storages[storage.key][0], length, f"storage {storage.key}")

    def read(self, name: str) -> np.ndarray:
        """Return a tensor; see `TensorSource`."""
        tensor = self._strided[name]
        key, dtype = tensor.storage.key, tensor.storage.dtype
        offset, length, crc = self._storages[key]
        data = self._file.bytes_at(offset, length, f"storage {key}")
        if crc is not None and key not in self._verified:
            if _crc32(data) != crc:
                raise CheckpointError(
                    f"{self.path}: {name} is damaged: its CRC-32 is not the archive's"
                )
            self._verified.add(key)
        size = item_size(dtype)
        stored = np.frombuffer(data, "<u2" if dtype == BFLOAT16 else dtype)
        strides = [step * size for step in tensor.strides]
        # The bounds were checked when the pickle was read.
        view = np.lib.stride_tricks.as_strided(
            stored[tensor.offset :], tensor.shape, strides, writeable=False
        )
        if dtype != BFLOAT16:
            return view
        return decode(np.ascontiguousarray(view).tobytes(), self.tensors[name])


def _tensors_of(content: Any, path: Path) -> dict[str, StridedTensor]:
    """Return the tensors of a state dict.

    Raises:
        CheckpointError: something else is in it.
    """
    if not isinstance(content, dict) or not content:
        raise CheckpointError(f"{path}: holds no dictionary of tensors (a state dict)")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, StridedTensor):
            raise CheckpointError(
                f"{path}: {name!r} is no tensor, so this is not a state dict but something around "
                "one; save model.state_dict() alone"
            )
    return content


def _crc32(data: memoryview) -> int:
    value = 0
    for start in range(0, len(data), _CHUNK_BYTES):
        value = zlib.crc32(data[start : start + _CHUNK_BYTES], value)
    return value
