"""What becomes of each request to a Worker: the server's answers, for one bucket and no disk.

Knows OTLP/HTTP by ``core.otlp_http`` and ``core.outcome``, as every platform does, and that a
request is a batch of its own: it is answered when its rows are in the bucket. Must not know the
runtime: a request comes as method, path, header fields and chunks of a body.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from otlp2parquet.batch_id import new_batch_id
from otlp2parquet.core import outcome
from otlp2parquet.core.auth import Tokens
from otlp2parquet.core.otlp_http import (
    ExportHead,
    Response,
    format_of,
    read_head,
    render,
    unauthenticated,
    unavailable,
)
from otlp2parquet.core.outcome import NO_MEMORY, Outcome, RefusedError
from otlp2parquet.core.pure.builder import Result, process_otlp
from otlp2parquet.platforms import health
from otlp2parquet.platforms.cloudflare_worker.bucket import Bucket
from otlp2parquet.platforms.cloudflare_worker.settings import WorkerSettings
from otlp2parquet.platforms.cloudflare_worker.storing import store
from otlp2parquet.platforms.refusals import Refusals

if TYPE_CHECKING:
    # Loaded by whoever makes one: nobody else needs what it needs.
    from otlp2parquet.platforms.cloudflare_worker.catalog import WorkerCatalog

log = logging.getLogger(__name__)

Behind = Callable[[Coroutine[Any, Any, None]], object]
"""Has something done behind the answer to a request."""

MEMORY_BYTES: Final = 48 << 20
"""What the rows of one request may take while they are decoded: of the 128 MB of a Worker, the
interpreter, the body and the files of the requests that wait for R2 take their part."""
HELD_BYTES: Final = 2
"""Bodies that may be held at a time, in payloads of the largest size."""
BODY_SECS: Final = 30.0
"""How long a body may take to come. A Worker is charged for processor time, not for waiting."""


class Request(NamedTuple):
    """One request, as the runtime has it."""

    method: str
    path: str
    """Without the query."""
    headers: tuple[tuple[bytes, bytes], ...]
    """Lower-case names, as ASGI gives them."""
    chunks: AsyncGenerator[bytes, None]
    """The body; ``BodyCutError`` where it ends before it is complete."""
    client: str = ""
    """The sender's address."""


class BodyCutError(Exception):
    """A body ended before it was complete."""


