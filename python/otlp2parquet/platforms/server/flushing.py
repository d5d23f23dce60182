"""``POST /flush``: what is open is stored, and the answer comes when it is.

Knows asyncio, batches as something that can be flushed, and how a page of JSON is made. It must
not know sockets, signals or who may ask. A flush ends in every case: when all is stored, when its
time is over, or when the server begins to stop, which stores everything by itself.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs

from otlp2parquet.batches.flushes import Flush, Flushed
from otlp2parquet.batches.ingest import Ingest
from otlp2parquet.config import values
from otlp2parquet.core.otlp_http import Response, refuse, unavailable
from otlp2parquet.errors import StoppingError
from otlp2parquet.platforms.health import json_page
from otlp2parquet.platforms.refusals import LONGEST_MESSAGE

log = logging.getLogger(__name__)

PATH: Final = "/flush"

LONGEST_SECS: Final = 300.0
DEFAULT_SECS: Final = 30.0
"""How long a request waits for the storage; ``?timeout=`` says how long, up to the longest."""

_TIMEOUT: Final = values.seconds(maximum=LONGEST_SECS, zero=True)

_STOPPING: Final = "the server is stopping, and stores before it ends what it can"


class Flushing:
    """The flushes of one server. All methods are for the event loop's thread."""

    def __init__(
        self, ingest: Ingest, root: str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._ingest = ingest
        self._root = root
        self._monotonic = monotonic
        self._is_stopping = asyncio.Event()
        self._from_signals: set[asyncio.Task[None]] = set()

    def stop(self) -> None:
        """End all that wait, and refuse others."""
        self._is_stopping.set()

    def begin(self) -> None:
        """A signal asks: the log says what came of it. Does not wait."""
        task = asyncio.get_running_loop().create_task(self._log_flush())
        self._from_signals.add(task)
        task.add_done_callback(self._from_signals.discard)

    async def _log_flush(self) -> None:
        answer = await self._answer(LONGEST_SECS)
        if isinstance(answer, Response):
            log.warning("SIGUSR1: %s", answer.message)
        else:
            log.info("SIGUSR1: what was open is stored", extra={"fields": answer})

    async def respond(self, method: str, query: bytes) -> Response:
        """The response to a request for ``PATH``."""
        if method != "POST":
            allow = (b"allow", b"POST")
            return refuse(405, "not a POST", "expected the method POST", "json", allow)
        given = parse_qs(query.decode("latin-1"), keep_blank_values=True)
        try:
            timeout_secs = _TIMEOUT.from_text(given.get("timeout", [f"{DEFAULT_SECS}"])[-1])
        except ValueError:
            # Without what was found: it is the client's text.
            return refuse(400, "bad timeout", f"timeout: expected {_TIMEOUT.expected}")
        answer = await self._answer(timeout_secs)
        return answer if isinstance(answer, Response) else json_page(200, answer)

    async def _answer(self, timeout_secs: float) -> dict[str, object] | Response:
        """What was stored, or the refusal that says why not all of it is."""
        if self._is_stopping.is_set():
            return unavailable(_STOPPING, reason="stopping")
        began = self._monotonic()
        try:
            flushed = await self._flush(timeout_secs)
        except StoppingError:
            return unavailable(_STOPPING, reason="stopping")
        if flushed.is_stored:
            return {
                "status": "stored",
                "root": self._root,
                "batches": flushed.batches,
                "files": flushed.files,
                "bytes": flushed.bytes,
                "rows": dict(sorted(flushed.rows.items())),
                "secs": round(self._monotonic() - began, 3),
            }
        if flushed.waiting and self._is_stopping.is_set():
            return unavailable(_STOPPING, reason="stopping")
        return self._not_stored(flushed, timeout_secs)

    async def _flush(self, timeout_secs: float) -> Flushed:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Flushed] = loop.create_future()

        def settle(flushed: Flushed) -> None:
            if not future.done():
                future.set_result(flushed)

        def told(flushed: Flushed) -> None:
            loop.call_soon_threadsafe(settle, flushed)

        flush: Flush = self._ingest.flush(told)
        stopping = loop.create_task(self._is_stopping.wait())
        try:
            ends: set[asyncio.Future[Any]] = {future, stopping}
            await asyncio.wait(ends, timeout=timeout_secs, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            self._ingest.end_flush(flush)
        return await future

    def _not_stored(self, flushed: Flushed, timeout_secs: float) -> Response:
        if flushed.waiting:
            kept = "in the log" if self._ingest.survives else "in memory"
            if self._ingest.acknowledges_later and not self._ingest.survives:
                kept = "with their senders, who have no answer yet"
            backlog = self._ingest.status().backlog
            error = backlog.last_error[:LONGEST_MESSAGE]
            trouble = f"; the last error: {error}" if error else ""
            return refuse(
                504,
                "not stored in time",
                f"{flushed.waiting} batches are not stored after {timeout_secs:g} s, their rows "
                f"are {kept} and go on being stored{trouble}",
            )
        if flushed.refused:
            return unavailable(
                f"the storage failed: {flushed.refused} batches were refused, and their senders "
                "told to send again",
                reason="storage",
            )
        if flushed.lost:
            message = f"the log of {flushed.lost} batches was removed before they were stored"
        else:
            message = (
                f"{flushed.left} batches stay in the log, for the version of otlp2parquet that "
                "wrote them"
            )
        return unavailable(f"{message}; all else is stored", reason="not all stored")
