"""The real server behind a door that says 503 to every n-th request: ``UnreadyServer``.

``python -m tests.components.unready EVERY serve ...`` is the command ``otlp2parquet serve ...``
with that door around its application. A refused request reaches nothing behind the door.
"""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from otlp2parquet.cli import main
from otlp2parquet.core.otlp_http import format_of, unavailable
from otlp2parquet.platforms.server import run
from otlp2parquet.platforms.server.asgi import answer_then_drain
from otlp2parquet.platforms.server.front_door import front_door

from .server import Server

if TYPE_CHECKING:
    from pathlib import Path

REFUSED = "refused on purpose"


class Unready:
    """An ASGI application that answers every n-th POST with 503 and ``Retry-After: 1``."""

    def __init__(self, application: Any, every: int) -> None:
        self._application = application
        self._every = every
        self._count = itertools.count(1)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI 3."""
        if scope["type"] != "http" or scope["method"] != "POST" or next(self._count) % self._every:
            await self._application(scope, receive, send)
            return
        print(REFUSED, file=sys.stderr, flush=True)
        answer = unavailable(REFUSED, format_of(scope["headers"]))
        await answer_then_drain(answer, scope, receive, send)


class UnreadyServer(Server):
    """A server that refuses every ``every``-th request."""

    def __init__(self, folder: Path, every: int) -> None:
        program = (sys.executable, "-m", "tests.components.unready", str(every))
        super().__init__(folder, program=program)

    @property
    def refused(self) -> int:
        """How many requests it has refused."""
        return self.log.count(REFUSED)


if __name__ == "__main__":

    def door(application: Any, *rest: Any) -> Unready:
        """The server's own door with the one that refuses before it."""
        return Unready(front_door(application, *rest), int(sys.argv[1]))

    with patch.object(run, "front_door", door):
        main(sys.argv[2:])
