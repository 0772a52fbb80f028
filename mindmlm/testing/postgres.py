"""A PostgreSQL server of a test's own: loopback only, a temporary folder, no privileges."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

PASSWORD = "corr3ct-horse"
USER = "reader"


def binaries() -> Path | None:
    """Return the folder of initdb and postgres (Debian hides it from PATH), or None."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


class PostgresServer:
    """Started by `with`; `url` names its database.

    Args:
        folder_of_binaries: see `binaries`.
    """

    def __init__(self, folder_of_binaries: Path) -> None:
        self._binaries = folder_of_binaries
        # Not pytest's folder: its parents shut other users out.
        self._folder = Path(tempfile.mkdtemp(prefix="mindmlm-postgres-"))
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    @property
    def url(self) -> str:
        """Address of its database, without the password."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    def __enter__(self) -> "PostgresServer":
        if os.getuid() == 0:
            shutil.chown(self._folder, *self._user().values())
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run(
            "initdb", "-D", "data", "-U", USER, "--pwfile=password", "-A", "scram-sha-256",
            "-E", "UTF8", "--locale=C", "--no-sync",
        )  # fmt: skip
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            RuntimeError: it does not within 30 seconds.
        """
        self._process = subprocess.Popen(
            [
                self._binaries / "postgres", "-D", "data", "-h", "127.0.0.1",
                "-p", str(self.port), "-k", "", "-F",
            ],
            cwd=self._folder,
            stderr=subprocess.DEVNULL,
            **self._user(),
        )  # fmt: skip
        import psycopg

        for _ in range(600):
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.url, password=PASSWORD).close()
                return
            time.sleep(0.05)
        raise RuntimeError("PostgreSQL did not start")

    def stop(self) -> None:
        """Stop it; `start` starts it again with its data."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)
            self._process = None

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._binaries / program, *arguments],
            cwd=self._folder,
            check=True,
            stdout=subprocess.DEVNULL,
            **self._user(),
        )

    @staticmethod
    def _user() -> dict[str, Any]:
        """PostgreSQL refuses to run as root."""
        if os.getuid() != 0:
            return {}
        nobody = pwd.getpwnam("nobody")
        return {"user": nobody.pw_uid, "group": nobody.pw_gid}
