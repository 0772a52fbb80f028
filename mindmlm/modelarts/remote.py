"""A folder in another place: an object store, moxing's view of one, or a plain folder."""

import importlib.util
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from mindmlm.data.sources.object_store import Access, Store
from mindmlm.errors import DataError
from mindmlm.runtime.files import atomic_file

_OF_MOXING = ("obs://", "s3://")
_CHUNK = 4 << 20

Advanced = Callable[[int], None]


@dataclass(frozen=True)
class RemoteEntry:
    """A file as it was listed: its bytes, and a text that changes with its content."""

    size: int
    stamp: str


class Remote(Protocol):
    """Files by their names relative to one address, with `/` between folders.

    All methods raise OSError: PermissionError where keys are wrong, FileNotFoundError where a file
    is gone. Reading may be repeated; a file appears whole or not at all.
    """

    url: str

    def files(self) -> dict[str, RemoteEntry]:
        """All files below; none when there is nothing."""

    def download(self, name: str, target: Path, advanced: Advanced) -> None:
        """Copy a file into `target`, telling `advanced` of every few bytes."""

    def upload(self, source: Path, name: str) -> None:
        """Copy a local file to `name`."""

    def delete(self, name: str) -> None:
        """Delete a file; it need not be there."""


def is_address(text: str) -> bool:
    """Whether the text is an address with a scheme, such as obs://."""
    return "://" in text


def check_address(url: str) -> None:
    """Refuse keys in an address, before it is written to any log.

    Raises:
        DataError: there are some; the message does not show them.
    """
    scheme, separator, rest = url.partition("://")
    if separator and "@" in rest.partition("/")[0]:
        raise DataError(
            f"{scheme}://...: keys do not belong in an address, which is written to logs; set them "
            "in the environment (docs/modelarts.md)"
        )


def open_remote(url: str, endpoint_url: str = "") -> Remote:
    """Return the folder at an address.

    Args:
        url: obs://, s3:// or another address of an object store; or the path of a folder.
        endpoint_url: of the store; "" = as the environment says.

    Raises:
        DataError: the address cannot work; see `Store`.
    """
    if not is_address(url):
        return FolderRemote(url)
    if url.startswith(_OF_MOXING) and importlib.util.find_spec("moxing") is not None:
        return MoxingRemote(url)
    return StoreRemote(url, Store(url, Access(endpoint_url)))


def check_name(name: str, url: str) -> str:
    """Return the name; a listing must not lead out of the folder that it is copied to.

    Raises:
        DataError: it would.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
        raise DataError(f"{url}: holds a file named {name!r}, which is refused")
    return name


class StoreRemote:
    """An object store through fsspec."""

    def __init__(self, url: str, store: Store) -> None:
        self.url = url.rstrip("/")
        self._store = store
        self._paths: dict[str, str] = {}

    def files(self) -> dict[str, RemoteEntry]:
        """See `Remote`."""
        found = self._store.tree(self.url)
        self._paths = {name: file.path for name, file in found.items()}
        return {name: RemoteEntry(file.size(), file.stamp) for name, file in found.items()}

    def download(self, name: str, target: Path, advanced: Advanced) -> None:
        """See `Remote`; `files` must have listed it."""
        self._store.get(self._paths[name], target, advanced)

    def upload(self, source: Path, name: str) -> None:
        """See `Remote`."""
        self._store.put(source, f"{self.url}/{name}")

    def delete(self, name: str) -> None:
        """See `Remote`."""
        self._store.delete(f"{self.url}/{name}")


class FolderRemote:
    """A folder: what the platform itself brings and takes away, or a shared disk."""

    def __init__(self, path: str) -> None:
        self.url = path
        self._root = Path(path)

    def files(self) -> dict[str, RemoteEntry]:
        """See `Remote`."""
        return {
            str(path.relative_to(self._root)): RemoteEntry(
                (status := path.stat()).st_size, str(status.st_mtime_ns)
            )
            for path in sorted(self._root.rglob("*"))
            if path.is_file() and path.suffix != ".tmp"
        }

    def download(self, name: str, target: Path, advanced: Advanced) -> None:
        """See `Remote`."""
        with (self._root / name).open("rb") as source, target.open("wb") as file:
            while data := source.read(_CHUNK):
                file.write(data)
                advanced(len(data))

    def upload(self, source: Path, name: str) -> None:
        """See `Remote`."""
        target = self._root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as data, atomic_file(target) as file:
            shutil.copyfileobj(data, file, _CHUNK)

    def delete(self, name: str) -> None:
        """See `Remote`; a folder that becomes empty goes too."""
        path = self._root / name
        path.unlink(missing_ok=True)
        if path.parent != self._root and path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()


class MoxingRemote:
    """Huawei's moxing, which is in the images of ModelArts and has its keys from the platform."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        # Its import is slow and prints; only a job that copies pays for it.
        import moxing

        self._file: Any = moxing.file

    def files(self) -> dict[str, RemoteEntry]:
        """See `Remote`."""
        with _MoxingErrors():
            if not self._file.exists(self.url):
                return {}
            if not self._file.is_directory(self.url):
                return {self.url.rpartition("/")[2]: self._entry(self.url)}
            listed = self._file.list_directory(self.url, recursive=True)
            # Some versions give whole addresses, and all of them folders too.
            names = {name.removeprefix(self.url).strip("/") for name in listed}
            addresses = {name: f"{self.url}/{name}" for name in names if name}
            return {
                name: self._entry(address)
                for name, address in sorted(addresses.items())
                if not self._file.is_directory(address)
            }

    def download(self, name: str, target: Path, advanced: Advanced) -> None:
        """See `Remote`; progress comes by whole files."""
        single = not self._file.is_directory(self.url)
        with _MoxingErrors():
            self._file.copy(self.url if single else f"{self.url}/{name}", str(target))
        advanced(target.stat().st_size)

    def upload(self, source: Path, name: str) -> None:
        """See `Remote`."""
        with _MoxingErrors():
            self._file.copy(str(source), f"{self.url}/{name}")

    def delete(self, name: str) -> None:
        """See `Remote`."""
        with _MoxingErrors():
            if self._file.exists(f"{self.url}/{name}"):
                self._file.remove(f"{self.url}/{name}")

    def _entry(self, address: str) -> RemoteEntry:
        status = self._file.stat(address)
        return RemoteEntry(int(status.length), str(getattr(status, "mtime_nsec", "")))


class _MoxingErrors:
    """Gives moxing's errors one type; its messages name the status of the answer."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: object) -> None:
        if error is None or not isinstance(error, Exception) or isinstance(error, OSError):
            return
        text = " ".join(str(error).split()) or type(error).__name__
        for name in ("OBS_SECRET_ACCESS_KEY", "S3_SECRET_ACCESS_KEY"):
            secret = os.environ.get(name)
            text = text.replace(secret, "***") if secret else text
        refused = "403" in text or "AccessDenied" in text or "Forbidden" in text
        raise (PermissionError if refused else OSError)(text) from None
