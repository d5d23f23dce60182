"""ExportTraceServiceRequest -> otel_traces.

As logs: spans as nearly every sender writes them are read in one loop, all others in the general
way; both give the same row.
"""

from struct import Struct
from typing import Any, Final

from otlp2parquet.core.pure import limits
from otlp2parquet.core.pure.enums import name_of
from otlp2parquet.core.pure.error import RejectError, duration_too_long
from otlp2parquet.core.pure.fields import SPAN_KINDS, STATUS_CODES
from otlp2parquet.core.pure.placing import Row, Rows
from otlp2parquet.core.pure.reading import Reading
from otlp2parquet.core.pure.records import Read, append_records
from otlp2parquet.core.pure.request import Request
from otlp2parquet.core.pure.times import given, of_row
from otlp2parquet.core.pure.usual import UNUSUAL, remembered, usual
from otlp2parquet.core.pure.value import render_attributes
from otlp2parquet.core.pure.wire import Span

SPAN: Final = Reading(
    "Span",
    "trace_id span_id trace_state parent_span_id flags name kind start_time_unix_nano"
    " end_time_unix_nano attributes dropped_attributes_count events dropped_events_count links"
    " dropped_links_count status",
)
EVENT: Final = Reading("Event", "time_unix_nano name attributes dropped_attributes_count")
LINK: Final = Reading(
    "Link", "trace_id span_id trace_state attributes dropped_attributes_count flags"
)
STATUS: Final = Reading("Status", "message code")

ROW_BYTES: Final = 99
"""What a row is charged with beside its text."""

I63: Final = 1 << 63

_u64: Final = Struct("<Q").unpack_from
_u32: Final = Struct("<I").unpack_from


def append(request: Request, tables: dict[str, Rows]) -> None:
    """Append the rows of a request."""
    append_records(request, tables["otel_traces"], ROW_BYTES, _usual, _general)


_NO_NESTED: Final[tuple[list[Any], ...]] = ([],) * 11


def _usual(data: bytes, at: int, stop: int, request: Request, shared: Row) -> Read | None:
    """A span without anything unusual: without trace state, or events and links in pieces.

    Lengths are not compared with the end while it goes: whatever passes it is found at the end.
    """
    start_time = end_time = kind = dropped = flags = code = 0
    trace_id = span_id = parent_span_id = message = None
    name = ""
    pieces: list[str] = []
    events: list[Span] = []
    links: list[Span] = []
    charge = 0
    try:
        while at < stop:
            tag = data[at]
            if tag == 0x4A:  # attributes
                start = at + 2
                at = start + data[at + 1]
                if at - start > 0x7F:
                    return None
                pair = data[start:at]
                text = remembered.get(pair) or usual(pair)
                if text is None:
                    return None
                pieces.append(text)
            elif tag == 0x0A:  # trace_id
                if data[at + 1] != 16:
                    return None
                trace_id = data[at + 2 : at + 18].hex()
                at += 18
                charge += 64
            elif tag == 0x12:  # span_id
                if data[at + 1] != 8:
                    return None
                span_id = data[at + 2 : at + 10].hex()
                at += 10
                charge += 32
            elif tag == 0x22:  # parent_span_id
                if data[at + 1] != 8:
                    return None
                parent_span_id = data[at + 2 : at + 10].hex()
                at += 10
                charge += 32
            elif tag == 0x2A:  # name
                length = data[at + 1]
                if length > 0x7F:
                    return None
                start = at + 2
                at = start + length
                name = data[start:at].decode()
                charge += length
            elif tag == 0x39:  # start_time_unix_nano
                start_time = _u64(data, at + 1)[0]
                at += 9
            elif tag == 0x41:  # end_time_unix_nano
                end_time = _u64(data, at + 1)[0]
                at += 9
            elif tag == 0x30:  # kind
                kind = data[at + 1]
                at += 2
            elif tag == 0x7A:  # status
                length = data[at + 1]
                if length > 0x7F or code or message:
                    return None
                start = at + 2
                at = start + length
                if not length:
                    continue
                if data[start] == 0x12:
                    length = data[start + 1]
                    if length > 0x7F:
                        return None
                    message = data[start + 2 : start + 2 + length].decode()
                    start += 2 + length
                    charge += length
                if start < at:
                    code = data[start + 1]
                    if data[start] != 0x18 or code > 2 or start + 2 != at:
                        return None
                elif start != at:
                    return None
            elif tag == 0x5A or tag == 0x6A:  # events, links  # noqa: PLR1714 - faster
                length = data[at + 1]
                start = at + 2
                if length > 0x7F:
                    if data[start] > 0x7F:
                        return None
                    length += (data[start] << 7) - 0x80
                    start += 1
                at = start + length
                (events if tag == 0x5A else links).append((start, at))
            elif tag == 0x85:  # flags, whose tag takes two bytes
                if data[at + 1] != 1:
                    return None
                flags = _u32(data, at + 2)[0]
                at += 6
            elif tag == 0x50:  # dropped_attributes_count
                dropped = data[at + 1]
                if dropped > 0x7F:
                    return None
                at += 2
            else:
                return None
    except UNUSUAL:
        return None
    if (
        at != stop
        or kind > 5
        or len(pieces) > limits.ATTRIBUTES
        or trace_id == _NO_TRACE
        or _NO_SPAN in (span_id, parent_span_id)
    ):
        return None
    attributes = f"{{{','.join(pieces)}}}"
    charge += 2 * (len(attributes) if attributes.isascii() else len(attributes.encode()))
    duration = end_time - start_time
    if charge > _MOST_USUAL or not -I63 <= duration < I63:
        return None
    if events or links:
        # From here on something is counted, so there is no way back to the general reader; and no
        # need for one, because what follows is that reader's own.
        for _ in events:
            request.count_nested(48)
        for _ in links:
            request.count_nested(48)
        notes = request.notes()
        try:
            nested = _nested(request, events, links)
        except RejectError:
            request.take_back(notes)
            raise
    else:
        nested = _NO_NESTED
    if start_time:
        micros, nanos = divmod(start_time, 1000)
    else:
        micros, nanos = request.received_at // 1000, None
        request.undated += 1
    return (
        start_time or request.received_at,
        (micros, nanos, *shared, duration, trace_id, span_id, parent_span_id, None, name,
         SPAN_KINDS[kind], flags, attributes, dropped, 0, 0, STATUS_CODES[code], message or None,
         *nested),
        charge,
    )  # fmt: skip


