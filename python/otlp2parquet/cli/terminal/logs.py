"""A line for a log record.

Knows the columns of the table and what people look at first: when, how bad, who, what.
"""

from collections.abc import Mapping
from typing import Any, Final

from otlp2parquet.cli.terminal.text import Part, Style
from otlp2parquet.cli.terminal.values import full_time, pairs, short_time
from otlp2parquet.platforms.server.live.filters import LEVELS, severity_of

_STYLES: Final[dict[str, Style]] = {
    "trace": "dim",
    "debug": "blue",
    "info": "green",
    "warn": "yellow",
    "error": "red",
    "fatal": "bold red",
}

LABEL_COLUMNS: Final = 6


def head(time: str, label: str, style: Style, service: str, *, is_short: bool) -> list[Part]:
    """How every line begins: when, what, whose."""
    return [
        Part(short_time(time) if is_short else full_time(time), "dim"),
        Part(" "),
        Part(label.ljust(LABEL_COLUMNS), style),
        Part(" "),
        Part(service or "-", "cyan"),
        Part("  "),
    ]


def log_line(row: Mapping[str, Any], *, is_short: bool) -> list[Part]:
    """One record; ``is_short`` for a screen."""
    level = _level(row)
    body = row.get("Body", row.get("EventName", ""))
    service = row.get("ServiceName", "")
    line = head(row["Timestamp"], level.upper(), _STYLES.get(level, ""), service, is_short=is_short)
    line.append(Part(str(body), "bold red" if level == "fatal" else ""))
    line += attributes_of(row.get("LogAttributes", ""))
    if "TraceId" in row and not is_short:
        line.append(Part(f" trace_id={row['TraceId']}", "dim"))
    return line


def _level(row: Mapping[str, Any]) -> str:
    severity = severity_of(row.get("SeverityNumber"), row.get("SeverityText"))
    names = [name for name, least in LEVELS.items() if severity >= least]
    return names[-1] if names else "log"


def attributes_of(text: str) -> list[Part]:
    """Attributes behind a line, each with the space before it."""
    return [Part(f"{' ' if i else '  '}{k}={v}", "dim") for i, (k, v) in enumerate(pairs(text))]
