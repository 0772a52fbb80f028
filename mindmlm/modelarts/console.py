"""What ModelArts' console calls things, said in the words of the configuration. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mindmlm.errors import ConfigError
from mindmlm.modelarts.remote import is_address

_LOADER = "train_dataset.data_loader.type"
# A dataset_id says by its ending how it is read.
_LOADERS = {".mindrecord": "MindDataset", ".tfrecord": "TFRecordDataset"}


@dataclass(frozen=True)
class DataSet:
    """The data of a job.

    Args:
        base: folder or address, `--dataset`.
        name: file or folder in it, `--dataset_id`; "" = all of it.
    """

    base: str
    name: str = ""

    @property
    def is_remote(self) -> bool:
        """Whether it has to be downloaded."""
        return is_address(self.base)

    def wanted(self) -> Callable[[str], bool]:
        """What of the folder is needed, by names: a file with its `.db`, or a folder."""
        if not self.name:
            return lambda name: True
        return lambda name: (
            name in (self.name, f"{self.name}.db") or name.startswith(self.name + "/")
        )

    def loader_option(self) -> tuple[str, ...]:
        """An option that sets how records are read, where the ending says so."""
        loader = _LOADERS.get(PurePosixPath(self.name).suffix)
        return (f"{_LOADER}={loader}",) if loader else ()

    def local_path(self, folder: Path) -> Path:
        """The data in a folder of this machine.

        Raises:
            ConfigError: it is not there, or the index of MindRecord files is not.
        """
        path = folder / self.name if self.name else folder
        if not path.exists():
            known = sorted(item.name for item in folder.iterdir())[:10] if folder.is_dir() else []
            there = f"; there are {', '.join(known)}" if known else ""
            raise ConfigError(f"--dataset_id {self.name}: not in {self.base}{there}")
        index = path.with_name(path.name + ".db")
        if path.suffix == ".mindrecord" and path.is_file() and not index.exists():
            raise ConfigError(
                f"--dataset_id {self.name}: {index.name} is not beside it; a MindRecord file is "
                "read by its index, so put both into the folder of --dataset"
            )
        return path


def dataset(console: Mapping[str, str], flags: Mapping[str, object]) -> DataSet | None:
    """The data that the flags name; None when they name none.

    Args:
        console: flag to text, of `dataset`, `data_url` and `dataset_id`.
        flags: the named flags of the configuration.

    Raises:
        ConfigError: the flags contradict each other, or dataset_id leads out of the folder.
    """
    base = _one_of("dataset", "data_url", console)
    name = console.get("dataset_id", "").strip("/")
    if name and not base:
        raise ConfigError("--dataset_id: names a file of the folder --dataset, which is missing")
    if not base:
        return None
    if flags.get("dataset_dir") is not None:
        raise ConfigError("--dataset_dir: --dataset names the data already; give one of the two")
    if ".." in PurePosixPath(name).parts or console.get("dataset_id", "").startswith("/"):
        raise ConfigError(f"--dataset_id {name}: expected the name of something in --dataset")
    return DataSet(base, name)


def remote_flags(console: Mapping[str, str], flags: Mapping[str, object]) -> dict[str, object]:
    """The flags with `--train_url` as what it stands for.

    Raises:
        ConfigError: it contradicts --remote_save_url.
    """
    given = {"train_url": console.get("train_url", "")}
    if flags.get("remote_save_url"):
        given["remote_save_url"] = str(flags["remote_save_url"])
    url = _one_of("remote_save_url", "train_url", given)
    return {**flags, "remote_save_url": url} if url else dict(flags)


def _one_of(first: str, second: str, given: Mapping[str, str]) -> str:
    one, other = given.get(first, ""), given.get(second, "")
    if one and other and one != other:
        raise ConfigError(f"--{second} {other}: contradicts --{first} {one}; give one of the two")
    return one or other
