"""``python -m mindmlm inspect``: verify a checkpoint and print what it holds."""

import argparse
import hashlib
import json
import math
from pathlib import Path
from typing import Any

from mindmlm.checkpoint import Checkpoint, Resolved, find_in_folder
from mindmlm.checkpoint.manifest import DIGEST_NAME, MANIFEST_NAME
from mindmlm.checkpoint.shards import little_endian_bytes
from mindmlm.cli.inspect_others import comparison_as_text, foreign_as_text
from mindmlm.cli.tables import readable_size, table
from mindmlm.errors import CheckpointError

HELP = "verify a checkpoint and print what it holds, or compare two"
DESCRIPTION = """\
Verify a checkpoint (every file against its SHA-256) and print what it holds: the model, the step,
the files, the state of the run, and each tensor with its type, shape and SHA-256. Checkpoints of
Hugging Face, Google and MindSpore are verified as far as their formats have checksums.

With OTHER, two checkpoints of any formats are compared tensor by tensor.

examples:
  python -m mindmlm inspect output                              the checkpoint a resume would use
  python -m mindmlm inspect output/checkpoint/step_00000050     this one
  python -m mindmlm inspect bert-base-chinese                   a Hugging Face folder
  python -m mindmlm inspect output bert-base-chinese            what training has changed
  python -m mindmlm inspect output --json                       for programs

Two checkpoints hold the same weights exactly if the hashes of their tensors are the same, however
many processes wrote them. The exit code is 0, 1 if two differ, or 2 if one is missing or damaged.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        "path",
        metavar="PATH",
        help="output folder of a run, its 'checkpoint' folder, the folder of one step, or a "
        "checkpoint of another library",
    )
    parser.add_argument("other", metavar="OTHER", nargs="?", help="a checkpoint to compare with")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Print the description of a checkpoint, or the difference of two.

    Returns:
        0; 1 when two differ; 2 when one is refused and JSON was asked for.

    Raises:
        CheckpointError: it is refused, and a text was asked for.
    """
    try:
        if options.other:
            return _compare(options)
        text = _inspect(options)
    except CheckpointError as error:
        if not options.json:
            raise
        print(_to_json({"path": options.path, "verified": False, "reason": str(error)}))
        return error.exit_code
    print(text)
    return 0


def _inspect(options: argparse.Namespace) -> str:
    # Imported late: the other commands do not wait for it.
    from mindmlm.conversion.describing import describe_foreign
    from mindmlm.conversion.names import resolve_name
    from mindmlm.conversion.recognise import is_own

    if is_own(Path(options.path)):
        own = describe(find_in_folder(Path(options.path)))
        return _to_json(own) if options.json else as_text(own)
    foreign = describe_foreign(resolve_name(options.path))
    return _to_json(foreign) if options.json else foreign_as_text(foreign)


def _compare(options: argparse.Namespace) -> int:
    from mindmlm.conversion.comparing import compare
    from mindmlm.conversion.names import resolve_name

    found = compare(resolve_name(options.path), resolve_name(options.other))
    print(_to_json(found) if options.json else comparison_as_text(found))
    return 0 if found["same"] else 1


def _to_json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False)


def describe(resolved: Resolved) -> dict[str, Any]:
    """Return what a verified checkpoint holds, in JSON's types.

    Each tensor's ``sha256`` is taken over its elements in C order, little-endian, whole: the same
    for any parallel layout. One tensor at a time is in memory.
    """
    checkpoint = resolved.checkpoint
    tensors = _describe_tensors(checkpoint)
    files = checkpoint.manifest.files
    return {
        "path": str(checkpoint.path),
        "verified": True,
        "refused": [{"path": str(path), "reason": reason} for path, reason in resolved.refused],
        "created_by": checkpoint.manifest.created_by,
        "format_version": checkpoint.manifest.format_version,
        "model": _lookup(checkpoint.config, "model", "arch", "type"),
        "model_config": _lookup(checkpoint.config, "model", "model_config"),
        "step": checkpoint.step,
        "layout": checkpoint.layout,
        "state": checkpoint.state,
        "number_of_parameters": sum(
            math.prod(tensor["shape"]) for tensor in tensors if tensor["group"] == "model"
        ),
        "total_bytes": sum(record.size for record in files.values()),
        "files": [{"name": name, **record.model_dump()} for name, record in files.items()],
        "unlisted_files": _unlisted(checkpoint),
        "tensors": tensors,
    }


def _lookup(content: Any, *keys: str) -> Any:
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content


def _unlisted(checkpoint: Checkpoint) -> list[str]:
    known = {MANIFEST_NAME, DIGEST_NAME, *checkpoint.manifest.files}
    return sorted(entry.name for entry in checkpoint.path.iterdir() if entry.name not in known)


def _describe_tensors(checkpoint: Checkpoint) -> list[dict[str, Any]]:
    return [
        {
            "group": group,
            "name": name,
            "dtype": array.dtype.name,
            "shape": list(array.shape),
            "sha256": hashlib.sha256(little_endian_bytes(array)).hexdigest(),
        }
        for group in checkpoint.manifest.tensors
        for name, array in checkpoint.iterate(group)
    ]


def as_text(description: dict[str, Any]) -> str:
    """Return the description as a table for people; hashes are cut to 16 digits."""
    head = {
        "checkpoint": description["path"],
        "verified": "yes, every file has its SHA-256",
        "model": description["model"] or "(not named in its configuration)",
        "parameters": f"{description['number_of_parameters']:,}",
        "step": description["step"],
        "size": readable_size(description["total_bytes"]),
        "created by": description["created_by"],
        "layout": ", ".join(f"{axis} {size}" for axis, size in description["layout"].items()),
    }
    lines = [f"{label + ':':<12} {value}" for label, value in head.items()]
    lines += [f"refused:     {item['path']}: {item['reason']}" for item in description["refused"]]
    lines += [f"unlisted:    {name} (not looked at)" for name in description["unlisted_files"]]
    lines += ["", "state"]
    lines += [f"  {key}: {json.dumps(value)}" for key, value in description["state"].items()]
    lines += ["", "files"]
    lines += table([[file["name"], readable_size(file["size"])] for file in description["files"]])
    lines += ["", "tensors"]
    lines += table([_tensor_row(tensor) for tensor in description["tensors"]])
    return "\n".join(lines)


def _tensor_row(tensor: dict[str, Any]) -> list[str]:
    shape = "x".join(str(length) for length in tensor["shape"]) or "scalar"
    return [tensor["group"], tensor["name"], tensor["dtype"], shape, tensor["sha256"][:16]]
