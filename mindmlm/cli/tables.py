"""Columns and sizes for people."""

_UNITS = ("bytes", "KB", "MB", "GB", "TB")


def table(rows: list[list[str]]) -> list[str]:
    """Return rows as indented lines whose columns stand below each other."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def readable_size(size: float) -> str:
    """Return a number of bytes with a unit of powers of 1000."""
    for unit in _UNITS[:-1]:
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} {_UNITS[-1]}"
