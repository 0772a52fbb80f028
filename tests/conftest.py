"""Fixtures that every test may use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mindmlm.testing.postgres import PASSWORD, PostgresServer, binaries

PROJECT_ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def project_root() -> Path:
    return PROJECT_ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real texts and vocabularies that lie beside the project on some machines; never shipped."""
    folder = PROJECT_ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the folder of real data beside the project is not on this machine")
    return folder


@pytest.fixture(scope="session")
def graph_mode() -> None:
    """MindSpore on the CPU in graph mode, as a run sets it up."""
    from mindmlm.runtime.context import initialise

    initialise("CPU", device_id=0, mode=0)


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A running PostgreSQL; the test is skipped where its binaries are not installed."""
    pytest.importorskip("psycopg")
    folder = binaries()
    if folder is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    with PostgresServer(folder) as running:
        yield running


@pytest.fixture
def postgres(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> PostgresServer:
    """The server, with the password where a user would put it."""
    monkeypatch.setenv("MINDMLM_SQL_PASSWORD", PASSWORD)
    return server
