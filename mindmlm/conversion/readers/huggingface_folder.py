"""A folder as transformers' `save_pretrained` writes it: weights in one file or in shards."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mindmlm.conversion.folder_checksums import verify_checksums
from mindmlm.conversion.json_files import plain_file, read_json_object
from mindmlm.conversion.readers.safetensors_files import SafetensorsFile
from mindmlm.conversion.readers.torch_bin import TorchFile
from mindmlm.conversion.source import TensorInfo, TensorSource
from mindmlm.errors import CheckpointError

FORMAT = "huggingface"
# In the order in which transformers looks for them.
_READERS: tuple[tuple[str, Callable[[Path], TensorSource]], ...] = (
    ("model.safetensors", SafetensorsFile),
    ("pytorch_model.bin", TorchFile),
)
INDEX_SUFFIX = ".index.json"
WEIGHT_NAMES = tuple(name for stem, _ in _READERS for name in (stem, stem + INDEX_SUFFIX))
_MAX_SHARDS = 10_000


class HuggingFaceFolder:
    """The weights of a folder; `sha256sums.txt` in it, which our writer makes, is verified.

    Raises:
        CheckpointError: there are none, or they are damaged, or the index contradicts them.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.format = FORMAT
        self._shards: list[TensorSource] = []
        verify_checksums(folder)
        for name, reader in _READERS:
            if (folder / name).is_file():
                self._shards = [reader(folder / name)]
            elif (folder / (name + INDEX_SUFFIX)).is_file():
                self._shards = _open_shards(folder / (name + INDEX_SUFFIX), reader)
            if self._shards:
                break
        else:
            raise CheckpointError(f"{folder}: has none of {', '.join(WEIGHT_NAMES)}")
        self._holders = {name: shard for shard in self._shards for name in shard.tensors}
        self.tensors: dict[str, TensorInfo] = {
            name: shard.tensors[name] for name, shard in self._holders.items()
        }

    def read(self, name: str) -> np.ndarray:
        """Return a tensor; see `TensorSource`."""
        return self._holders[name].read(name)


def _open_shards(index: Path, reader: Callable[[Path], TensorSource]) -> list[TensorSource]:
    """Open the files that an index names, and check that they hold what it says."""
    places = read_json_object(index).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise CheckpointError(f"{index}: weight_map is missing or empty")
    if not all(isinstance(name, str) for name in places.values()):
        raise CheckpointError(f"{index}: weight_map must map names to file names")
    names = sorted(set(places.values()))
    if len(names) > _MAX_SHARDS:
        raise CheckpointError(f"{index}: names {len(names)} files")
    paths = [plain_file(index.parent, name, index) for name in names]
    shards = {name: reader(path) for name, path in zip(names, paths, strict=True)}
    for name, shard in shards.items():
        listed = {tensor for tensor, place in places.items() if place == name}
        wrong = sorted(listed ^ set(shard.tensors))
        if wrong:
            raise CheckpointError(
                f"{index}: it and {name} do not agree on {len(wrong)} tensors, such as {wrong[0]}"
            )
    return list(shards.values())
