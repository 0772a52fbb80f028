"""Files in S3, OSS, OBS and HDFS, through fsspec."""

import errno
import io
import ipaddress
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from mindmlm.data.sources.optional import require
from mindmlm.data.sources.secrets import read_secret_file
from mindmlm.data.sources.stored_file import StoredFile
from mindmlm.errors import DataError

_READ_AHEAD = 4 << 20
_WEBHDFS_PORT = 9870


@dataclass(frozen=True)
class Access:
    """How object stores are reached.

    Attributes:
        endpoint_url: the store's address, e.g. https://oss-cn-hangzhou.aliyuncs.com; needed for
            oss:// and obs://; "" = S3_ENDPOINT of the environment for s3:// and obs:// (ModelArts
            sets it), else Amazon's for s3://, and port 9870 of the host for hdfs://.
        credentials_file: a YAML file that only its owner may read, with the names of `KEY_NAMES`;
            "" = the environment variables of these names, or of `MODELARTS_NAMES`.
    """

    endpoint_url: str = ""
    credentials_file: str = ""


KEY_NAMES: dict[str, tuple[str, ...]] = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    "oss": ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN"),
    "obs": ("OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY", "OBS_SESSION_TOKEN"),
    "hdfs": ("HADOOP_USER_NAME", "HADOOP_DELEGATION_TOKEN"),
}
# What ModelArts sets in its jobs, where addresses of OBS are written s3:// or obs://.
MODELARTS_NAMES = ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "S3_SECURITY_TOKEN")
ENDPOINT_NAME = "S3_ENDPOINT"
_OF_MODELARTS = ("s3", "obs")
_DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Store:
    """One store, as the files under an address need it.

    Args:
        url: s3://bucket/key, oss://bucket/key, obs://bucket/key or hdfs://host/path.
        access: see `Access`.

    Raises:
        DataError: another kind of address, keys in it, no endpoint, bad credentials, or fsspec is
            not installed.
    """

    def __init__(self, url: str, access: Access) -> None:
        parts = urlsplit(url)
        self._scheme = parts.scheme.lower()
        if self._scheme not in KEY_NAMES:
            known = ", ".join(f"{scheme}://" for scheme in KEY_NAMES)
            raise DataError(f"{parts.scheme}:// is not known; expected {known} or a path")
        if "@" in parts.netloc:
            raise DataError(
                f"{self._scheme}://...: keys do not belong in an address, which is written to logs "
                f"and checkpoints; set {' and '.join(KEY_NAMES[self._scheme][:2])} in the "
                "environment, or train_dataset.data_loader.credentials_file"
            )
        self._keys = _keys(self._scheme, access)
        self._secrets = [value for value in self._keys[1:] if value]
        purpose = f"{self._scheme}://"
        fsspec = require("fsspec", "cloud", purpose)
        if self._scheme == "hdfs":
            require("requests", "cloud", purpose)
            kind, options = "webhdfs", _webhdfs_options(parts.hostname or "", self._keys, access)
        else:
            require("s3fs", "cloud", purpose)
            kind, options = "s3", _s3_options(self._scheme, self._keys, access)
        self._filesystem = fsspec.filesystem(
            kind, skip_instance_cache=True, use_listings_cache=False, **options
        )
        host = parts.netloc if self._scheme == "hdfs" else ""
        self._root = f"{self._scheme}://{host}"

    def files(self, url: str) -> tuple[list["RemoteFile"], bool]:
        """Return the files at an address, sorted by name, and whether it is a folder.

        The address of a file gives that one; of a folder the files in it, not those in its
        folders; with * ? [ the files that match.

        Raises:
            DataError: there is nothing, or the store cannot be reached or refuses.
        """
        path = self._path(url)
        found: list[dict[str, Any]]
        if any(character in path for character in "*?["):
            matches = self._call(url, lambda: self._filesystem.glob(path, detail=True))
            found, is_folder = list(matches.values()), False
        else:
            info = self._call(url, lambda: self._filesystem.info(path))
            is_folder = info["type"] == "directory"
            found = (
                self._call(url, lambda: self._filesystem.ls(path, detail=True))
                if is_folder
                else [info]
            )
        files = [self._file(info) for info in found if info["type"] == "file"]
        return sorted(files, key=lambda file: file.name), is_folder

    def tree(self, url: str) -> dict[str, "RemoteFile"]:
        """Return all files below an address by their paths relative to it; empty: there are none.

        The address of a file gives that one by its name.

        Raises:
            OSError: the store cannot be reached or refuses (PermissionError).
        """
        root = self._path(url).rstrip("/")
        with _as_os_error(self._redacted):
            found = self._filesystem.find(root, detail=True)
        files = [self._file(info) for info in found.values() if info["type"] == "file"]
        return {
            file.path.removeprefix(root).lstrip("/") or file.path.rpartition("/")[2]: file
            for file in files
        }

    def get(self, path: str, target: Path, advanced: Callable[[int], None]) -> None:
        """Copy a file of the store into a local one; `advanced` is told of every few bytes.

        Raises:
            OSError: the file cannot be read, or the local one not written.
        """
        with _as_os_error(self._redacted):
            self._filesystem.get_file(path, str(target), callback=_progress(advanced))

    def put(self, source: Path, url: str) -> None:
        """Copy a local file into the store; it appears there whole or not at all.

        Raises:
            OSError: the file cannot be read, or the store refuses.
        """
        with _as_os_error(self._redacted):
            self._filesystem.put_file(str(source), self._path(url))

    def delete(self, url: str) -> None:
        """Delete a file of the store; it need not be there.

        Raises:
            OSError: the store refuses.
        """
        with suppress(FileNotFoundError), _as_os_error(self._redacted):
            self._filesystem.rm_file(self._path(url))

    def open(self, path: str) -> BinaryIO:
        """Open a file by its path in the store.

        Raises:
            OSError: it cannot be opened.
        """
        with _as_os_error(self._redacted):
            stream = self._filesystem.open(path, "rb", block_size=_READ_AHEAD)
        return io.BufferedReader(_RemoteReader(stream, self._redacted), 1 << 18)

    def _path(self, url: str) -> str:
        path = url.partition("://")[2]
        return "/" + path.partition("/")[2] if self._scheme == "hdfs" else path

    def _file(self, info: Mapping[str, Any]) -> "RemoteFile":
        path = str(info["name"])
        stamp = info.get("ETag") or info.get("LastModified") or info.get("modificationTime")
        return RemoteFile(self, path, self._root + path, info["size"], str(stamp))

    def _call(self, url: str, action: Callable[[], Any]) -> Any:
        try:
            with _as_os_error(self._redacted):
                return action()
        except FileNotFoundError:
            raise DataError(f"{url}: no such file or folder") from None
        except PermissionError as error:
            hint = "" if self._secrets else f"; no keys were given: {self._where_keys_come_from()}"
            raise DataError(f"{url}: access denied: {error}{hint}") from None
        except OSError as error:
            raise DataError(f"{url}: cannot reach the store: {error}") from None

    def _where_keys_come_from(self) -> str:
        names = " and ".join(KEY_NAMES[self._scheme][:2])
        return f"set {names} in the environment or in train_dataset.data_loader.credentials_file"

    def _redacted(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


@dataclass(frozen=True)
class RemoteFile(StoredFile):
    """A file of a store, as it was when it was listed."""

    store: Store
    path: str
    address: str
    bytes_stored: int
    stamp: str

    @property
    def name(self) -> str:
        """The address."""
        return self.address

    def size(self) -> int:
        """Return the bytes stored."""
        return self.bytes_stored

    def identity(self) -> list[Any]:
        """Return address, size and entity tag (or time of change)."""
        return [self.address, self.bytes_stored, self.stamp]

    def open(self) -> BinaryIO:
        """Open for reading."""
        return self.store.open(self.path)


class _as_os_error:
    """Gives the many kinds of errors of the libraries below fsspec one type, without secrets."""

    def __init__(self, redacted: Callable[[str], str]) -> None:
        self._redacted = redacted

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: object) -> None:
        if error is None or not isinstance(error, Exception):
            return
        if isinstance(error, OSError) and error.errno in _DISK_IS_FULL:
            return  # of this machine, not of the store
        kinds = (FileNotFoundError, PermissionError)
        new = next((known for known in kinds if isinstance(error, known)), OSError)
        message = self._redacted(str(error)) or type(error).__name__
        raise new(" ".join(message.split())) from None


