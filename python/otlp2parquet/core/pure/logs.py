"""ExportLogsServiceRequest -> otel_logs.

A record is read as nearly every sender writes it (``_usual``) or in the general way: ``records``.
"""

from struct import Struct
from typing import Final

from otlp2parquet.core.pure import limits
from otlp2parquet.core.pure.error import RejectError
from otlp2parquet.core.pure.placing import Row, Rows
from otlp2parquet.core.pure.reading import Reading
from otlp2parquet.core.pure.records import Read, append_records
from otlp2parquet.core.pure.request import Request
from otlp2parquet.core.pure.times import given, of_row
from otlp2parquet.core.pure.usual import UNUSUAL, remembered, usual
from otlp2parquet.core.pure.value import (
    push_value,
    render_attributes,
)
from otlp2parquet.core.pure.wire import Span

LOG_RECORD: Final = Reading(
    "LogRecord",
    "time_unix_nano observed_time_unix_nano severity_number severity_text body attributes"
    " dropped_attributes_count flags trace_id span_id event_name",
)

ROW_BYTES: Final = 82
"""What a row is charged with beside its text."""

_u64: Final = Struct("<Q").unpack_from
_u32: Final = Struct("<I").unpack_from


def append(request: Request, tables: dict[str, Rows]) -> None:
    """Append the rows of a request."""
    append_records(request, tables["otel_logs"], ROW_BYTES, _usual, _general)


def _usual(data: bytes, at: int, stop: int, request: Request, shared: Row) -> Read | None:
    """A record without anything unusual: fields of one-byte tags, each once but attributes.

    Lengths are not compared with the end while it goes: whatever passes it is found at the end.
    """
    time = observed = severity_number = dropped = flags = 0
    severity_text = event_name = body = body_type = trace_id = span_id = None
    pieces = []
    charge = 0
    try:
        while at < stop:
            tag = data[at]
            if tag == 0x32:  # attributes
                start = at + 2
                at = start + data[at + 1]
                if at - start > 0x7F:
                    return None
                pair = data[start:at]
                text = remembered.get(pair) or usual(pair)
                if text is None:
                    return None
                pieces.append(text)
            elif tag == 0x09:  # time_unix_nano
                time = _u64(data, at + 1)[0]
                at += 9
            elif tag == 0x59:  # observed_time_unix_nano
                observed = _u64(data, at + 1)[0]
                at += 9
            elif tag == 0x10:  # severity_number
                severity_number = data[at + 1]
                if severity_number > 0x7F:
                    return None
                at += 2
            elif tag == 0x1A or tag == 0x62:  # severity_text, event_name  # noqa: PLR1714 - faster
                length = data[at + 1]
                if length > 0x7F:
                    return None
                start = at + 2
                at = start + length
                charge += length
                if tag == 0x1A:
                    severity_text = data[start:at].decode() or None
                else:
                    event_name = data[start:at].decode() or None
            elif tag == 0x2A:  # body
                length = data[at + 1]
                start = at + 2
                if length > 0x7F:
                    if data[start] > 0x7F:
                        return None
                    length += (data[start] << 7) - 0x80
                    start += 1
                at = start + length
                if body_type is not None or data[start] != 0x0A:
                    return None
                length = data[start + 1]
                start += 2
                if length > 0x7F:
                    if data[start] > 0x7F:
                        return None
                    length += (data[start] << 7) - 0x80
                    start += 1
                if start + length != at:
                    return None
                body = data[start:at].decode()
                body_type = "string"
                charge += 2 * length
            elif tag == 0x45:  # flags
                flags = _u32(data, at + 1)[0]
                at += 5
            elif tag == 0x4A:  # trace_id
                if data[at + 1] != 16:
                    return None
                trace_id = data[at + 2 : at + 18].hex()
                at += 18
                charge += 64
                if trace_id == _NO_TRACE:
                    return None
            elif tag == 0x52:  # span_id
                if data[at + 1] != 8:
                    return None
                span_id = data[at + 2 : at + 10].hex()
                at += 10
                charge += 32
                if span_id == _NO_SPAN:
                    return None
            elif tag == 0x38:  # dropped_attributes_count
                dropped = data[at + 1]
                if dropped > 0x7F:
                    return None
                at += 2
            else:
                return None
    except UNUSUAL:
        return None
    if at != stop or len(pieces) > limits.ATTRIBUTES:
        return None
    attributes = f"{{{','.join(pieces)}}}"
    charge += 2 * (len(attributes) if attributes.isascii() else len(attributes.encode()))
    if charge > _MOST_USUAL:
        return None
    if time:
        micros, nanos = divmod(time, 1000)
    else:
        micros, nanos = (observed or request.received_at) // 1000, None
        request.undated += not observed
    seen = divmod(observed, 1000) if observed else _NONE
    return (
        time or observed or request.received_at,
        (micros, nanos, *shared, *seen, trace_id, span_id, flags, severity_number, severity_text,
         event_name, body, body_type, attributes, dropped),
        charge,
    )  # fmt: skip


_NONE: Final = (None, None)
_NO_TRACE: Final = "0" * 32
_NO_SPAN: Final = "0" * 16
_MOST_USUAL: Final = 64 << 10
"""Records that are charged with more are rendered piece by piece, and may end on the way."""


def _general(request: Request, at: int, stop: int, shared: Row) -> Read:
    """Any record: its row, or a ``RejectError``."""
    (
        time, observed, severity_number, severity_text, body, attributes, dropped, flags, trace_id,
        span_id, event_name,
    ) = request.read(LOG_RECORD, [(at, stop)])  # fmt: skip
    notes = request.notes()
    try:
        rendered = render_attributes(request, at, attributes)
        text, body_type = _body(request, body)
    except RejectError:
        request.take_back(notes)
        raise
    # "time_unix_nano, else observed_time_unix_nano, else the receive time".
    fallback = observed or request.received_at
    request.undated += not time and not observed
    row = (
        *of_row(time, fallback), *shared, *given(observed), request.hex_id(trace_id),
        request.hex_id(span_id), flags, severity_number, request.label(severity_text),
        request.label(event_name), text, body_type, rendered, dropped,
    )  # fmt: skip
    return time or fallback, row, 0


def _body(request: Request, parts: list[Span]) -> tuple[str | None, str | None]:
    """Body and BodyType: "a string body verbatim, any other kind as JSON text"."""
    if not parts:
        return None, None
    value = request.read_any_value(parts)
    if value[0] == "string":
        return request.text(value[1]), "string"
    request.begin()
    out: list[str] = []
    push_value(request, out, value, 0)
    request.end(request.size)
    return "".join(out), value[0]