class Application:
    """Answers requests. One lives as long as the runtime keeps a Worker's memory.

    Requests come and go while others wait, all on one thread. Nothing here lets one wait for
    another: Cloudflare forbids it.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        catalog: "WorkerCatalog | None" = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        time_ns: Callable[[], int] = time.time_ns,
        batch_id: Callable[[], str] = new_batch_id,
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._time_ns = time_ns
        self._batch_id = batch_id
        self._tokens = Tokens(settings.tokens) if settings.tokens else None
        self._refusals = Refusals(monotonic)
        self.held_bytes = 0
        """Bytes of bodies that are being read or stored now."""

    async def answer(self, request: Request, bucket: Bucket, behind: Behind) -> Response:
        """The response to a request. Raises nothing: of a 500 clients throw their data away.

        ``bucket`` is below the folder of the settings; with a catalog it is all of the bucket.
        """
        self._refusals.tick()
        if request.path == health.PATH:
            return health.health(request.method)
        became: Outcome | None = None
        signal = ""
        try:
            head = self._head(request)
            if isinstance(head, Response):
                response = head
            else:
                signal = head.signal
                became = await self._take(head, request, bucket, behind)
                response = render(head, became)
        except Exception:
            log.exception("a request failed for an unforeseen reason")
            response = unavailable(
                "internal trouble, see the Worker's log",
                format_of(request.headers),
                reason="internal",
            )
        self._tell(request, response, became, signal)
        return response

    def _head(self, request: Request) -> ExportHead | Response:
        if self._tokens is not None and not self._tokens.admit(request.headers):
            return unauthenticated(format_of(request.headers))
        return read_head(
            request.method,
            request.path,
            request.headers,
            max_payload_bytes=self._settings.max_payload_bytes,
            path_prefix=self._settings.path_prefix,
        )

    async def _take(
        self, head: ExportHead, request: Request, bucket: Bucket, behind: Behind
    ) -> Outcome:
        with _Share(self) as share:
            try:
                share.cover(head.content_length or 0)
                async with asyncio.timeout(BODY_SECS):
                    body = await self._read_body(head, request.chunks, share)
            except RefusedError as refused:
                return refused.outcome
            except TimeoutError:
                return outcome.SLOW_BODY
            if not body:
                return outcome.empty(head.media_type)
            try:
                return await self._keep(head, body, bucket, behind)
            except Exception as error:
                became = outcome.of_error(error, len(body))
                if became.kind == "internal":
                    log.exception("a request failed for an unforeseen reason")
                return became

    async def _read_body(
        self, head: ExportHead, chunks: AsyncGenerator[bytes, None], share: "_Share"
    ) -> bytes:
        limit = self._settings.max_payload_bytes
        parts, size = [], 0
        try:
            async with aclosing(chunks):
                async for chunk in chunks:
                    size += len(chunk)
                    if size > limit:
                        raise RefusedError(outcome.too_large(limit))
                    share.cover(size)
                    parts.append(chunk)
        except BodyCutError:
            raise RefusedError(outcome.CUT_BODY) from None
        # More than was announced is no trouble: what is in front may have decompressed it.
        if head.content_length is not None and size < head.content_length:
            raise RefusedError(outcome.CUT_BODY)
        return b"".join(parts)

    async def _keep(self, head: ExportHead, body: bytes, bucket: Bucket, behind: Behind) -> Outcome:
        # Between two things that are waited for, so that the rows of one request at a time are in
        # memory: ``store`` keeps none while it waits.
        decoded = self._decode(head, body, received_at := self._time_ns())
        tables = {batch.table for batch in decoded.batches}
        if self._catalog is not None and self._catalog.is_to_learn(tables):
            del decoded
            await self._catalog.learn(tables, bucket)
            decoded = self._decode(head, body, received_at)
        if decoded.batches:
            batch_id = self._batch_id()
            if self._catalog is None:
                files = await store(decoded.batches, batch_id, bucket, self._settings.layout)
            else:
                files, commits = await self._catalog.store(decoded.batches, batch_id, bucket)
                behind(self._catalog.commit(commits))
            fields = {"batch_id": batch_id, "rows": decoded.accepted, "files": len(files)}
            log.info("request stored", extra={"fields": {"signal": head.signal, **fields}})
        return outcome.taken(decoded.accepted, decoded.rejected, decoded.message, len(body))

    def _decode(self, head: ExportHead, body: bytes, received_at: int) -> Result:
        return process_otlp(
            body,
            head.signal,
            content_type=head.media_type,
            content_encoding=head.encoding,
            received_at=received_at,
            max_payload_bytes=self._settings.max_payload_bytes,
            max_memory_bytes=MEMORY_BYTES,
        )

    def _tell(
        self, request: Request, response: Response, became: Outcome | None, signal: str
    ) -> None:
        if response.message:
            self._refusals.report(
                response, became, client=request.client, path=request.path, headers=request.headers
            )
        log.debug(
            "request answered",
            extra={"fields": {"signal": signal or "none", "status": response.status}},
        )

    @property
    def most_held_bytes(self) -> int:
        """How many bytes of bodies may be held at a time; one body may be, whatever its size."""
        return HELD_BYTES * self._settings.max_payload_bytes


class _Share:
    """The bytes that one request holds; a context manager that gives them back."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._held = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._application.held_bytes -= self._held

    def cover(self, size: int) -> None:
        """Hold ``size`` bytes in all. Raises ``RefusedError`` where others hold too many."""
        more = size - self._held
        if more <= 0:
            return
        application = self._application
        others = application.held_bytes - self._held
        if others and application.held_bytes + more > application.most_held_bytes:
            raise RefusedError(NO_MEMORY)
        application.held_bytes += more
        self._held = size