class _RemoteReader(io.RawIOBase):
    def __init__(self, stream: Any, redacted: Callable[[str], str]) -> None:
        super().__init__()
        self._stream = stream
        self._redacted = redacted

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        position: int = self._stream.seek(offset, whence)
        return position

    def readinto(self, buffer: Any) -> int:
        with _as_os_error(self._redacted):
            data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def _progress(advanced: Callable[[int], None]) -> Any:
    """A callback of fsspec that passes on how many bytes have come."""
    from fsspec.callbacks import Callback

    class Progress(Callback):
        def relative_update(self, inc: int = 1) -> None:
            advanced(inc)

    return Progress()


def _keys(scheme: str, access: Access) -> tuple[str, ...]:
    names = KEY_NAMES[scheme]
    given: Mapping[str, str] = os.environ
    if access.credentials_file:
        given = read_secret_file(Path(access.credentials_file), names)
    elif scheme in _OF_MODELARTS and not given.get(names[0]):
        names = MODELARTS_NAMES
    return tuple(given.get(name, "") for name in names)


def _endpoint_of_modelarts(scheme: str) -> str:
    """The endpoint that ModelArts gives to a job, where the user has named none."""
    text = os.environ.get(ENDPOINT_NAME, "") if scheme in _OF_MODELARTS else ""
    return f"https://{text}" if text and "://" not in text else text


