"""PostgreSQL: a server with an empty database, by the programs of the system's package.

Knows ``initdb`` and ``postgres``, and that neither runs for root. Must not know who asks it.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
from pathlib import Path

from .cache import ComponentError, run_build
from .process import STOP_SECS, RunningProcess, free_port

USER, PASSWORD, DATABASE = "catalog", "hush", "postgres"
_NOBODY = "nobody"


def postgres_program(name: str) -> str:
    """Where a program of PostgreSQL is: on the path, or where Debian keeps it."""
    found = shutil.which(name)
    kept = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if found is None and not kept:
        raise ComponentError(f"{name} is not installed: Debian has it in the package postgresql")
    return found or str(kept[-1])


def _for_somebody() -> list[str]:
    """Words before a command that must not run for root."""
    if os.geteuid():
        return []
    return ["setpriv", f"--reuid={_NOBODY}", "--regid=65534", "--clear-groups"]


class Postgres(RunningProcess):
    """A running server on a free port of 127.0.0.1; its data goes with it."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        # Not in the tests' own folder: who runs it may not go there.
        self._data = Path(tempfile.mkdtemp(prefix="otlp2parquet-postgres-"))
        password = self._data / "password"
        password.write_text(PASSWORD, encoding="ascii")
        if not os.geteuid():
            for path in (self._data, password):
                shutil.chown(path, _NOBODY)
        cluster = self._data / "cluster"
        made = ["-D", str(cluster), "-U", USER, "--auth=scram-sha-256", f"--pwfile={password}"]
        run_build([*_for_somebody(), postgres_program("initdb"), *made, "--no-sync"])
        command = [*_for_somebody(), postgres_program("postgres"), "-D", str(cluster)]
        command += ["-p", str(self.port), "-c", "listen_addresses=127.0.0.1"]
        command += ["-c", f"unix_socket_directories={self._data}"]
        super().__init__(command, folder / "postgres.log", cwd=self._data)
        self.wait_ready(self._answers)
        self.uri = f"postgresql+psycopg2://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{DATABASE}"

    def stop(self) -> int:
        """End it (SIGINT) without waiting for who is connected."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_SECS)

    def __exit__(self, *_: object) -> None:
        """End it, and remove its data."""
        super().__exit__()
        shutil.rmtree(self._data, ignore_errors=True)

    def _answers(self) -> bool:
        if "database system is ready to accept connections" not in self.log:
            return False
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
