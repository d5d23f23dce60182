"""The ASGI 3 application: OTLP/HTTP requests into batches, and three pages about the server.

Translates between ASGI events and ``core.otlp_http``, and decides on which thread a body is
decoded. It must not know Granian, signals or files. Any ASGI server with lifespan can run it:
startup begins the clockwork, shutdown stores everything that was acknowledged.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from otlp2parquet.batches.budget import Budget
from otlp2parquet.batches.ingestion import Batches
from otlp2parquet.core import Appended, inflates_within
from otlp2parquet.core.otlp_http import (
    Accepted,
    Response,
    decide,
    empty,
    failure,
    success,
    too_large,
    unavailable,
)
from otlp2parquet.errors import DecodeError, OtlpError, TooLargeError, UnsupportedError
from otlp2parquet.platforms.server.answers import Answer, Answers
from otlp2parquet.platforms.server.body import (
    Admission,
    Bodies,
    BodyCut,
    BodyTooLarge,
    BodyTooSlow,
    OverBudget,
    Receive,
    drain,
)
from otlp2parquet.platforms.server.metrics import CONTENT_TYPE, Metrics, RequestCounts

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

INLINE_BYTES: Final = 32 << 10
INLINE_COMPRESSED_BYTES: Final = 8 << 10
"""Bodies up to this size are decoded on the event loop's thread: handing them to another costs
more than it saves. A compressed one may grow a thousandfold: it must be small itself, and
inflate to no more than an uncompressed one. (2 KB of gzip can be a million empty records.)"""

TICK_SECS: Final = 0.1
"""How often ages, retries and slow bodies are looked at."""

_SENDERS: Final = (DecodeError, TooLargeError, UnsupportedError)

STORE_SECS: Final = 20.0
"""How long a shutdown tries to store what is left. Kubernetes kills after 30 s by default."""


class Application:
    """One server's application. ``threads`` bodies are decoded at once, besides the small ones."""

    def __init__(
        self,
        batches: Batches,
        budget: Budget,
        *,
        threads: int,
        max_payload_bytes: int,
        mode: str = "memory",
        monotonic: Callable[[], float] = time.monotonic,
        time_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._batches = batches
        self._budget = budget
        self._limit = max_payload_bytes
        self._monotonic = monotonic
        self._time_ns = time_ns
        self.bodies = Bodies(monotonic)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="otlp2parquet-decode")
        self.survives = batches.survives
        """Whether what is not stored at the end outlives the process."""
        self._answers = Answers(keeps_later=batches.keeps_later)
        batches.tell_within(self._answers)
        self._mode = mode
        self.requests = RequestCounts()
        self._metrics = Metrics(self.requests, batches, mode, time_ns)
        self._clockwork: asyncio.Task[None] | None = None
        self._stopping = False
        self.unsaved_rows: bool | None = None
        """After the shutdown: whether acknowledged rows could not be stored in time."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        if scope["type"] == "http":
            try:
                await self._http(scope, receive, send)
            except asyncio.CancelledError:
                # The loop ends, and its client had left: there is nobody to be answered, and
                # nothing for a server to complain about.
                log.debug("a request was given up, its connection is gone")
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    # -- life -------------------------------------------------------------------------------

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            event = await receive()
            if event["type"] == "lifespan.startup":
                self.start()
                await send({"type": "lifespan.startup.complete"})
            elif event["type"] == "lifespan.shutdown":
                await self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def start(self) -> None:
        """Begin to look at ages, retries and slow bodies. Needs a running event loop."""
        if self._clockwork is None:
            self._clockwork = asyncio.get_running_loop().create_task(self._tick())

    def refuse_new(self) -> None:
        """Be not ready from now on; requests that come nevertheless are still taken."""
        self._stopping = True

    async def stop(self) -> None:
        """Store everything that was acknowledged, within ``STORE_SECS``. May be called twice."""
        self.refuse_new()
        if self.unsaved_rows is None:
            self.unsaved_rows = True
            stored = await asyncio.to_thread(self._batches.drain, STORE_SECS)
            self.unsaved_rows = not stored
            if self._clockwork is not None:
                self._clockwork.cancel()
            self._pool.shutdown(wait=False)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECS)
            try:
                self.bodies.expire()
                self._batches.tick()
            except Exception:
                log.exception("the clockwork failed once, it goes on")

    # -- requests ---------------------------------------------------------------------------

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if path in ("/health", "/ready", "/metrics"):
            await _send(send, self._page(method, path), head=method == "HEAD")
            return
        started = self._monotonic()
        decision = decide(method, path, scope["headers"], max_payload_bytes=self._limit)
        size = appended = None
        if isinstance(decision, Response):
            response = await self._refuse(decision, scope, receive, send)
        else:
            response, size, appended = await self._export(decision, scope, receive, send)
        signal = "" if isinstance(decision, Response) else decision.signal
        self._count(signal, response, size, appended)
        if log.isEnabledFor(logging.DEBUG):
            fields = {
                "method": method,
                "path": path[:100],
                "status": response.status,
                "bytes": size,
                "accepted": appended.accepted if appended else None,
                "rejected": appended.rejected if appended else None,
                "secs": round(self._monotonic() - started, 6),
            }
            log.debug("request", extra={"fields": fields})

    def _count(
        self, signal: str, response: Response, size: int | None, appended: Appended | None
    ) -> None:
        counts = self.requests
        counts.answers[signal, response.status] += 1
        if size is not None:
            counts.bytes[signal] += size
        if appended is not None:
            counts.accepted[signal] += appended.accepted
            if appended.rejected:
                counts.rejected[signal] += appended.rejected

    async def _export(
        self, accepted: Accepted, scope: Scope, receive: Receive, send: Send
    ) -> tuple[Response, int | None, Appended | None]:
        compressed = accepted.encoding is not None
        size = appended = None
        refusal = self._batches.refusal()
        if refusal is not None:
            self.requests.refused["log"] += 1
            response = unavailable(f"{refusal}, send it again", accepted.format)
            return await self._refuse(response, scope, receive, send), None, None
        with Admission(
            self._budget, compressed=compressed, max_payload_bytes=self._limit
        ) as admission:
            try:
                admission.cover(accepted.content_length or 0)
                body = await self.bodies.read(
                    receive,
                    admission,
                    content_length=accepted.content_length,
                    limit=self._limit,
                )
            except (BodyCut, BodyTooLarge, BodyTooSlow, OverBudget) as refused:
                response = self._why(refused, accepted)
                if isinstance(refused, BodyCut):
                    await _send(send, response)
                else:
                    await self._refuse(response, scope, receive, send)
                return response, None, None
            size = len(body)
            if not body:
                response = empty(accepted)
            else:
                try:
                    kept = await self._append(accepted, body)
                    response = success(accepted, kept.rejected, kept.message)
                    appended = kept
                except Exception as error:
                    if not isinstance(error, _SENDERS):
                        self.requests.refused["storage"] += 1
                    if not isinstance(error, OtlpError):
                        log.exception("a request failed for an unforeseen reason")
                    response = failure(accepted, error)
        await _send(send, response)
        return response, size, appended

    async def _append(self, accepted: Accepted, body: bytes) -> Appended:
        """Append a body, and return once it is kept as the mode promises.

        There is no deadline: once the log has begun to write, only the log knows the answer.
        """
        answer = self._answers.expect()
        append = partial(
            self._batches.append,
            body,
            accepted.signal,
            content_type=accepted.media_type,
            content_encoding=accepted.encoding,
            received_at=self._time_ns(),
            kept=answer.kept if self._batches.keeps_later else None,
        )
        appended = append(wait=False) if _is_small(body, accepted.encoding) else None
        if appended is None:
            self._pool.submit(_append_for, answer, append)
        elif self._batches.keeps_later:
            answer.appended(appended)
        else:
            return appended
        return await answer.future

    def _why(self, refused: Exception, accepted: Accepted) -> Response:
        if isinstance(refused, BodyTooLarge):
            return too_large(self._limit, accepted.format)
        if isinstance(refused, OverBudget):
            self._batches.relieve()
            self.requests.refused["memory"] += 1
            text = "the server's memory is full of rows that are not stored yet, send it again"
        elif isinstance(refused, BodyTooSlow):
            self.requests.refused["slow body"] += 1
            text = "the body came too slowly, send it again"
        else:
            self.requests.refused["cut body"] += 1
            text = "the body ended before it was complete, send it again"
        return unavailable(text, accepted.format)

    async def _refuse(
        self, response: Response, scope: Scope, receive: Receive, send: Send
    ) -> Response:
        """Answer first, then take in a little of the body, so that the answer is read."""
        await _send(send, response, close=scope.get("http_version", "1.1").startswith("1"))
        await drain(receive)
        return response

    # -- pages ------------------------------------------------------------------------------

    def _page(self, method: str, path: str) -> Response:
        if method not in ("GET", "HEAD"):
            return _json_page(405, {"error": "expected the method GET"}, (b"allow", b"GET, HEAD"))
        if path == "/health":
            return _json_page(200, {"status": "ok"})
        if path == "/metrics":
            body = self._metrics.page()
            head = ((b"content-type", CONTENT_TYPE), (b"content-length", b"%d" % len(body)))
            return Response(200, head, body)
        reasons = []
        held = self._batches.held()
        if self._stopping:
            reasons.append("the server is stopping")
        if held.used_bytes >= held.limit_bytes:
            reasons.append("the memory is full of rows that are not stored yet")
        refusal = self._batches.refusal()
        if refusal is not None:
            reasons.append(refusal)
        page: dict[str, object] = {"status": "not ready" if reasons else "ready"}
        page["reasons"] = reasons
        page["memory"] = {"used_bytes": held.used_bytes, "limit_bytes": held.limit_bytes}
        page["batches"] = {
            "open_rows": held.open_rows,
            "closed": held.closed_batches,
            "retries": held.retries,
            "last_error": held.last_error,
        }
        page["durability"] = self._mode
        page["replay"] = {"running": held.replays > 0, "batches": held.replays}
        page["log"] = {
            "bytes": held.log.bytes,
            "max_bytes": held.log.max_bytes,
            "disk_used": round(held.log.disk_share, 3),
        }
        return _json_page(503 if reasons else 200, page)


def _append_for(answer: Answer, append: Callable[[], Appended | None]) -> None:
    """On a thread of the pool: append, and tell ``answer`` what became of it."""
    if answer.future.cancelled():
        return  # whoever waited is gone, and with them the room that the body had in the budget
    try:
        appended = append()
        assert appended is not None  # noqa: S101 - with wait=True there is always an outcome
    except BaseException as error:  # noqa: BLE001 - the task that waits has to have it
        answer.failed(error)
    else:
        answer.appended(appended)


def _is_small(body: bytes, encoding: str | None) -> bool:
    """Whether a body is decoded faster than handed to another thread."""
    if encoding is None:
        return len(body) <= INLINE_BYTES
    return len(body) <= INLINE_COMPRESSED_BYTES and inflates_within(body, encoding, INLINE_BYTES)


def _json_page(status: int, page: dict[str, object], *extra: tuple[bytes, bytes]) -> Response:
    body = json.dumps(page).encode() + b"\n"
    head = ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)))
    return Response(status, (*head, *extra), body)


async def _send(send: Send, response: Response, *, close: bool = False, head: bool = False) -> None:
    headers = list(response.headers)
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else response.body})