def _s3_options(scheme: str, keys: tuple[str, ...], access: Access) -> dict[str, Any]:
    access = replace(access, endpoint_url=access.endpoint_url or _endpoint_of_modelarts(scheme))
    if scheme != "s3" and not access.endpoint_url:
        raise DataError(
            f"{scheme}:// needs train_dataset.data_loader.endpoint_url, the address of the region, "
            "e.g. https://oss-cn-hangzhou.aliyuncs.com or "
            "https://obs.cn-north-4.myhuaweicloud.com"
            + (f" (or {ENDPOINT_NAME} in the environment)" if scheme in _OF_MODELARTS else "")
        )
    identifier, secret, token = keys
    style = "virtual" if scheme != "s3" and _has_domain(access.endpoint_url) else "auto"
    return {
        "key": identifier or None,
        "secret": secret or None,
        "token": token or None,
        "anon": not (identifier and secret),
        "endpoint_url": access.endpoint_url or None,
        "default_cache_type": "readahead",
        # Other stores than Amazon's refuse the checksums that botocore adds by itself.
        "config_kwargs": {
            "s3": {"addressing_style": style},
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        },
    }


def _has_domain(endpoint_url: str) -> bool:
    """Return whether buckets can be sub-domains of the endpoint."""
    host = urlsplit(endpoint_url).hostname or "localhost"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host != "localhost"
    return False


def _webhdfs_options(host: str, keys: tuple[str, ...], access: Access) -> dict[str, Any]:
    endpoint = urlsplit(access.endpoint_url or f"http://{host}:{_WEBHDFS_PORT}")
    if not endpoint.hostname:
        raise DataError(
            "hdfs:// needs a host (hdfs://namenode/path) or train_dataset.data_loader.endpoint_url "
            f"(http://namenode:{_WEBHDFS_PORT})"
        )
    user, token = keys
    return {
        "host": endpoint.hostname,
        "port": endpoint.port or _WEBHDFS_PORT,
        "use_https": endpoint.scheme == "https",
        "user": user or None if not token else None,
        "token": token or None,
    }
