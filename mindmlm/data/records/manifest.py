"""What stands beside a finished record file: checksums, and what is in it."""

import hashlib
import json
import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mindmlm.errors import DataError

logger = logging.getLogger(__name__)

MANIFEST_SUFFIX = ".manifest.json"
FORMAT_VERSION = 1
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Manifest:
    """Describes one record file (with its index).

    Attributes:
        files: name -> {"sha256", "size"}.
        rows: how many.
        form: "static", "dynamic" or "causal".
        max_seq_length: of the rows, special tokens included.
        tokenizer_fingerprint: of the vocabulary the ids belong to.
        build: digest of input and settings; files with the same one belong together.
        shard: number of the file in its build, from 0.
        source_end: position in the input behind the last document, see `Position`.
        documents, lines: of the input up to there, from its beginning.
        report: counts of this file's part of the input, see `ReadReport`.
    """

    files: dict[str, dict[str, Any]]
    rows: int
    form: str
    max_seq_length: int
    tokenizer_fingerprint: str
    build: str
    shard: int = 0
    source_end: list[int | str] = field(default_factory=list)
    documents: int = 0
    lines: int = 0
    report: dict[str, Any] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def text(self) -> str:
        """Return the manifest as JSON."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    def sizes_agree(self, folder: Path) -> bool:
        """Return whether all its files lie in ``folder`` with the sizes that were written."""
        return all(
            (folder / name).is_file() and (folder / name).stat().st_size == entry["size"]
            for name, entry in self.files.items()
        )


def manifest_path(path: Path) -> Path:
    """Return where the manifest of a record file lies."""
    return path.with_name(path.name + MANIFEST_SUFFIX)


def read_manifest(path: Path) -> Manifest | None:
    """Return the manifest of the record file ``path``; None when it has none.

    Raises:
        DataError: it is damaged or of another version.
    """
    place = manifest_path(path)
    if not place.exists():
        return None
    try:
        values = json.loads(place.read_text(encoding="utf-8"))
        if values["format_version"] != FORMAT_VERSION:
            raise DataError(f"{place}: manifest of format {values['format_version']}")
        manifest = Manifest(**values)
        names = [*manifest.files]
        if path.name not in names or any(Path(name).name != name for name in names):
            raise ValueError(f"it describes {', '.join(names) or 'nothing'}")
        return manifest
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{place}: damaged manifest: {error}; build the file again") from None


def verified_manifest(path: Path) -> Manifest | None:
    """Return the manifest of ``path`` after comparing size and SHA-256 of all its files.

    A file that was made elsewhere has none: a warning says so, and None is returned.

    Raises:
        DataError: a file is missing or differs from what was written.
    """
    manifest = read_manifest(path)
    if manifest is None:
        logger.warning(
            "%s has no manifest (%s), so nobody can tell whether it is whole; made elsewhere?",
            path,
            manifest_path(path).name,
        )
        return None
    for name, entry in manifest.files.items():
        file = path.with_name(name)
        try:
            found = describe_file(file)
        except OSError as error:
            raise DataError(f"{file}: cannot be read: {error.strerror}") from None
        if found != entry:
            raise DataError(
                f"{file}: differs from its manifest (size {found['size']}, SHA-256 "
                f"{found['sha256'][:12]}..., written were {entry['size']}, "
                f"{entry['sha256'][:12]}...): damaged or changed; copy or build it again"
            )
    return manifest


def describe_file(path: Path) -> dict[str, Any]:
    """Return {"sha256", "size"} of a file.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            digest.update(data)
            size += len(data)
    return {"sha256": digest.hexdigest(), "size": size}
