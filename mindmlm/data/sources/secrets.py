"""Files with keys and passwords, which only their owner may read."""

import os
import stat
from collections.abc import Collection
from pathlib import Path

import yaml

from mindmlm.errors import DataError


def read_secret_file(path: Path, names: Collection[str]) -> dict[str, str]:
    """Return the values of a YAML file of `name: value` lines.

    Args:
        path: a regular file whose mode gives group and others nothing (0600 or 0400).
        names: what may stand in it.

    Raises:
        DataError: it cannot be read, others may read it, or it holds something else. Messages
            never hold a value.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise DataError(
                    f"{path}: holds secrets and others may read it (mode "
                    f"{stat.S_IMODE(mode):04o}); chmod 600 it"
                )
            content = yaml.safe_load(file)
    except OSError as error:
        raise DataError(f"{path}: cannot read the credentials: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError):
        raise DataError(f"{path}: expected lines of the form NAME: VALUE") from None
    expected = ", ".join(names)
    if not isinstance(content, dict) or not all(name in names for name in content):
        raise DataError(f"{path}: expected lines NAME: VALUE with the names {expected}")
    for name, value in content.items():
        if not isinstance(value, str) or not value:
            raise DataError(f"{path}: the value of {name} must be text (write it in quotes)")
    return content
