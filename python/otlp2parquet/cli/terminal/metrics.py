"""A line for a metric: its value, or what its points have in common.

Knows the columns of the five tables of metrics.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from otlp2parquet.cli.terminal.logs import attributes_of, head
from otlp2parquet.cli.terminal.text import Part
from otlp2parquet.cli.terminal.values import number, plural, unit

Point = Mapping[str, Any]


def metric_lines(points: Sequence[Point], *, is_short: bool) -> Iterator[list[Part]]:
    """A line for each metric of each service among the points of one event."""
    by_metric: dict[tuple[str, str], list[Point]] = {}
    for point in points:
        key = (point.get("ServiceName", ""), point.get("MetricName", ""))
        by_metric.setdefault(key, []).append(point)
    for (service, name), some in by_metric.items():
        last = max(some, key=lambda point: str(point["Timestamp"]))
        line = head(last["Timestamp"], "METRIC", "blue", service, is_short=is_short)
        line += [Part(name, "bold"), Part("  ")]
        if len(some) == 1:
            line += [Part(_value(last), "yellow"), *attributes_of(last.get("Attributes", ""))]
        else:
            line += [Part(_values(some), "yellow"), Part(f"  {plural(len(some), 'point')}", "dim")]
        yield line


def _value(point: Point) -> str:
    """The value of one point."""
    in_unit = unit(str(point.get("MetricUnit", "")))
    if "Count" not in point:
        value = point.get("IntValue", point.get("Value"))
        return "no value" if value is None else number(value) + in_unit
    parts = [f"count={number(point['Count'])}"]
    named = [(name.lower(), point[name]) for name in ("Sum", "Min", "Max") if name in point]
    shares, values = point.get("Quantiles", ()), point.get("QuantileValues", ())
    named += [(f"p{number(100 * s)}", v) for s, v in zip(shares, values, strict=False)]
    parts += [f"{name}={number(value)}{in_unit}" for name, value in named]
    return " ".join(parts)


def _values(points: Sequence[Point]) -> str:
    """What several points of a metric have in common."""
    in_unit = unit(str(points[0].get("MetricUnit", "")))
    if "Count" in points[0]:
        count = sum(int(point["Count"]) for point in points)
        return f"count={count}"
    values = [
        float(value)
        for point in points
        if (value := point.get("IntValue", point.get("Value"))) is not None
    ]
    if not values:
        return "no value"
    # NaN is neither less nor more than anything: it would hide the others.
    known = [value for value in values if not math.isnan(value)] or values
    low, high = number(min(known)), number(max(known))
    return f"{low}{in_unit}" if low == high else f"{low} to {high}{in_unit}"
