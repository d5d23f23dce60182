"""The open builders of one batch: many requests in, batches out.

A request's rows are collected for themselves and put to the others when it is taken as a whole, so
nothing of one that fails has to be undone. Knows no fields.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from otlp2parquet.core.pure import limits, logs, metrics, traces
from otlp2parquet.core.pure.arguments import (
    Payload,
    bytes_of,
    check_bounds,
    check_signal,
    format_of,
)
from otlp2parquet.core.pure.batch import Batch, hour_of
from otlp2parquet.core.pure.error import MalformedError, payload_too_large, too_much_repeated
from otlp2parquet.core.pure.explain import malformed, message
from otlp2parquet.core.pure.fields import REQUESTS
from otlp2parquet.core.pure.inflate import encoding_of, inflate
from otlp2parquet.core.pure.otlp_json import transcode
from otlp2parquet.core.pure.otlp_json.plain_text import (
    OBJECT_BYTES,
    PROTOBUF_BYTES,
    UNUSUAL,
    PlainRequest,
    parse,
)
from otlp2parquet.core.pure.placing import Key, Row, Rows
from otlp2parquet.core.pure.request import OBJECT_FACTOR, Request
from otlp2parquet.core.pure.schema import TABLES
from otlp2parquet.core.pure.well_formed import check
from otlp2parquet.errors import TooLargeError

_APPEND: Final[dict[str, Callable[[Request, dict[str, Rows]], None]]] = {
    "logs": logs.append,
    "traces": traces.append,
    "metrics": metrics.append,
}


@dataclass(frozen=True, slots=True)
class Appended:
    """What an append did."""

    accepted: int
    """Rows appended."""
    rejected: int
    """Records left out for good."""
    message: str
    """Why records were left out or changed; empty when there is nothing to say."""
    undated: int
    """Accepted rows whose Timestamp is the receive time."""
    unstored: dict[str, int]
    """What was met and is not stored, counted."""


@dataclass(frozen=True, slots=True, repr=False)
class Result:
    """The tables of one request."""

    batches: list[Batch]
    """One for each table, service and hour."""
    accepted: int
    """Rows in the batches."""
    rejected: int
    """Records left out for good."""
    message: str
    """Why records were left out or changed; empty when there is nothing to say."""
    unstored: dict[str, int] = field(default_factory=dict)
    """What was met and is not stored, counted."""

    def __repr__(self) -> str:
        return (
            f"<Result of {len(self.batches)} batches, accepted={self.accepted}, "
            f"rejected={self.rejected}>"
        )


class BatchBuilder:
    """Open batches that many requests append to; documented in ``otlp2parquet.core``."""

    def __init__(self, *, max_payload_bytes: int = limits.PAYLOAD_BYTES) -> None:
        check_bounds(max_payload_bytes, None)
        self._max_payload_bytes = max_payload_bytes
        self._groups: dict[Key, list[Row]] = {}
        self._stamp = 0
        self._num_rows = 0
        self._num_bytes = 0
        self._allowed = 0
        self._repeated = 0

    @property
    def num_rows(self) -> int:
        """Rows appended since the last finish."""
        return self._num_rows

    @property
    def num_bytes(self) -> int:
        """Bytes that they were charged with: about those of their Arrow buffers."""
        return self._num_bytes

    @property
    def num_memory_bytes(self) -> int:
        """Bytes of memory that they take at most."""
        return self._num_bytes * OBJECT_FACTOR

    @property
    def num_groups(self) -> int:
        """Batches that a finish would give."""
        return len(self._groups)

    def __repr__(self) -> str:
        return f"BatchBuilder(num_rows={self.num_rows}, num_groups={self.num_groups})"

    def append(
        self,
        payload: Payload,
        signal: str,
        *,
        content_type: str = "application/x-protobuf",
        content_encoding: str | None = None,
        received_at: int | None = None,
    ) -> Appended:
        """Append one export request, all of it or nothing."""
        return self._append(
            payload, signal, content_type, content_encoding, received_at, None, repeats=False
        )

    def _append(
        self,
        payload: Payload,
        signal: str,
        content_type: str,
        content_encoding: str | None,
        received_at: int | None,
        max_memory_bytes: int | None,
        *,
        repeats: bool,
    ) -> Appended:
        check_bounds(self._max_payload_bytes, received_at)
        check_signal(signal)
        form, encoding = format_of(content_type), encoding_of(content_encoding)
        limit = self._max_payload_bytes
        data = inflate(bytes_of(payload, form, encoding), encoding, limit)
        if len(data) > limit:
            raise TooLargeError(payload_too_large(len(data), limit))
        if self._num_bytes >= limits.FULL_BYTES:
            raise TooLargeError("found full builders, expected a finish before the next append")
        size = len(data)

        def room(held: int) -> dict[str, Any]:
            if max_memory_bytes is None:
                total = limits.memory(size)
                left = max(0, total - held) // 8 * 7
            else:
                total = max_memory_bytes
                left = max(0, total - held) // OBJECT_FACTOR
            return {"total": total, "room": left, "repeats": repeats}

        tables = {table: Rows(table, self._groups) for table in TABLES}
        json = None
        request: Request | None = None
        if form == "json" and PROTOBUF_BYTES * size <= limit:
            held = size * (PROTOBUF_BYTES + 1 if max_memory_bytes is None else OBJECT_BYTES + 1)
            options = room(held)
            if options["room"]:
                request = self._read_plain(data, signal, received_at or 0, tables, options)
        if request is None:
            held = size
            if form != "protobuf":
                json = transcode(data, signal, limit, are_lines=form == "lines")
                data = json.data
                held += len(data)
            tables = {table: Rows(table, self._groups) for table in TABLES}
            request = Request(data, received_at or 0, self._stamp, **room(held))
            if json is not None:
                # What the text had and these bytes have not counts all the same.
                request.records = request.rejected = json.rejected
            _read(request, signal, tables)
        self._stamp = request.stamp
        self._take(request, tables)
        return Appended(
            request.rows,
            request.rejected,
            message(request, signal, json),
            request.undated,
            {
                "unknown_fields": request.unknown_fields,
                "entity_refs": request.entity_refs,
                "string_indices": request.string_indices,
                "without_records": request.without_records,
            },
        )

    def _read_plain(
        self,
        text: bytes,
        signal: str,
        received_at: int,
        tables: dict[str, Rows],
        room: dict[str, Any],
    ) -> Request | None:
        """Read a request of which nothing is to be said by the ``json`` module; None if not."""
        found = parse(text)
        if found is None:
            return None
        request = PlainRequest(found[0], signal, received_at, self._stamp, **room)
        try:
            _APPEND[signal](request, tables)
        except UNUSUAL:
            return None
        return request if request.members == found[1] and not request.is_doubtful else None

    def _take(self, request: Request, tables: dict[str, Rows]) -> None:
        for rows in tables.values():
            for key, group in rows.groups.items():
                taken = self._groups.get(key)
                if taken is None:
                    self._groups[key] = group.rows
                else:
                    taken.extend(group.rows)
        self._num_rows += request.rows
        self._num_bytes += request.charged if request.rows else 0
        self._allowed += request.total
        self._repeated += request.repeated

    def finish(self, *, dictionaries: bool = False) -> list[Batch]:
        """Give the batches of what was appended, and leave the builder empty."""
        if not dictionaries and self._repeated > self._allowed:
            raise TooLargeError(too_much_repeated(self._allowed))
        groups = self._groups
        self._groups, self._num_rows, self._num_bytes = {}, 0, 0
        self._allowed = self._repeated = 0
        batches = []
        order = {table: number for number, table in enumerate(TABLES)}
        for table, service, hour in sorted(groups, key=lambda key: order[key[0]]):
            rows = groups.pop((table, service, hour))
            columns: list[Any] = list(zip(*rows, strict=True))
            batches.append(Batch(table, service, hour_of(hour), columns, dictionaries))
        return batches


def _read(request: Request, signal: str, tables: dict[str, Rows]) -> None:
    """Read the rows of a request; what is wrong with it is found, and placed, by a second walk."""
    try:
        _APPEND[signal](request, tables)
    except (MalformedError, TooLargeError):
        _check(request, signal)
        raise
    if request.is_doubtful:
        _check(request, signal)


def _check(request: Request, signal: str) -> None:
    data = request.data
    try:
        check(REQUESTS[signal], data, 0, len(data), limits.DEPTH)
    except MalformedError as broken:
        raise malformed("protobuf", broken.message, broken.offset, broken.path) from None


def process_otlp(
    payload: Payload,
    signal: str,
    *,
    content_type: str = "application/x-protobuf",
    content_encoding: str | None = None,
    received_at: int | None = None,
    max_payload_bytes: int = limits.PAYLOAD_BYTES,
    max_memory_bytes: int | None = None,
) -> Result:
    """One export request as tables; documented in ``otlp2parquet.core``."""
    builder = BatchBuilder(max_payload_bytes=max_payload_bytes)
    appended = builder._append(  # noqa: SLF001 - of this module
        payload, signal, content_type, content_encoding, received_at, max_memory_bytes, repeats=True
    )
    batches = builder.finish()
    return Result(
        batches, appended.accepted, appended.rejected, appended.message, appended.unstored
    )
