"""Which rows a watcher wants, and the query of ``/live`` that says so.

Knows the names of severities and the columns that a text is looked for in. It must not know where
rows come from.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from otlp2parquet.core.signals import SIGNALS

LEVELS: Final = {"trace": 1, "debug": 5, "info": 9, "warn": 13, "error": 17, "fatal": 21}
"""Severities by name, each the first of its four numbers."""

_OTHER_SPELLINGS: Final = {
    "verbose": "trace",
    "information": "info",
    "informational": "info",
    "notice": "info",
    "warning": "warn",
    "err": "error",
    "severe": "error",
    "critical": "fatal",
    "crit": "fatal",
    "alert": "fatal",
    "emergency": "fatal",
    "panic": "fatal",
}

HIGHEST_SEVERITY: Final = 24

_NUMBER: Final = re.compile("[0-9]{1,6}")

DEFAULT_RECENT: Final = 500

LOGS: Final = "otel_logs"

_SEARCHED: Final = frozenset(
    {"Body", "EventName", "SpanName", "StatusMessage", "MetricName", "EventsName", "Exemplars"}
)


class Row(NamedTuple):
    """One row as it is shown."""

    text: str
    """A JSON object, in one line."""
    service: str
    """Empty when there is none."""
    severity: int
    """Of a log record, 1 to 24; else 0."""


def signal_of(table: str) -> str:
    """Which signal's rows a table has."""
    kind = table.split("_")[1]
    return kind if kind in SIGNALS else ""


def severity_of(number: object, text: object) -> int:
    """A log record's severity: its number, or what its text is the name of; 0 for none."""
    if isinstance(number, int) and number > 0:
        return min(number, HIGHEST_SEVERITY)
    return _level(text) or 0 if isinstance(text, str) else 0


def _level(text: str) -> int | None:
    name = text.strip().lower()
    return LEVELS.get(_OTHER_SPELLINGS.get(name, name))


@dataclass(frozen=True, slots=True)
class Filter:
    """What a watcher wants; without anything set, everything."""

    signals: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    severity: int = 0
    """Least severity of log records; spans and data points have none, and are not asked."""
    text: str = ""
    """To be found, in any case, in the body or the name, or in any attribute."""

    def wants_signal(self, signal: str) -> bool:
        """Whether anything of a signal is wanted; what has no signal always is."""
        return not self.signals or not signal or signal in self.signals

    def choose(self, table: str, rows: Sequence[Row]) -> Sequence[Row]:
        """Those of ``rows`` that are wanted, in their order."""
        if not self.wants_signal(signal_of(table)):
            return ()
        least = self.severity if table == LOGS else 0
        if not (self.services or least or self.text):
            return rows
        needle = self.text.casefold()
        return [
            row
            for row in rows
            if (not self.services or row.service in self.services)
            and row.severity >= least
            and (not needle or needle in _searched(row))
        ]


def _searched(row: Row) -> str:
    parts = []
    for name, value in json.loads(row.text).items():
        if name.endswith("Attributes") or name in _SEARCHED:
            parts += [str(one) for one in value] if isinstance(value, list) else [str(value)]
    return "\n".join(parts).casefold()


class Wish(NamedTuple):
    """What the query of ``/live`` asks for."""

    filter: Filter
    recent: int
    """How many of the recent events come first."""


def read_query(query: str) -> Wish:
    """What a query string asks for. Raises ``ValueError`` that says what was expected."""
    signals: list[str] = []
    services: list[str] = []
    severity, text, recent = 0, "", DEFAULT_RECENT
    for name, value in parse_qsl(query, keep_blank_values=True, max_num_fields=100):
        if name == "signal":
            signals += [read_signal(one) for one in value.split(",") if one.strip()]
        elif name == "service":
            services.append(value)
        elif name == "level":
            severity = read_level(value)
        elif name == "text":
            text = value
        elif name == "recent":
            recent = _read_recent(value)
        else:
            expected = "signal, service, level, text or recent"
            raise ValueError(f"found the parameter {name[:40]!r}, expected {expected}")
    wanted = Filter(frozenset(signals), frozenset(one for one in services if one), severity, text)
    return Wish(wanted, recent)


def read_signal(value: str) -> str:
    """The name of a signal. Raises ``ValueError``."""
    name = value.strip().lower()
    if name not in SIGNALS:
        raise ValueError(f"found the signal {value[:40]!r}, expected {', '.join(SIGNALS)}")
    return name


def read_level(value: str) -> int:
    """A least severity, by name or number; an empty text is none. Raises ``ValueError``."""
    if not value.strip():
        return 0
    number = _level(value)
    if number is None and _NUMBER.fullmatch(value.strip()):
        number = int(value) if int(value) <= HIGHEST_SEVERITY else None
    if number is None:
        names = ", ".join(LEVELS)
        raise ValueError(f"found the level {value[:40]!r}, expected {names} or 0 to 24")
    return number


def _read_recent(value: str) -> int:
    if not _NUMBER.fullmatch(value):
        raise ValueError(f"found recent={value[:40]!r}, expected a number from 0 to 999999")
    return int(value)
