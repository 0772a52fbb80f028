"""The calls of moxing.file that mindmlm makes, over a folder, as Huawei documents them."""

import shutil
from pathlib import Path
from types import ModuleType, SimpleNamespace


class File:
    def __init__(self, root: Path, whole_addresses: bool) -> None:
        self._root = root
        self._whole = whole_addresses

    def _path(self, address: str) -> Path:
        known = address.startswith("obs://")
        return self._root / address.removeprefix("obs://") if known else Path(address)

    def exists(self, address: str) -> bool:
        return self._path(address).exists()

    def is_directory(self, address: str) -> bool:
        return self._path(address).is_dir()

    def list_directory(self, address: str, recursive: bool = False) -> list[str]:
        root = self._path(address)
        found = sorted(root.rglob("*") if recursive else root.iterdir())
        names = [str(path.relative_to(root)) for path in found]
        return [f"{address}/{name}" if self._whole else name for name in names]

    def stat(self, address: str) -> SimpleNamespace:
        status = self._path(address).stat()
        return SimpleNamespace(length=status.st_size, mtime_nsec=status.st_mtime_ns)

    def copy(self, source: str, target: str) -> None:
        if "forbidden" in target:
            raise RuntimeError("copy failed: status=403, code=AccessDenied")
        path = self._path(target)
        if target.startswith("obs://"):
            path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self._path(source), path)

    def remove(self, address: str) -> None:
        self._path(address).unlink()


def module(root: Path, whole_addresses: bool = False) -> ModuleType:
    found = ModuleType("moxing")
    found.__spec__ = SimpleNamespace(name="moxing")  # type: ignore[assignment]
    found.file = File(root, whole_addresses)  # type: ignore[attr-defined]
    return found
