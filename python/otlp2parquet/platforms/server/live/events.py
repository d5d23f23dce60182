"""Server-sent events: how rows, refusals and gaps are written.

Knows the format of https://html.spec.whatwg.org/multipage/server-sent-events.html and JSON. It must
not know who reads them.
"""

import json
from collections.abc import Mapping
from typing import Final, NamedTuple

from otlp2parquet.platforms.server.live.filters import Filter
from otlp2parquet.platforms.server.live.rows import Rows

BEGINNING: Final = b": otlp2parquet\nretry: 1000\n\n"
"""Something at once, so that a client knows that it is connected."""

STILL_HERE: Final = b": still here\n\n"


class Refusal(NamedTuple):
    """What a client was refused, and what it was told."""

    client: str
    signal: str
    """Empty where nobody looked for one."""
    status: int | str
    """A number of HTTP's or a name of gRPC's."""
    reason: str
    message: str


class Refused(NamedTuple):
    """A refusal, as often as it came in a short time."""

    time: str
    refusal: Refusal
    times: int
    """Requests, or records where the request itself was taken."""


class Lost(NamedTuple):
    """A gap: what was received and is not shown, because it was too much."""

    events: int
    rows: int


Event = Rows | Refused | Lost


def size_of(event: Event) -> int:
    """About what an event takes in memory."""
    if isinstance(event, Rows):
        return event.num_bytes + 200 * len(event.rows) + 300
    if isinstance(event, Refused):
        return 2 * len(event.refusal.message) + 500
    return 200


def write(number: int, event: Event, wanted: Filter) -> str:
    """An event as a watcher gets it; empty where nothing of it is wanted."""
    if isinstance(event, Rows):
        rows = wanted.choose(event.table, event.rows)
        if not rows:
            return ""
        body = ",".join(row.text for row in rows)
        head = f'{{"table":{json.dumps(event.table)},"received":"{event.received}","rows":['
        return f"event: rows\nid: {number}\ndata: {head}{body}]}}\n\n"
    if isinstance(event, Refused):
        if not wanted.wants_signal(event.refusal.signal):
            return ""
        data = {"time": event.time, **event.refusal._asdict(), "count": event.times}
        return f"event: refused\nid: {number}\ndata: {_json(data)}\n\n"
    return f"event: skipped\nid: {number}\ndata: {_json(event._asdict())}\n\n"


def write_skipped(events: int) -> str:
    """What a watcher that fell behind is told."""
    return f'event: skipped\ndata: {{"events":{events}}}\n\n'


def write_state(state: Mapping[str, object]) -> str:
    """The server's numbers. They have no id: who comes back does not want old ones."""
    return f"event: state\ndata: {_json(state)}\n\n"


def _json(data: Mapping[str, object]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
