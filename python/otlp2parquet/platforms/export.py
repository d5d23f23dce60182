"""The use case of every platform: take this export request, and tell me what became of it.

Knows batches, the byte budget and asyncio, and decides on which thread a body is decoded. It must
not know ASGI, HTTP, gRPC or their status codes: a platform says what the request's head says and
how its body is read, and makes its own answer of the ``Outcome``.
"""

import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol, Self

from otlp2parquet.batches.budget import Budget
from otlp2parquet.batches.ingest import Ingest
from otlp2parquet.core import Appended, Signal, inflates_within, outcome
from otlp2parquet.core.outcome import NO_MEMORY, STOPPING, Outcome, RefusedError
from otlp2parquet.platforms.acknowledgements import Acknowledgement, Acknowledgements

log = logging.getLogger(__name__)

INLINE_BYTES: Final = 32 << 10
INLINE_COMPRESSED_BYTES: Final = 8 << 10
"""Bodies up to this size are decoded on the event loop's thread: handing them to another costs
more than it saves. A compressed one may grow a thousandfold: it must be small itself, and
inflate to no more than an uncompressed one. (2 KB of gzip can be a million empty records.)"""

INFLATE_ESTIMATE: Final = 8
"""A compressed body is budgeted as this many times its size on top of it. OTLP shrinks by about
as much; the limit on the inflated size bounds the error."""


class Head(Protocol):
    """What a request says before its body."""

    @property
    def signal(self) -> Signal:
        """Logs, traces or metrics."""

    @property
    def media_type(self) -> str:
        """What ``process_otlp`` calls ``content_type``."""

    @property
    def encoding(self) -> str | None:
        """What it calls ``content_encoding``. Where only the body tells, None until it is read."""

    @property
    def content_length(self) -> int | None:
        """Bytes of the body as sent; None when that is not known yet."""


class Watch(Protocol):
    """Somebody who looks at what is received."""

    def kept(self, head: Head, body: bytes, received_at: int, records: int) -> None:
        """An export was kept: its body as sent, and how many of its records are kept.

        To be told of it must cost next to nothing: nobody's request waits for who looks.
        """