_NO_TRACE: Final = "0" * 32
_NO_SPAN: Final = "0" * 16
_MOST_USUAL: Final = 64 << 10
"""Spans that are charged with more are rendered piece by piece, and may end on the way."""


def _general(request: Request, at: int, stop: int, shared: Row) -> Read:
    """Any span: its row, or a ``RejectError``."""
    (
        trace_id, span_id, trace_state, parent_span_id, flags, name, kind, start_time, end_time,
        attributes, dropped, events, dropped_events, links, dropped_links, status,
    ) = request.read(SPAN, [(at, stop)])  # fmt: skip
    notes = request.notes()
    try:
        # "end - start, signed: never clamped".
        duration = end_time - start_time
        if not -I63 <= duration < I63:
            raise RejectError(at, duration_too_long(start_time, end_time))  # noqa: TRY301 - as others
        rendered = render_attributes(request, at, attributes)
        nested = _nested(request, events, links)
        message, code = request.read(STATUS, status)
    except RejectError:
        request.take_back(notes)
        raise
    request.undated += not start_time
    row = (
        *of_row(start_time, request.received_at), *shared, duration, request.hex_id(trace_id),
        request.hex_id(span_id), request.hex_id(parent_span_id), request.label(trace_state),
        request.required_label(name), name_of(SPAN_KINDS, kind), flags, rendered, dropped,
        dropped_events, dropped_links, name_of(STATUS_CODES, code), request.label(message),
        *nested,
    )  # fmt: skip
    return start_time or request.received_at, row, 0


def _nested(request: Request, events: list[Span], links: list[Span]) -> tuple[list[Any], ...]:
    """The columns from EventsTimestamp on: one item an event, one item a link."""
    columns: tuple[list[Any], ...] = tuple([] for _ in range(11))
    # At once into the columns: a million events have no rows of their own.
    for span in events:
        for column, value in zip(columns, _event(request, *span), strict=False):
            column.append(value)
    for span in links:
        for column, value in zip(columns[5:], _link(request, *span), strict=True):
            column.append(value)
    return columns


def _event(request: Request, at: int, stop: int) -> tuple[Any, ...]:
    time, name, attributes, dropped = request.read(EVENT, [(at, stop)])
    text = request.text(name) or None
    return *given(time), text, render_attributes(request, at, attributes), dropped


def _link(request: Request, at: int, stop: int) -> tuple[Any, ...]:
    trace_id, span_id, state, attributes, dropped, flags = request.read(LINK, [(at, stop)])
    ids = request.hex_id(trace_id), request.hex_id(span_id)
    text = request.text(state) or None
    return *ids, text, flags, render_attributes(request, at, attributes), dropped
