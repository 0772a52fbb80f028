"""The parts of ``inspect`` for checkpoints of other libraries and for two checkpoints."""

import json
from typing import Any

from mindmlm.cli.tables import readable_size, table

_MOST_NAMES = 20


def foreign_as_text(description: dict[str, Any]) -> str:
    """Return what `describe_foreign` found as a table for people; hashes are cut to 16 digits."""
    bad = sum(tensor["not_finite"] for tensor in description["tensors"])
    head = {
        "checkpoint": description["path"],
        "format": description["format"],
        "verified": description["verified_by"],
        "model": description["model"] or "(nothing beside it describes it)",
        "parameters": f"{description['number_of_parameters']:,}",
        "vocabulary": description["vocabulary"] or "(none beside it)",
        "size": readable_size(description["total_bytes"]),
        "finite": f"no, {bad} values are NaN or infinite" if bad else "yes, every value",
    }
    lines = [f"{label + ':':<12} {value}" for label, value in head.items()]
    if description["model_config"]:
        lines += ["", f"model_config ({description['described_by']})"]
        lines += [f"  {key}: {value}" for key, value in description["model_config"].items()]
    rows = [
        [
            tensor["name"],
            tensor["dtype"],
            "x".join(map(str, tensor["shape"])) or "scalar",
            tensor["sha256"][:16],
            f"{tensor['not_finite']} not finite" if tensor["not_finite"] else "",
        ]
        for tensor in description["tensors"]
    ]
    return "\n".join([*lines, "", "tensors", *table(rows)])


def comparison_as_text(found: dict[str, Any]) -> str:
    """Return what `compare` found, for people."""
    lines = [f"first:  {found['first']}", f"second: {found['second']}", ""]
    lines += _section("only in the first", [[name] for name in found["only_in_first"]])
    lines += _section("only in the second", [[name] for name in found["only_in_second"]])
    lines += _section(
        "of another shape",
        [[item["name"], *map(str, item["shapes"])] for item in found["other_shape"]],
    )
    lines += _section(
        "different",
        [
            [item["name"], f"{item['values']:,} values", f"by up to {_gap(item)}"]
            for item in found["different"]
        ],
    )
    for name in ("state", "config"):
        changes = [
            [key, json.dumps(a, ensure_ascii=False), json.dumps(b, ensure_ascii=False)]
            for key, (a, b) in found[name].items()
        ]
        lines += _section(name, changes)
    verdict = "the same" if found["same"] else "they differ"
    return "\n".join([*lines, f"{found['equal']} tensors are equal; {verdict}"])


def _gap(item: dict[str, Any]) -> str:
    gap = item["largest_difference"]
    return "infinity or NaN" if gap is None else f"{gap:.3g}"


def _section(title: str, rows: list[list[str]]) -> list[str]:
    if not rows:
        return []
    more = [f"  ... and {len(rows) - _MOST_NAMES} more"] if len(rows) > _MOST_NAMES else []
    return [f"{title} ({len(rows)})", *table(rows[:_MOST_NAMES]), *more, ""]
