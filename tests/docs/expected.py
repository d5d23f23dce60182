"""What each recipe must find, computed from what happened in the shop, without file or engine.

Knows the shop and what each recipe promises. Rows are tuples in the order that is promised.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from .shop import BOUNDS, ERROR, SECOND, SERVER, START, Served, shop
from .shop_files import ZERO_BELOW, exponential_bucket, minute_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Rows = list[tuple[Any, ...]]
EXPECTED: dict[str, Callable[[], Rows]] = {}
"""Of each recipe by its name."""

TREE = next(one.trace for one in shop().spans if one.is_error and one.name == "POST /api/checkout")
"""The trace that the pages ask about; ``PLACEHOLDER`` stands for it there."""
PLACEHOLDER = "5b8aa5a2d2c872e8321cf37308d69df2"


def recipe(function: Callable[[], Rows]) -> Callable[[], Rows]:
    """Its name in the pages is that of the function, with dashes."""
    EXPECTED[function.__name__.replace("_", "-")] = function
    return function


def at(nanos: int) -> datetime:
    """A time in UTC, in microseconds."""
    return datetime.fromtimestamp(nanos // SECOND, UTC) + timedelta(
        microseconds=nanos % SECOND // 1000
    )


def quantile(values: Iterable[float], share: float) -> float:
    """Between the two nearest values, as everybody's default has it."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


@recipe
def errors_by_service() -> Rows:
    """Service, errors, records; most errors first."""
    records = Counter(one.service or None for one in shop().logs)
    errors = Counter(one.service or None for one in shop().logs if one.severity >= ERROR)
    rows = [(name, errors[name], records[name]) for name in errors]
    return sorted(rows, key=lambda row: (-row[1], row[0] is None, row[0] or ""))


@recipe
def latency_percentiles() -> Rows:
    """Service, operation, how many, p50, p95 and p99 in milliseconds."""
    found = defaultdict(list)
    for one in shop().spans:
        if one.kind == SERVER and one.end:
            found[one.service, one.name].append((one.end - one.start) / 1e6)
    return [
        (*key, len(values), *(quantile(values, share) for share in (0.5, 0.95, 0.99)))
        for key, values in sorted(found.items())
    ]


