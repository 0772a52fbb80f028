"""Ranks that talk to each other. Pure."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """Ranks that talk to each other, seen from one of them.

    Args:
        ranks: members, ascending.
        rank: the member that this process is.
    """

    ranks: tuple[int, ...]
    rank: int

    @property
    def size(self) -> int:
        """Number of members."""
        return len(self.ranks)

    @property
    def index(self) -> int:
        """Place of this process among the members."""
        return self.ranks.index(self.rank)

    @property
    def name(self) -> str:
        """Name of the group for MindSpore: short, since HCCL takes 127 characters at most."""
        digest = hashlib.blake2b(str(self.ranks).encode(), digest_size=8).hexdigest()
        return f"mindmlm_{len(self.ranks)}_{digest}"
