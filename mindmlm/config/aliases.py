"""Second names: where MindFormers calls one thing two names, one is canonical here.

Aliases are resolved inside each layer before the layers are merged, so an alias on the command line
overrides the canonical key of a file. Inside one layer two names with two different values are an
error that names both places; the same value twice is fine.
"""

from collections.abc import Callable
from dataclasses import dataclass

from mindmlm.config.nodes import (
    Mapping,
    Node,
    Scalar,
    Sequence,
    find,
    from_python,
    pop,
    put,
    to_python,
)
from mindmlm.config.registered import OPTIMIZERS, SCHEDULES

CALLBACK_NAMES = {"CheckpointMointor": "CheckpointMonitor"}
_DEFAULT_MAX_GRAD_NORM = 1.0


@dataclass(frozen=True)
class Alias:
    """A second name of one or more canonical keys.

    `expand(node, layer, below)` returns the canonical keys with their nodes; `layer` is
    what stands beside the alias, `below` what the lower layers gave. It raises ValueError with a
    reason for a value that the alias cannot express.
    """

    path: str
    targets: tuple[str, ...]
    expand: Callable[[Node, Mapping, Mapping], dict[str, Node]]
    note: str = ""


def _rename(path: str, target: str) -> Alias:
    return Alias(path, (target,), lambda node, layer, below: {target: node})


def _expand_betas(node: Node, layer: Mapping, below: Mapping) -> dict[str, Node]:
    if not isinstance(node, Sequence) or len(node.items) != 2:
        raise ValueError("expected a list of two numbers, [beta1, beta2]")
    return {"optimizer.beta1": node.items[0], "optimizer.beta2": node.items[1]}


def _expand_clip(node: Node, layer: Mapping, below: Mapping) -> dict[str, Node]:
    """False switches clipping off; True switches it on without changing a norm that is set."""
    target = "runner_wrapper.max_grad_norm"
    if not isinstance(node, Scalar) or not isinstance(node.value, bool):
        raise ValueError("expected True or False")
    if not node.value:
        return {target: Scalar(None, node.origin)}
    present = find(layer, target) or find(below, target)
    if present is None or to_python(present) is None:
        return {target: Scalar(_DEFAULT_MAX_GRAD_NORM, node.origin)}
    return {}


ALIASES: tuple[Alias, ...] = (
    _rename("resume_or_finetune_checkpoint", "load_checkpoint"),
    _rename("model.model_config.checkpoint_name_or_path", "load_checkpoint"),
    _rename("input_data", "predict_data"),
    _rename("train_dataset.seq_length", "train_dataset.max_seq_length"),
    _rename("model.model_config.seq_length", "train_dataset.max_seq_length"),
    _rename("train_dataset.batch_size", "runner_config.batch_size"),
    _rename("train_dataset.max_question_len", "train_dataset.max_question_length"),
    _rename("metric.max_answer_len", "metric.max_answer_length"),
    _rename("optimizer.learning_rate", "lr_schedule.learning_rate"),
    Alias(
        "optimizer.betas",
        ("optimizer.beta1", "optimizer.beta2"),
        _expand_betas,
        "a list of two numbers",
    ),
    Alias(
        "runner_wrapper.use_clip_grad",
        ("runner_wrapper.max_grad_norm",),
        _expand_clip,
        "False = null; True = clip, with the norm that is set, else 1.0",
    ),
)


def canonical_path(path: str) -> str:
    """Return the canonical key that `path` stands for; `path` itself when it is no alias."""
    for alias in ALIASES:
        if alias.path == path:
            return alias.targets[0]
    return path


def resolve_aliases(layer: Mapping, below: Mapping) -> list[str]:
    """Replace the aliases in `layer`, in place; return one line for each that cannot be.

    `below` is the merged configuration of the lower layers.
    """
    lines = _normalise_callbacks(layer)
    _normalise_loss_scale(layer)
    for alias in ALIASES:
        node = pop(layer, alias.path)
        if node is None:
            continue
        try:
            expanded = alias.expand(node, layer, below)
        except ValueError as error:
            lines.append(f"{node.origin}: {alias.path}: {error}")
            continue
        for target, value in expanded.items():
            lines += place_value(layer, target, value, alias.path)
    return lines


def without_other_kind(below: Mapping, layer: Mapping) -> Mapping:
    """Return `below` without sections of which `layer` wants another kind.

    The arguments of one of MindFormers' classes are not those of ours, so a file that names such a
    class in `optimizer` or `lr_schedule` begins the section anew, and one that goes back to ours.
    """
    kept = dict(below.entries)
    for section, names in (("optimizer", OPTIMIZERS), ("lr_schedule", SCHEDULES)):
        wanted, found = (find(tree, f"{section}.type") for tree in (layer, below))
        if isinstance(wanted, Scalar) and isinstance(wanted.value, str):
            before = found.value if isinstance(found, Scalar) else None
            registered = (wanted.value in names, before in names)
            if registered != (False, False) and wanted.value != before:
                kept.pop(section, None)
    return Mapping(below.origin, kept)


def place_value(layer: Mapping, path: str, node: Node, written_as: str) -> list[str]:
    """Set `path` in `layer`; return a line when another value stands there already."""
    present = find(layer, path)
    if present is not None and to_python(present) != to_python(node):
        return [
            f"{node.origin}: {written_as}: {to_python(node)!r} contradicts {path}: "
            f"{to_python(present)!r} at {present.origin}; give one of the two"
        ]
    if present is None and not put(layer, path, node):
        section = path.rpartition(".")[0]
        return [f"{node.origin}: {written_as}: {section} is not a section, so {path} has no place"]
    return []


def _normalise_loss_scale(layer: Mapping) -> None:
    """Write `scale_sense: N` as a fixed scale of N."""
    path = "runner_wrapper.scale_sense"
    node = find(layer, path)
    if isinstance(node, Scalar) and type(node.value) in (int, float):
        fixed = {"type": "FixedLossScaleUpdateCell", "loss_scale_value": node.value}
        put(layer, path, from_python(fixed, node.origin))


def _normalise_callbacks(layer: Mapping) -> list[str]:
    """Write MindFormers' list `[{type: X, ...}]` as a mapping by type; repair its misspelt name."""
    node = layer.entries.get("callbacks")
    lines: list[str] = []
    if isinstance(node, Sequence):
        pairs = []
        for item in node.items:
            kind = item.entries.pop("type", None) if isinstance(item, Mapping) else None
            if not isinstance(kind, Scalar) or not isinstance(kind.value, str):
                lines.append(f"{item.origin}: callbacks: each entry needs a `type: NAME`")
                continue
            pairs.append((kind.value, item))
    elif isinstance(node, Mapping):
        pairs = [(name, item) for name, item in node.entries.items()]
    else:
        return lines
    named = Mapping(node.origin)
    for name, item in pairs:
        canonical = CALLBACK_NAMES.get(name, name)
        if isinstance(item, Scalar) and item.value is None:
            item = Mapping(item.origin)
        if canonical in named.entries:
            first = named.entries[canonical].origin
            lines.append(f"{item.origin}: callbacks.{canonical}: given twice, first at {first}")
        named.entries[canonical] = item
    layer.entries["callbacks"] = named
    return lines