@recipe
def trace_tree() -> Rows:
    """Operation, indented, service, milliseconds since the first span, and how many it took."""
    spans = [one for one in shop().spans if one.trace == TREE]
    known = {one.id for one in spans}
    first = min(one.start for one in spans) // 1000
    rows: Rows = []

    def add(parent: str, depth: int) -> None:
        below = [one for one in spans if (one.parent if one.parent in known else "") == parent]
        for one in sorted(below, key=lambda one: (one.start // 1000, one.id)):
            since = (one.start // 1000 - first) / 1000
            name = "  " * depth + one.name
            rows.append((name, one.service, since, (one.end - one.start) / 1e6))
            add(one.id, depth + 1)

    add("", 0)
    return rows


@recipe
def logs_of_trace() -> Rows:
    """When, service, span, severity, text; in the order of time."""
    names = {(one.trace, one.id): one.name for one in shop().spans}
    found = sorted((one for one in shop().logs if one.trace == TREE), key=lambda one: one.time)
    return [
        (at(one.time), one.service, names.get((one.trace, one.span)), one.severity, one.body)
        for one in found
    ]


@recipe
def exemplars_to_traces() -> Rows:
    """The ten slowest exemplars: value, trace, the span's name and milliseconds."""
    spans = {(one.trace, one.id): one for one in shop().spans}
    found = sorted(
        (one for one in shop().served if one.trace), key=lambda one: (-one.millis, one.trace)
    )
    rows: Rows = []
    for one in found[:10]:
        span = spans[one.trace, one.span]
        rows.append((one.millis, one.trace, span.name, (span.end - span.start) / 1e6))
    return rows


def _counted(one: Served) -> bool:
    """Whether an increase shows it: what is in a sum's first report began at a time unknown."""
    return one.service == "payment" or minute_of(one.time) > 1


@recipe
def counter_rates() -> Rows:
    """Half hour, service, increase, and a second; of deltas and of sums that begin anew."""
    half = 30 * 60 * SECOND
    found: Counter[tuple[datetime, str]] = Counter()
    # A half hour in which nothing was counted has rows, of no increase.
    for name in ("gateway", "cart", "payment"):
        for start in range(START, START + 7 * half, half):
            found[at(start), name] = 0
    for one in shop().served:
        if _counted(one):
            reported = START + minute_of(one.time) * 60 * SECOND
            found[at(reported // half * half), one.service] += 1
    return [(*key, count, count / 1800) for key, count in sorted(found.items())]


def _interpolated(counts: Counter[int], share: float) -> float:
    """The quantile that the buckets of ``BOUNDS`` tell; within one as if evenly filled."""
    wanted, before = share * counts.total(), 0
    for index in range(len(BOUNDS) + 1):
        if counts[index] and before + counts[index] >= wanted:
            if index == len(BOUNDS):
                return BOUNDS[-1]
            low = BOUNDS[index - 1] if index else 0.0
            return low + (BOUNDS[index] - low) * (wanted - before) / counts[index]
        before += counts[index]
    raise AssertionError(share)


@recipe
def histogram_quantiles() -> Rows:
    """Service, how many, p50 and p95 of the buckets."""
    rows: Rows = []
    for service in ("cart", "gateway"):
        counts = Counter(
            bisect_left(BOUNDS, one.millis)
            for one in shop().served
            if one.service == service and (service == "gateway" or minute_of(one.time) > 1)
        )
        quantiles = (_interpolated(counts, share) for share in (0.5, 0.95))
        rows.append((service, counts.total(), *quantiles))
    return rows


@recipe
def exponential_histogram_quantiles() -> Rows:
    """Service, how many, p50 and p95 of the buckets at the coarsest scale of the service."""
    rows: Rows = []
    for service, scale in (("cart", 3), ("payment", 5)):
        served = [one.millis for one in shop().served if one.service == service]
        counts = Counter(exponential_bucket(one, scale) for one in served if one > ZERO_BELOW)
        zeros = len(served) - counts.total()
        found = []
        for share in (0.5, 0.95):
            wanted, before, value = share * len(served), zeros, 0.0
            for index in sorted(counts) if wanted > zeros else []:
                if before + counts[index] >= wanted:
                    inside = index + (wanted - before) / counts[index]
                    value = 2 ** (inside / 2**scale)
                    break
                before += counts[index]
            found.append(value)
        rows.append((service, len(served), *found))
    return rows


@recipe
def top_attributes() -> Rows:
    """Attribute of spans, on how many, with how many values."""
    values = defaultdict(list)
    for one in shop().spans:
        for key, value in one.attributes.items():
            values[key].append(value)
    rows = [(key, len(found), len(set(found))) for key, found in values.items()]
    return sorted(rows, key=lambda row: (-row[1], row[0]))


@recipe
def one_attribute() -> Rows:
    """Failed requests by route and status code, a text and an integer."""
    found = Counter(
        (one.attributes["http.route"], one.attributes["http.response.status_code"])
        for one in shop().spans
        if one.kind == SERVER
        and one.is_error
        and one.attributes["http.response.status_code"] >= 500  # type: ignore[operator]
    )
    return [(*key, count) for key, count in sorted(found.items())]


@recipe
def records_by_local_hour() -> Rows:
    """Hour of the clock in Berlin, at night from summer to winter time or back, and log records."""
    berlin = ZoneInfo("Europe/Berlin")
    found = Counter(
        at(one.time).astimezone(berlin).strftime("%Y-%m-%d %H:00") for one in shop().logs
    )
    return sorted(found.items())


@recipe
def one_hour_of_a_service() -> Rows:
    """How many spans of the cart began between 23:00 and midnight, in UTC."""
    spans = [one for one in shop().spans if one.service == "cart"]
    return [(sum(at(one.start).strftime("%d %H") == "28 23" for one in spans),)]


@recipe
def services_by_folder() -> Rows:
    """The column of the path beside the column of the row."""
    found = {one.service or "" for one in shop().logs}
    return sorted((name or "unknown-service", name or None) for name in found)


@recipe
def exact_order() -> Rows:
    """The first five log records of the gateway: nanoseconds since 1970, and text."""
    logs = sorted(
        (one for one in shop().logs if one.service == "gateway"), key=lambda one: one.time
    )
    return [(one.time, one.body) for one in logs[:5]]
