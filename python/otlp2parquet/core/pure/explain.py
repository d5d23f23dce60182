"""What a sender is told: errors and rejections with their places, and what became of a request.

The field path of a place is found here, by walking the payload once more along the message
descriptors. Messages hold counts, reasons and places, never payload.
"""

from typing import TYPE_CHECKING, Final

from otlp2parquet.core.pure.error import MalformedError
from otlp2parquet.core.pure.fields import REQUESTS, Descriptor
from otlp2parquet.core.pure.request import MOST_EXPLAINED, Request
from otlp2parquet.core.pure.well_formed import count_before
from otlp2parquet.core.pure.wire import read_len, read_tag, skip
from otlp2parquet.errors import DecodeError

if TYPE_CHECKING:
    from otlp2parquet.core.pure.otlp_json import Transcoded

RECORDS: Final = {"logs": "log records", "traces": "spans", "metrics": "data points"}
"""How answers call the records: the names of OTLP's ``rejected_*`` fields."""

MOST_PATH: Final = 160


def malformed(what: str, message: str, offset: int, path: str) -> DecodeError:
    """The error of a payload that is not an export request."""
    place = f", in {path}" if path else ""
    return DecodeError(f"malformed {what} at byte {offset}{place}: {message}", offset, path)


def message(request: Request, signal: str, json: "Transcoded | None" = None) -> str:
    """The ``error_message`` of a partial success: counts, reasons, places; never payload."""
    parts = []
    reasons = [] if json is None else json.reasons()
    explained = min(len(reasons) + len(request.rejects), MOST_EXPLAINED)
    for reject in request.rejects:
        path = locate(REQUESTS[signal], request.data, reject.offset)
        if json is None:
            reasons.append(f"{shorten(path)}: {reject.why}")
        else:
            reasons.append(json.reason(reject.offset, path, reject.why))
    left_out = 0 if json is None else json.empty_groups
    if request.rejected + left_out:
        more = "; …" if request.rejected + left_out > explained else ""
        groups = " and parts without any" if left_out else ""
        told = "; ".join(without_repeats(reasons))
        parts.append(f"rejected {request.rejected} {RECORDS[signal]}{groups}: {told}{more}")
    if request.replaced:
        what = "" if json is None else " or lone surrogates"
        parts.append(f"replaced {request.replaced} invalid UTF-8 sequences{what} by U+FFFD")
    if json is not None and json.unknown_values:
        parts.append(f"read {json.unknown_values} values without a known member as null")
    if json is not None and json.base64_ids:
        parts.append(f"read {json.base64_ids} ids as base64, expected hex")
    unknown = _unknown_instead(request, signal) if json is None else json.unknown_instead()
    if not left_out and unknown is not None:
        parts.append(f"{unknown}, and no {RECORDS[signal]}")
    return "; ".join(parts)


def _unknown_instead(request: Request, signal: str) -> str | None:
    """The first unknown thing in a request that "is not empty and yields no record at all"."""
    if request.first_unknown is None or request.records:
        return None
    offset, number = request.first_unknown
    path = locate(REQUESTS[signal], request.data, offset)
    place = f"{shorten(path)}: " if path else ""
    return f"{place}found the unknown field {number}"


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
