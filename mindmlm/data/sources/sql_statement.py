"""The statements that read a part of a query: bound parameters, ordered by key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mindmlm.data.sources.base import Slice
from mindmlm.data.sources.sql_connection import import_sqlalchemy
from mindmlm.errors import DataError

if TYPE_CHECKING:
    import sqlalchemy as sa

Key = int | str
_KEY_LABEL, _TEXT_LABEL = "mindmlm_key", "mindmlm_text"


@dataclass(frozen=True)
class KeyRange:
    """Integer keys from ``begin`` to before ``end``."""

    begin: int
    end: int

    def part(self, part: Slice) -> "KeyRange":
        """Return one of ``part.count`` pieces of about the same width."""
        width = self.end - self.begin
        return KeyRange(
            self.begin + width * part.index // part.count,
            self.begin + width * (part.index + 1) // part.count,
        )


@dataclass(frozen=True)
class TableQuery:
    """A query of the user's and how its rows are told apart.

    Attributes:
        query: a SELECT; ``:name`` stands for a parameter.
        key_column: unique and not null, integers or text; rows are read in its order.
        text_field: the column with the text.
        parameters: value of each ``:name``, bound by the driver, never written into the SQL;
            others are not used.
    """

    query: str
    key_column: str
    text_field: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def rows(
        self,
        after: Key | None = None,
        key_range: KeyRange | None = None,
        modulo: Slice | None = None,
    ) -> "sa.Select[Any]":
        """Return the statement for (key, text), ascending by key.

        Args:
            after: only rows with a larger key.
            key_range: only keys in it.
            modulo: only keys that leave the remainder ``modulo.index``.
        """
        sqlalchemy = import_sqlalchemy()
        source = self._source()
        key = source.c[self.key_column]
        label = key.label(_KEY_LABEL)
        statement = sqlalchemy.select(label, source.c[self.text_field].label(_TEXT_LABEL))
        if after is not None:
            statement = statement.where(key > _literal(after))
        if key_range is not None:
            statement = statement.where(
                key >= _literal(key_range.begin), key < _literal(key_range.end)
            )
        if modulo is not None and modulo.count > 1:
            # SQL's remainder of a negative number is negative.
            positive = (key % modulo.count + modulo.count) % modulo.count
            statement = statement.where(positive == modulo.index)
        return statement.order_by(label)

    def extent(self) -> "sa.Select[Any]":
        """Return the statement for (number of rows, smallest key, largest key)."""
        sqlalchemy = import_sqlalchemy()
        source = self._source()
        key = source.c[self.key_column]
        functions = sqlalchemy.func
        return sqlalchemy.select(
            functions.count().label("mindmlm_rows"),
            functions.min(key).label("mindmlm_first"),
            functions.max(key).label("mindmlm_last"),
        ).select_from(source)

    def _source(self) -> "sa.Subquery":
        sqlalchemy = import_sqlalchemy()
        # The line break ends a comment that the query may end with.
        clause = sqlalchemy.text(self.query.strip().rstrip(";") + "\n")
        asked = set(clause.compile().params)
        if missing := asked - set(self.parameters):
            names = ", ".join(f":{name}" for name in sorted(missing))
            raise DataError(
                f"train_dataset.data_loader.parameters: the query asks for {names}; add "
                "name=value (a colon that is meant as such is written \\:)"
            )
        bound = {name: self.parameters[name] for name in asked}
        columns = (sqlalchemy.column(self.key_column), sqlalchemy.column(self.text_field))
        return clause.bindparams(**bound).columns(*columns).subquery("source")


def _literal(value: Key) -> "sa.ColumnElement[Any]":
    sqlalchemy = import_sqlalchemy()
    kind = sqlalchemy.BigInteger() if isinstance(value, int) else sqlalchemy.Text()
    return sqlalchemy.literal(value, kind)
