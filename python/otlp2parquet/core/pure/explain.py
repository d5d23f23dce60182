"""What a sender is told: errors and rejections with their places, and what became of a request.

The field path of a place is found here, by walking the payload once more along the message
descriptors. Messages hold counts, reasons and places, never payload.
"""

from typing import Final

from otlp2parquet.core.pure.error import MalformedError
from otlp2parquet.core.pure.fields import REQUESTS, Descriptor
from otlp2parquet.core.pure.request import MOST_EXPLAINED, Request
from otlp2parquet.core.pure.well_formed import count_before
from otlp2parquet.core.pure.wire import read_len, read_tag, skip
from otlp2parquet.errors import DecodeError

RECORDS: Final = {"logs": "log records", "traces": "spans", "metrics": "data points"}
"""How answers call the records: the names of OTLP's ``rejected_*`` fields."""

MOST_PATH: Final = 160


def malformed(what: str, message: str, offset: int, path: str) -> DecodeError:
    """The error of a payload that is not an export request."""
    place = f", in {path}" if path else ""
    return DecodeError(f"malformed {what} at byte {offset}{place}: {message}", offset, path)


def message(request: Request, signal: str) -> str:
    """The ``error_message`` of a partial success: counts, reasons, places; never payload."""
    parts = []
    reasons = []
    for reject in request.rejects:
        path = locate(REQUESTS[signal], request.data, reject.offset)
        reasons.append(f"{shorten(path)}: {reject.why}")
    if request.rejected:
        more = "; …" if request.rejected > min(len(reasons), MOST_EXPLAINED) else ""
        told = "; ".join(without_repeats(reasons))
        parts.append(f"rejected {request.rejected} {RECORDS[signal]}: {told}{more}")
    if request.replaced:
        parts.append(f"replaced {request.replaced} invalid UTF-8 sequences by U+FFFD")
    if request.first_unknown is not None and request.records == 0:
        offset, number = request.first_unknown
        path = locate(REQUESTS[signal], request.data, offset)
        place = f"{shorten(path)}: " if path else ""
        parts.append(f"{place}found the unknown field {number}, and no {RECORDS[signal]}")
    return "; ".join(parts)


def without_repeats(reasons: list[str]) -> list[str]:
    """The reasons without those that the one before says already; the first few."""
    kept = [reason for at, reason in enumerate(reasons) if at == 0 or reasons[at - 1] != reason]
    return kept[:MOST_EXPLAINED]


def shorten(path: str) -> str:
    """A path at a length that answers can carry: the way into 64 nested values is long."""
    return path if len(path) <= MOST_PATH else f"{path[:MOST_PATH]}…"


def locate(root: Descriptor, data: bytes, offset: int) -> str:
    """The dotted path of the innermost message whose bytes hold an offset."""
    steps: list[str] = []
    message, at, stop = root, 0, len(data)
    while (found := _enclosing(message, data, at, stop, offset)) is not None:
        step, message, at, stop = found
        steps.append(step)
    return ".".join(steps)


def _enclosing(
    message: Descriptor, data: bytes, at: int, stop: int, offset: int
) -> tuple[str, Descriptor, int, int] | None:
    begin = at
    try:
        while at < stop:
            tag, at = read_tag(data, at, stop)
            field = message.by_tag.get(tag) if tag & 7 == 2 else None
            if field is None:
                at = skip(data, tag, at, stop)
                continue
            start, at = read_len(data, at, stop)
            if start <= offset < at:
                inner = field.message
                if inner is None:
                    return None
                step = field.snake
                if inner[1]:
                    step = f"{step}[{count_before(data, begin, start, tag)}]"
                return step, inner[0], start, at
    except MalformedError:
        pass
    return None
