"""A shop's telemetry as plain Python objects, seeded: the witness of what a question must find.

Knows what happened in the shop, record by record. It must not know OTLP, files or any engine:
``shop_files`` makes requests of it, ``expected`` computes answers from it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache

SECOND = 1_000_000_000
START = int(datetime(2026, 3, 28, 22, 30, tzinfo=UTC).timestamp()) * SECOND
"""Half an hour before midnight in London and Berlin, whose clocks go forward in that night."""
MINUTES = 180
TRACES = 90
ERROR = 17
BOUNDS = (5.0, 10.0, 25.0, 50.0, 100.0, 250.0)
"""Of the histograms, in milliseconds."""

Attributes = dict[str, str | int | float | bool]


@dataclass(frozen=True)
class Span:
    """A span. ``end`` is 0 where the sender has given none."""

    service: str
    name: str
    kind: int
    trace: str
    id: str
    parent: str
    start: int
    end: int
    is_error: bool = False
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True)
class Log:
    """A log record; ``trace`` and ``span`` are empty outside of one."""

    service: str
    time: int
    severity: int
    body: str
    trace: str = ""
    span: str = ""
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True)
class Served:
    """Something that took a time: what counters and histograms are made of."""

    service: str
    time: int
    millis: float
    route: str = ""
    trace: str = ""
    span: str = ""


@dataclass
class Shop:
    """Everything that happened."""

    spans: list[Span] = field(default_factory=list)
    logs: list[Log] = field(default_factory=list)
    served: list[Served] = field(default_factory=list)


SERVER, CLIENT, INTERNAL = 2, 3, 1


@cache
def shop() -> Shop:
    """The same in every run."""
    chance = random.Random(20260328)
    found = Shop()
    for number in range(TRACES):
        _request(found, chance, number)
    for number in range(1500):
        _observation(found, chance, number)
    _oddities(found)
    return found


def _request(found: Shop, chance: random.Random, number: int) -> None:
    """One request of a customer: a trace over three services, and what they logged."""
    trace = chance.randbytes(16).hex()
    start = START + number * MINUTES * 60 * SECOND // TRACES + chance.randrange(SECOND)
    route = ("/api/cart", "/api/cart", "/api/checkout")[number % 3]
    method = "POST" if route == "/api/checkout" else "GET"
    fails = number % 11 == 5
    millis = round(chance.lognormvariate(4.0, 0.7), 3)

    def span(  # noqa: PLR0917 - a table of spans below
        service: str, name: str, kind: int, parent: str, at: float, share: float
    ) -> Span:
        begin = start + int(at * millis * 1e6)
        attributes: Attributes = {"http.route": route, "http.request.method": method}
        if kind == SERVER:
            attributes["http.response.status_code"] = 503 if fails else 200
            attributes["customer.tier"] = ("free", "gold")[number % 2]
        if kind == CLIENT:
            attributes = {"peer.service": "cart", "retry.delay": 0.25}
        made = Span(
            service, name, kind, trace, chance.randbytes(8).hex(), parent, begin,
            begin + int(share * millis * 1e6), fails, attributes,
        )  # fmt: skip
        found.spans.append(made)
        return made

    root = span("gateway", f"{method} {route}", SERVER, "", 0, 1)
    call = span("gateway", "call cart", CLIENT, root.id, 0.1, 0.5)
    cart = span("cart", "load cart", SERVER, call.id, 0.15, 0.4)
    span("cart", "SELECT items", INTERNAL, cart.id, 0.2, 0.3)
    if method == "POST":
        # Its caller is in no file: the sender has not sampled it.
        span("payment", "charge", SERVER, "00000000000000aa", 0.7, 0.2)
    found.logs.append(
        Log("gateway", root.start + 1000, 9, f"{method} {route}", trace, root.id, {"n": number})
    )
    if fails:
        text = f"cart {number} is away"
        found.logs.append(Log("cart", cart.end, ERROR, text, trace, cart.id, {"retry": True}))
        found.logs.append(Log("gateway", root.end, ERROR + number % 2 * 4, text, trace, root.id))


def _observation(found: Shop, chance: random.Random, number: int) -> None:
    """One request that is counted and measured, traced or not."""
    service = ("gateway", "cart", "payment")[number % 3]
    time = START + chance.randrange(MINUTES * 60) * SECOND
    millis = round(chance.lognormvariate(3.0, 0.9), 2)
    route = ("/api/cart", "/api/checkout")[chance.randrange(4) // 3]
    trace = span = ""
    if service == "gateway" and millis > 80:
        root = chance.choice([one for one in found.spans if not one.parent])
        trace, span, time = root.trace, root.id, root.start // SECOND * SECOND
    found.served.append(Served(service, time, millis, route, trace, span))


def _oddities(found: Shop) -> None:
    """What every collection has, too."""
    found.spans.append(Span("cart", "never ends", SERVER, "ab" * 16, "cd" * 8, "", START, 0))
    found.logs.append(Log("payment", START + SECOND, 0, "no severity"))
    found.logs.append(Log("", START + 2 * SECOND, ERROR, "whose is this?"))
    found.logs.append(
        Log("007", START + 3 * SECOND, ERROR, "a name of digits", attributes={"n": "seven"})
    )
