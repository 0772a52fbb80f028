"""The reference tables of `docs/configuration.md`, generated from the schema.

python -m mindmlm.config.reference                          print the tables
python -m mindmlm.config.reference docs/configuration.md    replace them in that file
"""

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from mindmlm.config.aliases import ALIASES, CALLBACK_NAMES
from mindmlm.config.describe import Key, keys
from mindmlm.config.flags import FLAGS
from mindmlm.config.render import render_value
from mindmlm.errors import ConfigError


def key_table() -> str:
    """Return a Markdown table of every key: what it allows, its default, what it means."""
    rows = (
        (f"`{key.path}`", _allowed(key), _defaults(key), key.description) for key in keys().values()
    )
    return _table(("key", "allowed", "default", "meaning"), rows)


def flag_table() -> str:
    """Return a Markdown table of the named flags."""
    rows = (
        (
            f"`--{flag.name}`",
            f"`{flag.key}`" + (f" (eval: `{flag.eval_key}`)" if flag.eval_key else ""),
            flag.help,
            f"`--{flag.name} {flag.example}`",
        )
        for flag in FLAGS
    )
    return _table(("flag", "key it sets", "meaning", "example"), rows)


def alias_table() -> str:
    """Return a Markdown table of second names of keys."""
    rows = [
        (f"`{alias.path}`", ", ".join(f"`{target}`" for target in alias.targets), alias.note)
        for alias in ALIASES
    ]
    rows += [
        (f"`callbacks.{name}`", f"`callbacks.{target}`", "MindFormers' misspelling")
        for name, target in CALLBACK_NAMES.items()
    ]
    return _table(("also accepted", "stands for", "note"), rows)


TABLES = {"keys": key_table, "flags": flag_table, "aliases": alias_table}


def update(document: str) -> str:
    """Return `document` with each block between `<!-- NAME table -->` and its end replaced.

    Raises ConfigError when a block is missing.
    """
    for name, table in TABLES.items():
        begin, end = f"<!-- {name} table -->", f"<!-- end of {name} table -->"
        block = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if not block.search(document):
            raise ConfigError(f"the document has no block {begin} ... {end}")
        text = f"{begin}\n{table()}\n{end}"
        document = block.sub(lambda match, text=text: text, document)  # type: ignore[misc]
    return document


def main(arguments: Sequence[str]) -> int:
    """Print the tables, or write them into the named file; return the exit code."""
    if not arguments:
        print("\n\n".join(table() for table in TABLES.values()))
        return 0
    path = Path(arguments[0])
    try:
        path.write_text(update(path.read_text(encoding="utf-8")), encoding="utf-8")
    except (ConfigError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _defaults(key: Key) -> str:
    """The default; where several kinds of a section have the key, all of theirs."""
    return ", ".join(f"`{render_value(value)}`" for value in (key.default, *key.other_defaults))


def _allowed(key: Key) -> str:
    if not key.spellings.accepted:
        return key.allowed
    others = ", ".join(key.spellings.accepted)
    return f"{key.allowed} (also written: {others})"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
