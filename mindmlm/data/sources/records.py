"""From a record with named fields to a document."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mindmlm.data.report import ReadReport
from mindmlm.data.sources.base import Document
from mindmlm.data.sources.options import BAD_RECORD, OVER_LONG, ReadOptions
from mindmlm.errors import DataError


def record_document(
    record: Mapping[str, Any], options: ReadOptions, report: ReadReport, place: str
) -> Document | None:
    """Return the text of a record, the fields of ``text_field`` in turn; None when it has none.

    A value is text, a list of texts, or null. A record without one of the fields is a fault, as
    is a value of another kind and a text above ``max_line_bytes``.

    Raises:
        DataError: a fault, unless ``on_error`` is "skip".
    """
    texts: list[str] = []
    for field in options.text_field:
        try:
            texts += _texts(_value(record, field))
        except LookupError:
            detail = f"it has no field {field!r}; its fields are {_listed(record)}"
        except TypeError as error:
            detail = f"the field {field!r} is {error}, and no text"
        else:
            continue
        hint = "name the field with the text in train_dataset.data_loader.text_field"
        options.fault(report, BAD_RECORD, place, f"{detail}; {hint}")
        return None
    if problem := _problem(texts, options):
        reason, detail = problem
        options.fault(report, reason, place, detail)
        return None
    lines = tuple(
        line.removesuffix("\r")
        for text in texts
        for line in text.split("\n")
        if line and not line.isspace()
    )
    return Document(lines) if lines else None


def require_columns(name: str, columns: Sequence[str], options: ReadOptions) -> None:
    """Check that a table has the columns that ``text_field`` names (or their first parts).

    Raises:
        DataError: it has not; this fault is never skipped, as no row would be left.
    """
    for field in options.text_field:
        if field not in columns and field.partition(".")[0] not in columns:
            raise DataError(
                f"{name}: it has no column {field!r}; its columns are {_listed(columns)}; name "
                "the one with the text in train_dataset.data_loader.text_field"
            )


def _problem(texts: Sequence[str], options: ReadOptions) -> tuple[str, str] | None:
    try:
        size = sum(len(text.encode("utf-8")) for text in texts)
    except UnicodeEncodeError as error:
        code = ord(error.object[error.start])
        return BAD_RECORD, f"it holds half of a character pair (\\u{code:04x}), which is no text"
    if size > options.max_line_bytes:
        return OVER_LONG, (
            f"its text has {size} bytes, more than {options.max_line_bytes}; raise "
            "train_dataset.data_loader.max_line_bytes"
        )
    return None


def _value(record: Mapping[str, Any], field: str) -> Any:
    """Look a field up by its name, then by its parts between the dots.

    Raises:
        KeyError: there is no such field.
    """
    if field in record:
        return record[field]
    value: Any = record
    for name in field.split("."):
        if not isinstance(value, Mapping):
            raise KeyError(field)
        value = value[name]
    return value


def _texts(value: Any) -> list[str]:
    """Return the texts of a value.

    Raises:
        TypeError: it is of another kind.
    """
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise TypeError(f"of type {type(value).__name__}")


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(repr(name) for name in list(names)[:12])
    return shown + (", ..." if len(names) > 12 else "") or "none"
