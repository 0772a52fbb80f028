"""`sha256sums.txt`: what a folder of plain files should hold, in the format of `sha256sum`."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from mindmlm.checkpoint.manifest import read_small_file
from mindmlm.errors import CheckpointError
from mindmlm.runtime.files import new_file

CHECKSUM_NAME = "sha256sums.txt"
CARD_NAME = "README.md"
_LINE = re.compile(r"([0-9a-f]{64})  ([^/\0]+)")
_CHUNK_BYTES = 4 * 2**20


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def write_checksums(folder: Path, known: Mapping[str, str]) -> None:
    """Write the sums of the files of ``folder``; those in ``known`` are not read again.

    The model card is left out: people are meant to edit it.

    Raises:
        OSError: a file cannot be read or written.
    """
    names = sorted(path.name for path in folder.iterdir() if path.name != CARD_NAME)
    sums = {name: known.get(name) or sha256_of(folder / name) for name in names}
    lines = "".join(f"{value}  {name}\n" for name, value in sums.items())
    with new_file(folder / CHECKSUM_NAME) as file:
        file.write(lines.encode("utf-8"))


def verify_checksums(folder: Path) -> None:
    """Compare the files of ``folder`` with the list, where it has one.

    Raises:
        CheckpointError: a file is missing or another one, or the list is damaged.
    """
    if not (folder / CHECKSUM_NAME).is_file():
        return
    text = read_small_file(folder / CHECKSUM_NAME, 2**20).decode("utf-8", errors="replace")
    matches = [_LINE.fullmatch(line) for line in text.splitlines()]
    if None in matches or not matches:
        raise CheckpointError(f"{folder / CHECKSUM_NAME}: not a list of sums; remove it to go on")
    for digest, name in (match.groups() for match in matches if match):
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder}: {name} is missing, which {CHECKSUM_NAME} lists")
        if sha256_of(folder / name) != digest:
            raise CheckpointError(
                f"{folder / name}: damaged: its SHA-256 is not the one in {CHECKSUM_NAME}; if it "
                f"was changed on purpose, remove {CHECKSUM_NAME}"
            )
