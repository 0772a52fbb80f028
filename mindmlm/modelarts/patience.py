"""Trying again what a network or a store may refuse for a moment."""

import errno
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")
_DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Patience:
    """How often to try, and how long to wait between.

    Args:
        attempts: tries in all.
        first_delay: seconds before the second try; doubled before each further one.
    """

    attempts: int = 5
    first_delay: float = 1.0

    def __call__(self, what: str, action: Callable[[], T]) -> T:
        """Do it, again where that may help; what was refused for good is not tried again.

        Raises:
            OSError: the last one. FileNotFoundError, PermissionError and a full disk at once.
        """
        delay = self.first_delay
        for left in reversed(range(self.attempts)):
            try:
                return action()
            except (FileNotFoundError, PermissionError):
                raise
            except OSError as error:
                if is_full(error) or not left:
                    raise
                logger.warning("%s: %s; trying again in %g s", what, error, delay)
            time.sleep(delay)
            delay *= 2
        raise AssertionError("attempts is 1 or more")


def is_full(error: OSError) -> bool:
    """Whether the local disk is full (or a quota, or the largest size of a file, is reached)."""
    return error.errno in _DISK_IS_FULL
