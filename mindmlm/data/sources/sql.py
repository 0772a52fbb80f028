"""Rows of a database query as documents."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mindmlm.data.report import ReadReport
from mindmlm.data.sources.base import WHOLE, Document, Position, Slice, Source
from mindmlm.data.sources.sql_connection import Database, explain, import_sqlalchemy
from mindmlm.data.sources.sql_statement import Key, KeyRange, TableQuery
from mindmlm.errors import DataError

if TYPE_CHECKING:
    import sqlalchemy as sa

logger = logging.getLogger(__name__)

RECONNECTIONS = 6
_FIRST_WAIT_SECONDS = 0.25
_NO_TEXT = "row without text"
_NOT_TEXT = "value that is not UTF-8 text"


@dataclass(frozen=True)
class SqlSource(Source):
    """Every row is a document; its lines are the lines of the text column that are not blank.

    Rows are read in the order of the key through a cursor on the server (where the driver has
    one), ``batch_rows`` at a time. When the connection is lost reading goes on behind the last
    key on a new one.

    Attributes:
        database: where to connect to.
        table: what to read.
        slicing: "range" cuts the interval from the smallest to the largest key into equal pieces
            (fast with an index); "modulo" deals the keys out by their remainder (equal shares
            whatever the gaps). Both need integer keys when there is more than one part.
        batch_rows: rows fetched at once.
        on_error: "raise" stops at a value that is not text; "skip" leaves it out and counts it.
    """

    database: Database
    table: TableQuery
    slicing: str = "range"
    batch_rows: int = 1000
    on_error: str = "raise"

    @property
    def name(self) -> str:
        """Kind, host and name of the database."""
        return self.database.name

    def identity(self) -> dict[str, Any]:
        """Return database, query and parameters, the number of rows and the key interval.

        A change that leaves all of them as they are (an UPDATE of a text) is not seen.
        """
        reader = _Reader(self, None)
        rows, first, last = reader.extent()
        return {
            "database": self.name,
            "query": self.table.query,
            "columns": [self.table.key_column, self.table.text_field],
            "parameters": {name: repr(value) for name, value in self.table.parameters.items()},
            "rows": rows,
            "keys": [first, last],
        }

    def size_bytes(self) -> int | None:
        """Return None: a database does not know the size of a query's text."""
        return None

    def documents(
        self, report: ReadReport, part: Slice = WHOLE, start: Position | None = None
    ) -> Iterator[tuple[Position, Document]]:
        """Stream the rows of a part; a position is the last key and, for a key range, its end.

        Raises:
            DataError: the database cannot be reached, refuses the query, or the key is null, not
                unique, or neither integer nor text. The message names the row by its key.
        """
        report.files += 1
        reader = _Reader(self, start[0] if start else None)
        key_range, modulo = self._selection(reader, part, start)
        end = (key_range.end,) if key_range else ()
        for key, value in reader.rows(key_range, modulo):
            report.lines += 1
            text = self._text(key, value, report)
            report.bytes_read += len(text.encode("utf-8", "replace"))
            lines = tuple(
                line.removesuffix("\r") for line in text.split("\n") if line and not line.isspace()
            )
            if lines:
                yield (key, *end), Document(lines)

    def _selection(
        self, reader: "_Reader", part: Slice, start: Position | None
    ) -> tuple[KeyRange | None, Slice | None]:
        if part.count == 1:
            return None, None
        if start is not None and self.slicing == "range":
            # The table may have grown since: the part must not reach into the next one.
            return KeyRange(int(start[0]), int(start[1])), None
        rows, first, last = reader.extent()
        if not rows:
            return KeyRange(0, 0), None
        if not (isinstance(first, int) and isinstance(last, int)):
            raise DataError(
                f"{self.name}: key_column {self.table.key_column} holds text, and only integer "
                f"keys can be divided into {part.count} parts; add a number to the query, for "
                "example ROW_NUMBER() OVER (ORDER BY id) AS number"
            )
        if self.slicing == "modulo":
            return None, part
        return KeyRange(first, last + 1).part(part), None

    def _text(self, key: Key, value: Any, report: ReadReport) -> str:
        place = f"{self.name}, row with {self.table.key_column} {key!r}"
        if value is None:
            report.skip(_NO_TEXT, place)
            return ""
        try:
            text = bytes(value).decode("utf-8") if isinstance(value, bytes | memoryview) else value
            if isinstance(text, str):
                return text
            detail = f"{self.table.text_field} is of type {type(value).__name__}"
        except UnicodeDecodeError as error:
            detail = f"{self.table.text_field}: byte {error.start} is not UTF-8"
        if self.on_error == "raise":
            raise DataError(
                f"{place}: {_NOT_TEXT}: {detail} (train_dataset.data_loader.on_error: skip leaves "
                "it out and counts it)"
            )
        report.skip(_NOT_TEXT, place)
        return ""


