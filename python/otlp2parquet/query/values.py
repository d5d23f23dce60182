"""Values as JSON text, and text that a terminal cannot be harmed by.

Knows Python's values, as Arrow gives them. Control characters, and those that turn the direction
of text, reach no terminal: what a sender wrote is shown, never obeyed.
"""

import json
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite, isnan
from typing import Any, Final

from otlp2parquet.printable import JOINERS, printable, printable_json

_NANOS: Final = 1_000_000_000


def harmless(text: str) -> str:
    r"""A text in which what would do something to a terminal is written out: ``\x1b``."""
    return printable(text, JOINERS)


def json_text(value: Any) -> str:  # noqa: ANN401 - a value of any type of SQL
    """A value as JSON, exactly: integers and decimals with all their digits.

    Times are RFC 3339, bytes are hex, and what JSON has no number for is a text: NaN, Infinity.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if isfinite(value) else f'"{_not_finite(value)}"'
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Mapping):
        members = (f"{_quoted(plain(key))}:{json_text(one)}" for key, one in value.items())
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    return _quoted(plain(value))


def _quoted(text: str) -> str:
    return printable_json(json.dumps(text, ensure_ascii=False), JOINERS)


def plain(value: Any) -> str:  # noqa: ANN401 - as above
    """A value that is not null as text: what stands in a cell."""
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return (
            value.isoformat().removesuffix("+00:00") + "Z" if _is_utc(value) else value.isoformat()
        )
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return _duration(0, value.days, value.seconds * _NANOS + value.microseconds * 1000)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return repr(value) if isfinite(value) else _not_finite(value)
    if isinstance(value, tuple) and hasattr(value, "nanoseconds"):  # Arrow's interval
        return _duration(*value)
    return (
        json_text(value) if isinstance(value, bool | int | Decimal | list | Mapping) else str(value)
    )


def _is_utc(moment: datetime) -> bool:
    return moment.tzinfo is not None and not moment.utcoffset()


def _not_finite(value: float) -> str:
    if isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _duration(months: int, days: int, nanoseconds: int) -> str:
    """ISO 8601: P1M2DT3.5S."""
    whole, below = divmod(abs(nanoseconds), _NANOS)
    seconds = f"{whole}.{below:09}".rstrip("0").rstrip(".")
    sign = "-" if nanoseconds < 0 else ""
    parts = [f"{months}M" if months else "", f"{days}D" if days else ""]
    if nanoseconds or not (months or days):
        parts.append(f"T{sign}{seconds}S")
    return "P" + "".join(parts)
