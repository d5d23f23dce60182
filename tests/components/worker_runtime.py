"""Cloudflare Workers on this machine: Pyodide, the Workers SDK, Miniflare's R2, and wrangler.

Knows npm, pip and the harness's arguments. Must not know what the Worker does. The harness is one
Node process that holds all of them; it answers HTTP on one port as the Worker, and on another one
it takes orders: variables, faults of R2, what is in the bucket.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from .cache import npm_folder, run_build
from .process import RunningProcess, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SOURCE = Path(__file__).with_name("workers")
FILES = ("package.json", "package-lock.json")
SDK = "workers-runtime-sdk==1.9.5"
READY_SECS = 180.0
"""Pyodide starts in 3 to 15 seconds; a loaded machine gets more."""


def build_worker_runtime() -> Path:
    """The folder with ``node_modules`` and the SDK (``sdk``), made on first use."""
    return npm_folder("workers", SOURCE, FILES, beside=SDK, complete=_add_sdk)


def _add_sdk(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    run_build([*pip, "--dest", folder, SDK])
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "sdk")


def wrangler(arguments: Iterable[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    """What wrangler says of a Worker's folder; it sends nothing anywhere."""
    program = build_worker_runtime() / "node_modules" / ".bin" / "wrangler"
    own = {"WRANGLER_SEND_METRICS": "false", "CI": "1", "NO_COLOR": "1"}
    return subprocess.run(
        [str(word) for word in (program, *arguments)],
        cwd=folder,
        env={**os.environ, **own},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


class Answer(NamedTuple):
    """What the Worker has answered."""

    status: int
    headers: list[tuple[bytes, bytes]]
    """Lower-case names."""
    body: bytes


class WorkerRuntime(RunningProcess):
    """The Worker of a deployed folder, under Pyodide with the real SDK, over Miniflare's R2."""

    def __init__(self, harness: Path, sources: Path, log: Path, prelude: str = "") -> None:
        """``prelude`` is Python that each isolate runs before its first event."""
        self._prelude = prelude
        self._ports = log.with_suffix(".ports")
        self._ports.unlink(missing_ok=True)
        runtime = build_worker_runtime()
        command: list[str | Path] = ["node", harness, runtime, sources, self._ports]
        super().__init__(command, log, cwd=runtime)
        self.wait_ready(self._ports.exists, READY_SECS)
        self.port, self._orders = json.loads(self._ports.read_text())
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def fetch(
        self, method: str, path: str, headers: Iterable[tuple[bytes, bytes]] = (), body: bytes = b""
    ) -> Answer:
        """What the Worker answers to a request, sent exactly with these header fields."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name.decode(), value)
            connection.endheaders(body or None)
            response = connection.getresponse()
            fields = [(n.lower().encode(), v.encode()) for n, v in response.getheaders()]
            return Answer(response.status, fields, response.read())
        finally:
            connection.close()

    def order(self, name: str, body: object = None) -> Any:
        """Give the harness an order, and get its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._orders, timeout=120)
        try:
            connection.request("POST", f"/{name}", json.dumps(body))
            response = connection.getresponse()
            content = response.read()
            assert response.status == 200, (name, content[:2000], self.log[-4000:])
            return json.loads(content)
        finally:
            connection.close()

    def restart(self, variables: Mapping[str, str] | None = None, *, bucket: bool = True) -> None:
        """An isolate of its own, as after an eviction: memory is new, the bucket is what it was."""
        asked = {"variables": dict(variables or {}), "bucket": bucket, "prelude": self._prelude}
        self.order("restart", asked)

    def clear(self) -> None:
        """Empty the bucket, forget faults and the lines of the log."""
        self.order("clear")

    def fail(self, *faults: str) -> None:
        """What befalls the next calls of R2, in order.

        ``put fails``: it was not done. ``put lost``: it was, and nobody hears of it. ``put hangs``:
        it was not, and nobody hears of it. Also for ``head`` and ``delete``; ``put works`` is none.
        """
        self.order("faults", faults)

    def settle(self) -> None:
        """Wait until nothing goes on behind the answers."""
        wait_until(lambda: self.order("behind") == 0, 60, lambda: f"{self.log}\n{self.lines()}")

    def scheduled(self) -> None:
        """What the cron trigger calls."""
        self.order("scheduled")

    def keys(self) -> list[str]:
        """The keys in the bucket, in order."""
        keys: list[str] = self.order("keys")
        return keys

    def save(self, folder: Path) -> list[Path]:
        """Write everything that is in the bucket below a folder; the files."""
        paths = []
        for key in self.keys():
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self._object(key))
            paths.append(path)
        return paths

    def _object(self, key: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self._orders, timeout=120)
        try:
            connection.request("POST", f"/object?key={quote(key, safe='')}")
            response = connection.getresponse()
            assert response.status == 200, key
            return response.read()
        finally:
            connection.close()

    def lines(self) -> list[dict[str, Any]]:
        """The lines of the Worker's log since the bucket was cleared."""
        return [json.loads(line) for line in self.order("lines")]