class _Reader:
    """One pass: rows behind the last key that was given out, over as many connections as needed."""

    def __init__(self, source: SqlSource, after: int | str | None) -> None:
        self._source = source
        self._engine = source.database.engine()
        self._after = after
        self._connected = False
        self._failures = 0

    def extent(self) -> tuple[int, Key | None, Key | None]:
        """Return the number of rows, the smallest and the largest key."""
        errors = import_sqlalchemy().exc
        try:
            with self._engine.connect() as connection:
                rows, first, last = connection.execute(self._source.table.extent()).one()
        except errors.SQLAlchemyError as error:
            raise self._refusal(error) from None
        if not rows:
            return 0, None, None
        return rows, self._checked(first), self._checked(last)

    def rows(self, key_range: KeyRange | None, modulo: Slice | None) -> Iterator[tuple[Key, Any]]:
        errors = import_sqlalchemy().exc
        while True:
            statement = self._source.table.rows(self._after, key_range, modulo)
            try:
                yield from self._fetch(statement)
                return
            except errors.DBAPIError as error:
                if not self._may_reconnect(error):
                    raise self._refusal(error) from None
            except errors.SQLAlchemyError as error:
                raise self._refusal(error) from None

    def _fetch(self, statement: "sa.Select[Any]") -> Iterator[tuple[Key, Any]]:
        with self._engine.connect() as connection:
            self._connected = True
            streaming = connection.execution_options(yield_per=self._source.batch_rows)
            for raw_key, value in streaming.execute(statement):
                key = self._checked(raw_key)
                if key == self._after:
                    raise DataError(
                        f"{self._source.name}: two rows with {self._source.table.key_column} "
                        f"{key!r}; key_column must be unique, so that reading can go on behind a "
                        "row"
                    )
                self._after, self._failures = key, 0
                yield key, value

    def _may_reconnect(self, error: Any) -> bool:
        """Wait and agree, unless the database was never reached or stays away."""
        errors = import_sqlalchemy().exc
        lost = error.connection_invalidated or (
            # No new connection while the server restarts.
            self._failures > 0 and isinstance(error, errors.OperationalError)
        )
        if not (lost and self._connected) or self._failures == RECONNECTIONS:
            return False
        wait = _FIRST_WAIT_SECONDS * 2**self._failures
        self._failures += 1
        logger.warning(
            "%s: connection lost behind key %r (%s); a new one in %.2g s",
            self._source.name,
            self._after,
            explain(error, self._engine),
            wait,
        )
        time.sleep(wait)
        return True

    def _refusal(self, error: Exception) -> DataError:
        place = "" if self._after is None else f" behind the row with key {self._after!r}"
        return DataError(
            f"{self._source.name}: cannot read the table{place}: {explain(error, self._engine)}"
        )

    def _checked(self, key: Any) -> Key:
        if isinstance(key, Decimal) and key == key.to_integral_value():
            return int(key)
        if isinstance(key, int | str) and not isinstance(key, bool):
            return key
        found = "null" if key is None else f"of type {type(key).__name__}"
        raise DataError(
            f"{self._source.name}: a key in {self._source.table.key_column} is {found}; expected "
            "unique integers or text (CAST(... AS TEXT) makes text of others)"
        )
