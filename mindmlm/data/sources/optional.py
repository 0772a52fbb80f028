"""Packages that only some sources need."""

from importlib import import_module
from typing import Any

from mindmlm.errors import DataError


def require(module: str, extra: str, purpose: str) -> Any:
    """Import a module of an extra of this package.

    Raises:
        DataError: it is not installed; the message names the extra.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise DataError(
            f"{purpose} needs the Python package {module.partition('.')[0]}, which cannot be "
            f"imported ({error}); install it with: pip install 'mindmlm[{extra}]'"
        ) from None
