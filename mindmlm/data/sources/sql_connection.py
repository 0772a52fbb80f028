"""Connections to databases: the URL, where the password comes from, and what messages may say."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindmlm.config.database_url import PASSWORD_VARIABLE, USER_VARIABLE, url_fault
from mindmlm.data.sources.secrets import read_secret_file
from mindmlm.errors import DataError

if TYPE_CHECKING:
    import sqlalchemy as sa

_DEFAULT_DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
_CONNECT_ARGUMENTS: dict[str, dict[str, Any]] = {
    # A connection that dies silently is noticed after two minutes instead of two hours.
    "postgresql": {
        "connect_timeout": 30,
        "keepalives_idle": 60,
        "keepalives_interval": 15,
        "keepalives_count": 4,
    },
    "mysql": {"connect_timeout": 30},
}
# MaxCompute refuses ORDER BY without LIMIT unless it is told not to.
_URL_OPTIONS = {"odps": {"odps.sql.validate.orderby.limit": "false"}}


@dataclass(frozen=True)
class Database:
    """A database that can be connected to.

    Attributes:
        url: an SQLAlchemy URL without a password; `postgresql:` means psycopg 3 and `mysql:`
            PyMySQL.
        credentials_file: a YAML file with ``user`` and ``password`` that only its owner may read;
            "" = the environment variables MINDMLM_SQL_USER and MINDMLM_SQL_PASSWORD, and where
            these are not set whatever the driver finds itself (PGPASSWORD, ~/.pgpass, ~/.my.cnf).
    """

    url: str
    credentials_file: str = ""

    @property
    def name(self) -> str:
        """What messages and cache keys call it: kind, host and database, nothing else."""
        url = _parse(self.url)
        port = f":{url.port}" if url.port else ""
        return f"{url.get_backend_name()}://{url.host or ''}{port}/{url.database or ''}"

    def engine(self) -> "sa.Engine":
        """Return an engine that keeps no connections.

        Raises:
            DataError: the URL holds a password or is no URL, the credentials cannot be read, the
                file of an SQLite database is not there, or a package is missing.
        """
        sqlalchemy = import_sqlalchemy()
        url = _parse(self.url)
        backend = url.get_backend_name()
        _refuse_missing_file(self.url, backend, url.database)
        url = url.set(drivername=_DEFAULT_DRIVERS.get(url.drivername, url.drivername))
        url = url.update_query_dict(_URL_OPTIONS.get(backend, {}))
        if backend != "sqlite":
            credentials = self._credentials()
            url = url.set(
                username=credentials.get("user") or url.username,
                password=credentials.get("password") or None,
            )
        try:
            return sqlalchemy.create_engine(
                url,
                poolclass=sqlalchemy.pool.NullPool,
                hide_parameters=True,
                connect_args=_CONNECT_ARGUMENTS.get(backend, {}),
            )
        except (ImportError, sqlalchemy.exc.NoSuchModuleError) as error:
            raise DataError(
                f"{self.name}: no driver for {url.drivername} ({error}); "
                'pip install "mindmlm[sql]" brings PostgreSQL, MySQL, Hive and ODPS'
            ) from None
        except sqlalchemy.exc.ArgumentError as error:
            raise DataError(f"{self.name}: {' '.join(str(error).split())}") from None

    def _credentials(self) -> Mapping[str, str]:
        if self.credentials_file:
            return read_secret_file(Path(self.credentials_file), ("user", "password"))
        return {
            "user": os.environ.get(USER_VARIABLE, ""),
            "password": os.environ.get(PASSWORD_VARIABLE, ""),
        }


def import_sqlalchemy() -> Any:
    """Return the package `sqlalchemy`, imported when it is first needed.

    Raises:
        DataError: it is not installed.
    """
    try:
        import sqlalchemy
    except ImportError:
        raise DataError('reading tables needs SQLAlchemy: pip install "mindmlm[sql]"') from None
    return sqlalchemy


def explain(error: Exception, engine: "sa.Engine") -> str:
    """Return the driver's message on one line, without statement, values or password."""
    text = str(getattr(error, "orig", None) or error)
    if password := engine.url.password:
        text = text.replace(str(password), "***")
    return " ".join(text.split())


def _parse(text: str) -> "sa.URL":
    sqlalchemy = import_sqlalchemy()
    if fault := url_fault(text):
        raise DataError(f"train_dataset.data_loader.url: {fault}")
    try:
        return sqlalchemy.make_url(text)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise DataError(
            "train_dataset.data_loader.url: is no database URL; expected, for example, "
            "postgresql://host/database"
        ) from None


def _refuse_missing_file(text: str, backend: str, database: str | None) -> None:
    if backend != "sqlite" or text.partition("?")[2]:
        return
    if not database or not Path(database).is_file():
        raise DataError(
            f"{database or text}: no such file, so there is no SQLite database to read "
            "(sqlite:///relative/path or sqlite:////absolute/path)"
        )
