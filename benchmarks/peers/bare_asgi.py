"""The least that an ASGI application under Granian can do: read the body, answer with nothing."""

from __future__ import annotations

import http.client
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.components.process import RunningProcess, free_port

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

ROOT = Path(__file__).parents[2]


async def application(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """ASGI 3: lifespan, and a 200 without a body for every request."""
    if scope["type"] == "lifespan":
        event: dict[str, Any] = {"type": ""}
        while event["type"] != "lifespan.shutdown":
            event = dict(await receive())
            await send({"type": f"{event['type']}.complete"})
        return
    parts, more = [], True
    while more:
        event = dict(await receive())
        parts.append(event.get("body", b""))
        more = bool(event.get("more_body", False))
    b"".join(parts)
    headers = [(b"content-type", b"application/x-protobuf"), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


class BareAsgi(RunningProcess):
    """Granian's own command with ``application``, one worker, on one core."""

    def __init__(self, folder: Path, core: int) -> None:
        """Start it on ``core`` and wait until it answers."""
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        granian = Path(sys.executable).with_name("granian")
        command: list[str | Path] = ["taskset", "-c", str(core), granian]
        command += ["--interface", "asgi", "--no-ws", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "benchmarks.peers.bare_asgi:application"]
        super().__init__(command, folder / "granian.log", cwd=ROOT)
        self.wait_ready(self._answers)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
