"""The ASGI 3 application: translates between ASGI's events and export requests and outcomes.

Knows ASGI, ``core.otlp_http`` and the use case ``platforms.export``. It must not know Granian,
signals or files. Any ASGI server with lifespan can run it: startup begins the clockwork, shutdown
stores everything that was acknowledged.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from otlp2parquet.batches.budget import Budget
from otlp2parquet.batches.ingest import Ingest
from otlp2parquet.catalogs.running import LAST_SECS, CommitThread
from otlp2parquet.core.otlp_grpc import METHODS, Answer
from otlp2parquet.core.otlp_http import (
    ExportHead,
    Response,
    format_of,
    read_head,
    refuse,
    render,
    without_prefix,
)
from otlp2parquet.core.outcome import Outcome
from otlp2parquet.platforms.acknowledgements import Acknowledgements
from otlp2parquet.platforms.export import Exports
from otlp2parquet.platforms.refusals import Refusals
from otlp2parquet.platforms.server import flushing
from otlp2parquet.platforms.server.asgi import (
    Receive,
    Scope,
    Send,
    answer_then_drain,
    send_response,
)
from otlp2parquet.platforms.server.body import Bodies
from otlp2parquet.platforms.server.flushing import Flushing
from otlp2parquet.platforms.server.front_door import STRANGER
from otlp2parquet.platforms.server.live import stream
from otlp2parquet.platforms.server.live.state import ServerState
from otlp2parquet.platforms.server.live.tap import Tap
from otlp2parquet.platforms.server.metrics import Metrics
from otlp2parquet.platforms.server.origins import judge
from otlp2parquet.platforms.server.page import home
from otlp2parquet.platforms.server.pages import PATHS, Pages
from otlp2parquet.storage import StorageStatus

log = logging.getLogger(__name__)

TICK_SECS: Final = 0.1
"""How often ages, retries and slow bodies are looked at."""

STORE_SECS: Final = 20.0
"""How long a shutdown tries to store what is left. Kubernetes kills after 30 s by default."""

FOREIGN: Final = (
    "web pages of other origins may not do this, nor those of other names of this machine: "
    "expected a page of the server's own address, or, to send, one of an origin that "
    "server.cors.allowed_origins has"
)
"""The answer to a page of somebody else."""

LEAST_SECS: Final = 1.0
"""What is left at least for the last commit, also where storing took all of its time."""


class Application:
    """One server's application. ``threads`` bodies are decoded at once, besides the small ones."""

    def __init__(
        self,
        ingest: Ingest,
        budget: Budget,
        acknowledgements: Acknowledgements,
        *,
        threads: int,
        max_payload_bytes: int,
        mode: str = "memory",
        path_prefix: str = "",
        storage: StorageStatus | None = None,
        commits: CommitThread | None = None,
        has_page: bool = False,
        has_tokens: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        time_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._ingest = ingest
        self._limit = max_payload_bytes
        self._path_prefix = path_prefix
        self._monotonic = monotonic
        self.exports = Exports(
            ingest,
            budget,
            acknowledgements,
            threads=threads,
            max_payload_bytes=max_payload_bytes,
            time_ns=time_ns,
        )
        self.bodies = Bodies(monotonic)
        self.survives = ingest.survives
        """Whether what is not stored at the end outlives the process."""
        self._counts = self.exports.counts
        self._refusals = Refusals(monotonic)
        self._commits = commits
        metrics = Metrics(
            self._counts, ingest, mode, storage=storage, time_ns=time_ns, commits=commits
        )
        self._pages = Pages(ingest, metrics, mode, storage, commits)
        self.flushing = Flushing(ingest, "" if storage is None else storage.root, monotonic)
        self._has_tokens = has_tokens
        state = ServerState(
            self._counts,
            ingest,
            self._pages.reasons,
            mode=mode,
            folder="" if storage is None else storage.root,
            monotonic=monotonic,
            time_ns=time_ns,
        )
        self.read_state = state.read
        """The server's numbers as who looks at it has them."""
        self.tap = Tap(self.exports, self.read_state, monotonic=monotonic, time_ns=time_ns)
        """Who looks at what is received."""
        self._has_page = has_page
        self.home = home.Home(has_page=has_page, has_tokens=has_tokens, path_prefix=path_prefix)
        self._clockwork: asyncio.Task[None] | None = None
        self._storing: asyncio.Task[None] | None = None
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
        """Be not ready from now on; requests that come nevertheless are still taken.

        Who waits for a flush is answered: a stop stores everything, but its listener goes first.
        """
        self._pages.is_stopping = True
        self.flushing.stop()
        self.tap.close()

    async def stop(self) -> None:
        """Store everything that was acknowledged, within ``STORE_SECS``.

        There is one stop, whoever asks for it and how often: every caller returns when it is over.
        A caller that is cancelled leaves it to the others.
        """
        self.refuse_new()
        if self._storing is None:
            self._storing = asyncio.get_running_loop().create_task(self._store())
        await asyncio.shield(self._storing)

    async def _store(self) -> None:
        self.unsaved_rows = True
        self.exports.stop()
        try:
            # Meanwhile the clockwork goes on: without it nothing would be tried again.
            began = self._monotonic()
            self.unsaved_rows = not await asyncio.to_thread(self._ingest.drain, STORE_SECS)
            await self._commit_last(STORE_SECS - (self._monotonic() - began))
        finally:
            if self._clockwork is not None:
                self._clockwork.cancel()
            self._refusals.tick(everything=True)
            self.exports.close()

    async def _commit_last(self, secs: float) -> None:
        """One more attempt to make what is stored part of its tables, in what time is left."""
        if self._commits is None:
            return
        bounded = min(LAST_SECS, max(LEAST_SECS, secs))
        if not await asyncio.to_thread(self._commits.stop, bounded):
            log.warning(
                "stopped before all files became part of their tables; their receipts are kept, "
                "and are committed after the next start, or by otlp2parquet reconcile"
            )

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECS)
            try:
                self.bodies.expire()
                self._refusals.tick()
                self._ingest.tick()
                self.tap.tick()
            except Exception:
                log.exception("the clockwork failed once, it goes on")

    # -- requests ---------------------------------------------------------------------------

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = without_prefix(scope["path"], self._path_prefix), scope["method"]
        verdict = judge(path, scope, has_tokens=self._has_tokens)
        if verdict == "refused":
            response = refuse(403, "foreign web page", FOREIGN, format_of(scope["headers"]))
            await answer_then_drain(response, scope, receive, send)
            self.report_response(scope, response)
            return
        to_stranger = verdict == "outline" or STRANGER in scope
        if path in PATHS:
            page = self._pages.page(method, path, to_stranger=to_stranger)
            await send_response(send, page, head=method == "HEAD")
            return
        if path == flushing.PATH:
            response = await self.flushing.respond(method, scope.get("query_string", b""))
            await answer_then_drain(response, scope, receive, send)
            self.report_response(scope, response)
            return
        if path == home.PATH and method in ("GET", "HEAD"):
            page = self.home.answer(scope["headers"], to_stranger=to_stranger)
            await send_response(send, page, head=method == "HEAD")
            return
        if path == stream.PATH:
            tap = self.tap if self._has_page else None
            await stream.answer(tap, scope, receive, send)
            return
        started = self._monotonic()
        head = read_head(
            method,
            scope["path"],
            scope["headers"],
            max_payload_bytes=self._limit,
            path_prefix=self._path_prefix,
        )
        outcome = None
        if isinstance(head, ExportHead):
            read_body = partial(self.bodies.read, receive, head.content_length, self._limit)
            outcome = await self.exports.take(head, read_body)
            response = render(head, outcome)
            self._counts.answers[head.signal, str(response.status)] += 1
            if outcome.body_bytes is None and outcome.kind != "cut body":
                await answer_then_drain(response, scope, receive, send)
            else:
                await send_response(send, response)
            if response.message:
                self._report(scope, response, outcome, head.signal)
        else:
            response = head
            await answer_then_drain(response, scope, receive, send)
            self.report_response(scope, response)
        if log.isEnabledFor(logging.DEBUG):
            fields = {
                "method": method,
                "path": scope["path"][:100],
                "status": response.status,
                "bytes": outcome and outcome.body_bytes,
                "accepted": outcome.accepted if outcome and outcome.is_taken else None,
                "rejected": outcome.rejected if outcome and outcome.is_taken else None,
                "secs": round(self._monotonic() - started, 6),
            }
            log.debug("request", extra={"fields": fields})

    def report_response(self, scope: Scope, response: Response) -> None:
        """Count a response that was given before anybody looked for a signal; log a refusal."""
        self._counts.answers["", str(response.status)] += 1
        if response.message:
            self._report(scope, response)

    def report_call(
        self, client: str, method: str, answer: Answer, outcome: Outcome | None
    ) -> None:
        """Log what a gRPC call was refused for, as of HTTP's requests."""
        headers = ((b"content-type", b"application/grpc"),)
        self._refusals.report(answer, outcome, client=client, path=method, headers=headers)
        if self.exports.watch is not None:
            self.tap.refused(client, METHODS.get(method, ""), answer.code, answer, outcome)

    @property
    def is_ready(self) -> bool:
        """Whether requests are taken now."""
        return not self._pages.reasons()

    def _report(
        self, scope: Scope, response: Response, outcome: Outcome | None = None, signal: str = ""
    ) -> None:
        address = scope.get("client")
        client = str(address[0]) if address else ""
        self._refusals.report(
            response, outcome, client=client, path=scope["path"], headers=scope["headers"]
        )
        if self.exports.watch is not None:
            self.tap.refused(client, signal, response.status, response, outcome)
