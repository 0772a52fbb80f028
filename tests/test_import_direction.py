"""The layers of docs/architecture.md, and the sizes of files and functions."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mindmlm"

# Lowest first; parts in one row do not import each other.
LAYERS = (
    {"errors", "__init__"},
    {"config"},
    {"tokenizers", "runtime", "kernels"},
    {"data", "models", "optim", "checkpoint"},
    {"parallel"},
    {"tasks", "build_data", "conversion", "modelarts"},
    {"training", "inference", "planning"},
    {"build"},
    {"jobs"},
    {"trainer", "integrations"},
    {"pipelines"},
    {"cli"},
    {"__main__"},
)
# The package gives their names, without importing them (tests/trainer/test_import.py).
PUBLIC = {"trainer", "pipelines"}
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}

# Tests of these run in milliseconds, and `--help` and `--dry_run` do not wait for MindSpore.
FREE_OF_MINDSPORE = (
    "errors.py",
    "config",
    "tokenizers",
    "data",
    "checkpoint",
    "build_data",
    "conversion",
    "modelarts",
    "runtime",
    "kernels/library.py",
    "optim/schedules.py",
    "optim/loss_scale.py",
    "models/dropout.py",
    "models/initialization.py",
    "parallel/balance.py",
    "parallel/division.py",
    "parallel/groups.py",
    "parallel/layout.py",
    "parallel/micro_batch.py",
    "parallel/place.py",
    "parallel/schedule.py",
    "parallel/stages.py",
    *(
        f"parallel/semi_auto/{name}.py"
        for name in (
            *("operators", "builder", "transformer", "programs", "plan", "checker"),
            *("names", "placement"),
        )
    ),
    "planning",
    "models/plan.py",
    "models/spans.py",
    "models/bert/parallel_plan.py",
    "models/gpt2/initialization.py",
    "models/gpt2/parallel_plan.py",
    "training/metrics.py",
    "training/history.py",
    "training/curves.py",
    "training/interrupt.py",
    "cli",
)
# Importing these imports MindSpore.
WITH_MINDSPORE = {"tasks", "inference", "build", "jobs", "integrations"}

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60


def sources(folder: Path) -> list[Path]:
    return sorted([folder] if folder.is_file() else folder.rglob("*.py"))


def part_of(path: Path) -> str:
    """The part that a file of the package belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(nodes: Iterator[ast.AST]) -> Iterator[tuple[int, str]]:
    """Line and full name of every module that `nodes` import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: write the full name of the module"
            module = str(node.module)
            if module == "mindmlm":
                yield from ((node.lineno, f"mindmlm.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, module


def when_imported(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when the module is imported: not functions, not type checking."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from when_imported(node)


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def is_allowed(part: str, other: str) -> bool:
    if part == "testing":
        return True
    if part == "__init__" and other in PUBLIC:
        return True
    return other == part or other == "__version__" or LEVEL[other] < LEVEL[part]


def needs_mindspore(module: str) -> bool:
    top, _, rest = module.partition(".")
    return top == "mindspore" or (top == "mindmlm" and rest.split(".")[0] in WITH_MINDSPORE)


def test_every_part_has_a_layer() -> None:
    parts = {part_of(path) for path in sources(PACKAGE)}
    assert parts == {*LEVEL, "testing"}


@pytest.mark.parametrize("part", sorted([*LEVEL, "testing"]))
def test_imports_go_down(part: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {part} must not import {name}"
        for path in sources(PACKAGE)
        if part_of(path) == part
        for line, name in imported(ast.walk(parse(path)))
        if name.startswith("mindmlm.") and not is_allowed(part, name.split(".")[1])
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", FREE_OF_MINDSPORE)
def test_mindspore_is_not_imported_with_the_pure_parts(name: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {module}"
        for path in sources(PACKAGE / name)
        for line, module in imported(when_imported(parse(path)))
        if needs_mindspore(module)
    ]
    assert not wrong, "\n".join(wrong)


def test_only_tests_and_benchmarks_import_testing() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in [*sources(PACKAGE), *sources(ROOT / "run_mindformer.py")]
        if not path.is_relative_to(PACKAGE / "testing")
        for line, name in imported(ast.walk(parse(path)))
        if name.startswith("mindmlm.testing")
    ]
    assert not wrong


def python_files() -> list[Path]:
    folders = ("mindmlm", "tests", "tools", "benchmarks")
    found = [path for folder in folders for path in sources(ROOT / folder)]
    assert len(found) > 100
    return found


def test_files_are_short() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in python_files()
    }
    assert {name: count for name, count in lengths.items() if count > MAX_FILE_LINES} == {}


def test_functions_are_short() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}"
        for path in python_files()
        for node in ast.walk(parse(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= MAX_FUNCTION_LINES
    ]
    assert not wrong, "\n".join(wrong)
