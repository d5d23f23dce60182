"""Log lines, as text or as JSON, one each, to standard error.

Knows the standard library's logging. A record's ``fields`` (``extra={"fields": {...}}``) are
data: ``key=value`` in text, members in JSON.

Messages, fields and the texts of errors may hold what a sender wrote: names of services, paths,
header fields. What is not shown as itself is escaped, for every line of both forms.
"""

import json
import logging
import sys
import time
from io import TextIOBase
from typing import Final, TextIO, cast

from otlp2parquet.printable import printable, printable_json

LEVELS: Final = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}


def _json(value: object) -> str:
    """JSON in which nothing is raw that ``printable`` would escape."""
    return printable_json(json.dumps(value, default=str, ensure_ascii=False))


def _when(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03}Z"


def _fields(record: logging.LogRecord) -> dict[str, object]:
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, dict) else {}


class TextFormatter(logging.Formatter):
    """``2026-01-31T12:00:00.000Z INFO batch stored rows=10 files=1``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback below it, indented, if there is one."""
        parts = [_when(record), record.levelname, printable(record.getMessage())]
        for key, value in _fields(record).items():
            text = str(value)
            is_plain = text and printable(text) == text and not set(text) & set(' "=')
            parts.append(f"{printable(key)}={text if is_plain else _json(text)}")
        lines = [" ".join(parts)]
        if record.exc_info:
            # The text of an error may hold line ends: none of them begins a line of ours.
            trace = self.formatException(record.exc_info)
            lines += [f"  {printable(line)}" for line in trace.split("\n")]
        return "\n".join(lines)


class JsonFormatter(logging.Formatter):
    """One JSON object of visible characters: time, level, logger, message, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, a traceback included."""
        data: dict[str, object] = {
            "time": _when(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            data["exception"] = self.formatException(record.exc_info)
        return _json(data)


def configure(level: str, form: str, stream: TextIO | TextIOBase | None = None) -> None:
    """Send everything that this process logs to standard error, or ``stream``, in one form.

    ``level`` holds for otlp2parquet; of libraries only warnings and worse are shown.
    """
    handler = logging.StreamHandler(cast("TextIO", stream or sys.stderr))
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("otlp2parquet").setLevel(LEVELS[level])
    logging.captureWarnings(capture=True)


def announce(logger: logging.Logger, message: str) -> None:
    """Log ``message`` as information whatever the level is: who starts a server wants to know."""
    record = logger.makeRecord(logger.name, logging.INFO, "", 0, message, (), None)
    logging.getLogger().handle(record)
