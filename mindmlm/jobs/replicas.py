"""Ranks are compared before they work together: configurations first, then weights."""

import hashlib
import json
from typing import Any

from mindmlm.build import ModelOnRank
from mindmlm.config.render import to_plain
from mindmlm.config.schema import RunConfig
from mindmlm.errors import MindmlmError
from mindmlm.parallel.agreement import Agreement


class RanksDifferError(MindmlmError):
    """Two ranks do not have what they should have in common."""


# Each process has its own card.
_OWN_KEYS = frozenset({"context.device_id"})


def check_configs(config: RunConfig, agreement: Agreement) -> None:
    """Compare the resolved configuration with that of rank 0; all ranks call it.

    Ranks of different layouts or batch sizes would wait for each other's messages for ever.

    Raises:
        RanksDifferError: the message names the key, both values and the rank.
        MindmlmError: on the ranks that do not differ, that another one does.
    """
    mine = _flat(to_plain(config))
    first = json.loads(agreement.from_main(json.dumps(mine)))
    different = [
        f"{key} is {mine.get(key)!r} here and {first.get(key)!r} there"
        for key in sorted({*mine, *first} - _OWN_KEYS)
        if mine.get(key) != first.get(key)
    ]
    error = None
    if different:
        more = f", and {len(different) - 3} more" if len(different) > 3 else ""
        error = RanksDifferError(
            f"rank {agreement.place.rank} has another configuration than rank 0: "
            f"{'; '.join(different[:3])}{more}. Start all ranks with the same files and flags"
        )
    agreement.raise_together(error)


def _flat(value: object, path: str = "") -> dict[str, object]:
    """Keys of nested sections, joined by dots; what is no section stays as it is."""
    if not isinstance(value, dict):
        return {path: value}
    keys: dict[str, object] = {}
    for key, inner in value.items():
        keys |= _flat(inner, f"{path}.{key}" if path else str(key))
    return keys


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
