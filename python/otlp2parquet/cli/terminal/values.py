"""Times, durations, numbers and attributes, for people.

Knows the forms in which the live view has them. Gives text that may still hold anything that a
sender wrote.
"""

import json
import time
from datetime import UTC, datetime
from typing import Any, Final

_MICROS, _MILLIS, _SECS = 1_000, 1_000_000, 1_000_000_000
_KIB: Final = 1024


def short_time(text: str) -> str:
    """The local time of day of an RFC 3339 time, with milliseconds."""
    try:
        moment = datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)
        local = time.localtime(moment.timestamp())
    except (ValueError, OverflowError, OSError):
        return text[:12]
    return f"{time.strftime('%H:%M:%S', local)}{text[19:23]}"


def full_time(text: str) -> str:
    """An RFC 3339 time with milliseconds."""
    return f"{text[:23]}Z" if len(text) > len("2026-01-01T00:00:00.000Z") else text


def duration(nanos: Any) -> str:  # noqa: ANN401 - a number, or a text where it is large
    """A duration in the unit in which it is a handy number."""
    count = int(nanos)
    size = abs(count)
    for unit, least in (("s", _SECS), ("ms", _MILLIS), ("µs", _MICROS)):
        if size >= least:
            return f"{_three(count / least)} {unit}"
    return f"{count} ns"


def _three(value: float) -> str:
    """A number with three digits that count, or with all before the point."""
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0  # noqa: PLR2004
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def number(value: Any) -> str:  # noqa: ANN401 - a number, or a text where JSON has none
    """A number in few characters."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.6g}"  # noqa: PLR2004
    return str(value)


def unit(text: str) -> str:
    """A unit behind a number; UCUM's annotations are plain words."""
    plain = text.strip("{}") if text.startswith("{") else text
    return "" if plain in ("", "1") else f" {plain}"


def size(count: int) -> str:
    """A number of bytes."""
    amount = float(count)
    for name in ("B", "KiB", "MiB", "GiB"):
        if amount < _KIB or name == "GiB":
            return f"{_three(amount)} {name}"
        amount /= _KIB
    return ""


def pairs(attributes: str) -> list[tuple[str, str]]:
    """Names and values of attributes, from the JSON that the tables have."""
    try:
        found = json.loads(attributes or "{}", object_pairs_hook=list)
    except (ValueError, RecursionError):
        return [("attributes", attributes)]
    return [(str(name), _value(value)) for name, value in found] if isinstance(found, list) else []


def _value(value: Any) -> str:  # noqa: ANN401 - whatever JSON has
    if isinstance(value, str):
        is_word = bool(value) and not set(value) & set(' "=')
        return value if is_word else json.dumps(value, ensure_ascii=False)
    if isinstance(value, list) and value and all(isinstance(item, tuple) for item in value):
        inner = ",".join(f"{json.dumps(k, ensure_ascii=False)}:{_inner(v)}" for k, v in value)
        return f"{{{inner}}}"
    return _inner(value)


def _inner(value: Any) -> str:  # noqa: ANN401 - as above
    if isinstance(value, list):
        if value and all(isinstance(item, tuple) for item in value):
            return _value(value)
        return f"[{','.join(_inner(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False)


def plural(count: int, one: str) -> str:
    """``1 span``, ``2 spans``."""
    return f"{count:,} {one}" if count == 1 else f"{count:,} {one}s"
