"""Ranks that should have the same weights are compared before the first step."""

import hashlib
import json
from typing import Any

from mindmlm.build import ModelOnRank
from mindmlm.errors import MindmlmError
from mindmlm.parallel.agreement import Agreement


class RanksDifferError(MindmlmError):
    """Two ranks do not have what they should have in common."""


def check_replicas(model: ModelOnRank, state: dict[str, Any], agreement: Agreement) -> None:
    """Compare hashes of weights that several ranks have, and everything in `state`.

    Raises:
        RanksDifferError: the message names two ranks and what they differ in.
    """
    known: dict[str, tuple[int, str]] = {}
    for rank, text in enumerate(agreement.texts(json.dumps(_digests(model) | _plain(state)))):
        for name, digest in json.loads(text).items():
            first, expected = known.setdefault(name, (rank, digest))
            if digest != expected:
                raise RanksDifferError(
                    f"rank {rank} and rank {first} should start from the same values and do not: "
                    f"{name} is {digest} and {expected}. Do all machines see the same files and "
                    "run the same version?"
                )


def _digests(model: ModelOnRank) -> dict[str, str]:
    """SHA-256 of each block of weights, by name and place."""
    blocks = model.blocks()
    return {
        f"{value.name} at {list(blocks[value.name].start)}": hashlib.sha256(
            value.asnumpy().tobytes()
        ).hexdigest()
        for value in model.parameters()
    }


def _plain(state: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in state.items()}