@dataclass(slots=True)
class ExportCounts:
    """What became of requests since the start. Changed and read on the event loop's thread only."""

    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By signal and the status of the platform's protocol, a number of HTTP's or a name of gRPC's;
    the signal is empty where a path has none or nobody looked."""
    received_bytes: Counter[str] = field(default_factory=Counter)
    accepted_records: Counter[str] = field(default_factory=Counter)
    rejected_records: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    """Requests that may be sent again, by the kind of their outcome."""


class Admission:
    """The bytes of the budget that one request holds; a context manager that gives them back."""

    __slots__ = ("_budget", "_taken", "_top", "is_compressed")

    def __init__(self, budget: Budget, *, compressed: bool, max_payload_bytes: int) -> None:
        self._budget = budget
        self.is_compressed = compressed
        """May become true before the body is covered."""
        self._top = max_payload_bytes
        self._taken = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._budget.give(self._taken)
        self._taken = 0

    def cover(self, size: int) -> None:
        """Hold enough for a body of ``size`` bytes in all, and its inflated form if compressed.

        Raises ``RefusedError`` when that does not fit; what is held already stays held. Where
        nobody else holds anything it always fits.
        """
        needed = size
        if self.is_compressed:
            needed += min(size * INFLATE_ESTIMATE, self._top)
        if needed > self._taken or not size:
            if not self._budget.try_take(max(0, needed - self._taken), held=self._taken):
                raise RefusedError(NO_MEMORY)
            self._taken = max(needed, self._taken)


class Exports:
    """Takes export requests. ``threads`` bodies are decoded at once, besides the small ones.

    All methods are for the event loop's thread.
    """

    def __init__(
        self,
        ingest: Ingest,
        budget: Budget,
        acknowledgements: Acknowledgements,
        *,
        threads: int,
        max_payload_bytes: int,
        time_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.ingest = ingest
        self.counts = ExportCounts()
        self.max_payload_bytes = max_payload_bytes
        self.watch: Watch | None = None
        """Who is told of each export that was kept; None while nobody looks."""
        self._budget = budget
        self._time_ns = time_ns
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="otlp2parquet-decode")
        self._waiting = acknowledgements
        self._is_stopping = False

    async def take(self, head: Head, read_body: Callable[[Admission], Awaitable[bytes]]) -> Outcome:
        """Take one request, and return once it is kept as the durability mode promises, or refused.

        ``read_body`` gives the whole body as sent, has the admission cover what it holds where the
        head does not say how long the body is, and raises ``RefusedError`` where it gives up.
        """
        refusal = self._refusal_before_body()
        if refusal is None:
            try:
                became = await self._take(head, read_body)
            except RefusedError as refused:
                became = refused.outcome
                if became is NO_MEMORY:
                    self.ingest.relieve()
        else:
            became = refusal
        self._count(head.signal, became)
        return became

    def _refusal_before_body(self) -> Outcome | None:
        if self._is_stopping:
            return STOPPING
        reason = self.ingest.refusal()
        return None if reason is None else Outcome("log", f"{reason}, send it again")

    async def _take(
        self, head: Head, read_body: Callable[[Admission], Awaitable[bytes]]
    ) -> Outcome:
        compressed = head.encoding is not None
        limit = self.max_payload_bytes
        with Admission(self._budget, compressed=compressed, max_payload_bytes=limit) as admission:
            admission.cover(head.content_length or 0)
            body = await read_body(admission)
            size = len(body)
            if not body:
                return outcome.empty(head.media_type)
            if self._is_stopping:
                return STOPPING._replace(body_bytes=size)
            # There is no deadline: once the log has begun to write, only the log knows the answer.
            received_at = self._time_ns()
            is_kept_later = self.ingest.acknowledges_later
            acknowledgement = self._waiting.expect(is_kept_later=is_kept_later)
            append = partial(
                self.ingest.append,
                body,
                head.signal,
                content_type=head.media_type,
                content_encoding=head.encoding,
                received_at=received_at,
                acknowledge=acknowledgement.report_kept if is_kept_later else None,
            )
            try:
                appended = append(wait=False) if _is_small(body, head.encoding) else None
                if appended is None:
                    self._pool.submit(_append, acknowledgement, append)
                    appended = await acknowledgement.future
                elif is_kept_later:
                    acknowledgement.report_appended(appended)
                    appended = await acknowledgement.future
            except Exception as error:
                became = outcome.of_error(error, size)
                if became.kind == "internal":
                    log.exception("a request failed for an unforeseen reason")
                return became
            if self.watch is not None and appended.accepted:
                self._show(head, body, received_at, appended.accepted)
            return outcome.taken(appended.accepted, appended.rejected, appended.message, size)

    def _show(self, head: Head, body: bytes, received_at: int, records: int) -> None:
        try:
            assert self.watch is not None  # noqa: S101 - the caller has looked
            self.watch.kept(head, body, received_at, records)
        except Exception:
            # The request is kept, and its client is told so, whatever becomes of who looks.
            self.watch = None
            log.exception("who looks at what is received failed, and looks no more")

    def _count(self, signal: str, became: Outcome) -> None:
        counts = self.counts
        if became.body_bytes is not None:
            counts.received_bytes[signal] += became.body_bytes
        if became.is_taken:
            counts.accepted_records[signal] += became.accepted
            if became.rejected:
                counts.rejected_records[signal] += became.rejected
        elif became.may_be_sent_again:
            counts.refused[became.kind] += 1

    def stop(self) -> None:
        """Take no more requests; those whose bodies are here go on."""
        self._is_stopping = True

    def close(self) -> None:
        """End the threads, once nobody waits for an outcome any more."""
        self._pool.shutdown(wait=False)


def _append(acknowledgement: Acknowledgement, append: Callable[[], Appended | None]) -> None:
    """On a thread of the pool: append a body, and report what became of it."""
    if acknowledgement.future.cancelled():
        return  # whoever waited is gone, and with them the room that the body had in the budget
    try:
        appended = append()
        assert appended is not None  # noqa: S101 - with wait=True there is always a result
    except BaseException as error:  # noqa: BLE001 - the task that waits has to have it
        acknowledgement.report_failed(error)
    else:
        acknowledgement.report_appended(appended)


def _is_small(body: bytes, encoding: str | None) -> bool:
    """Whether a body is decoded faster than handed to another thread."""
    if encoding is None:
        return len(body) <= INLINE_BYTES
    return len(body) <= INLINE_COMPRESSED_BYTES and inflates_within(body, encoding, INLINE_BYTES)
