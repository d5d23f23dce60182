"""Spans until their trace is shown, and the tree of one.

Pure: the clock comes from the caller. A trace is shown once it has been quiet for a moment, sooner
where its root has come, and at the latest within a second; spans that come later are a tree of
their own. Bounded by spans: the oldest trace is shown before there are too many. Parents may be
missing, or go in circles: every span is shown once.
"""

import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from otlp2parquet.cli.terminal.logs import LABEL_COLUMNS
from otlp2parquet.cli.terminal.text import Part, cut, safe
from otlp2parquet.cli.terminal.values import duration, full_time, plural, short_time

QUIET_SECS: Final = 0.4
QUIET_WITH_ROOT_SECS: Final = 0.1
LONGEST_SECS: Final = 0.7

MAX_SPANS: Final = 10_000

MAX_DEPTH: Final = 12
"""Levels that are drawn; deeper spans stand at the last one."""

MAX_LINES: Final = 60
"""Spans of one tree on a screen."""

MAX_NAME_COLUMNS: Final = 32
"""Of the name of a span that failed, on a screen."""

DURATION_COLUMNS: Final = 8

Span = Mapping[str, Any]


class _Waiting:
    def __init__(self, now: float) -> None:
        self.first = self.last = now
        self.spans: list[Span] = []
        self.has_root = False

    def is_due(self, now: float) -> bool:
        quiet = QUIET_WITH_ROOT_SECS if self.has_root else QUIET_SECS
        return now - self.last >= quiet or now - self.first >= LONGEST_SECS


class Traces:
    """Spans that came a moment ago, by trace."""

    def __init__(self, max_spans: int = MAX_SPANS) -> None:
        self._max_spans = max_spans
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()
        self._num_spans = 0
        self._unnamed = 0

    def add(self, spans: Iterable[Span], now: float) -> list[Sequence[Span]]:
        """Take spans in; the traces that must be shown to make room for them."""
        shown = []
        for span in spans:
            trace = span.get("TraceId", "")
            if not trace:  # it belongs to no other
                self._unnamed += 1
                trace = f" {self._unnamed}"
            waiting = self._waiting.setdefault(trace, _Waiting(now))
            waiting.last = now
            waiting.spans.append(span)
            waiting.has_root |= "ParentSpanId" not in span
            self._num_spans += 1
            while self._num_spans > self._max_spans:
                shown.append(self._take(next(iter(self._waiting))))
        return shown

    def due(self, now: float) -> list[Sequence[Span]]:
        """The traces that are to be shown now."""
        names = [name for name, waiting in self._waiting.items() if waiting.is_due(now)]
        return [self._take(name) for name in names]

    def rest(self) -> list[Sequence[Span]]:
        """All that wait: the end has come."""
        return [self._take(name) for name in list(self._waiting)]

    def _take(self, name: str) -> Sequence[Span]:
        spans = self._waiting.pop(name).spans
        self._num_spans -= len(spans)
        return spans


def trace_lines(spans: Sequence[Span], *, is_short: bool) -> Iterator[list[Part]]:
    """The tree of some spans of one trace; on a screen not all of a large one."""
    most = MAX_LINES if is_short else len(spans)
    for count, (span, bars) in enumerate(_drawn(spans)):
        if count == most:
            yield [Part(f"       … and {plural(len(spans) - most, 'more span')}", "dim")]
            return
        yield _line(span, bars, is_short=is_short)


def _line(span: Span, bars: str, *, is_short: bool) -> list[Part]:
    is_error = span.get("StatusCode") == "STATUS_CODE_ERROR"
    when = str(span["Timestamp"])
    name = safe(str(span.get("SpanName", "")))
    if is_error and is_short:
        name = cut(name, MAX_NAME_COLUMNS)  # so that there is room for the reason
    line = [
        Part(short_time(when) if is_short else full_time(when), "dim"),
        Part(" "),
        Part("SPAN".ljust(LABEL_COLUMNS), "red" if is_error else "magenta"),
        Part(f" {duration(span.get('Duration', 0)):>{DURATION_COLUMNS}}  ", "yellow"),
        Part(bars, "dim"),
        Part(span.get("ServiceName", "") or "-", "cyan"),
        Part("  "),
        Part(name, "red" if is_error else "" if bars else "bold"),
    ]
    if is_error:
        line += [Part("  ERROR", "bold red"), Part(_reason(span), "red")]
    if not bars and "TraceId" in span:
        trace = span["TraceId"][:8] if is_short else span["TraceId"]
        line.append(Part(f"  trace={trace}", "dim"))
    return line


def _reason(span: Span) -> str:
    """Why a span failed: its status in words, or the first exception that it recorded."""
    if span.get("StatusMessage"):
        return f" {span['StatusMessage']}"
    for name, attributes in zip(
        span.get("EventsName", ()), span.get("EventsAttributes", ()), strict=False
    ):
        if name == "exception":
            try:
                found = json.loads(attributes)
            except (ValueError, TypeError, RecursionError):
                return ""
            kind, message = found.get("exception.type"), found.get("exception.message")
            return " " + ": ".join(str(one) for one in (kind, message) if one)
    return ""


def _drawn(spans: Sequence[Span]) -> Iterator[tuple[Span, str]]:
    """Each span once, parents before their children, with what is drawn before its name."""
    order = sorted(range(len(spans)), key=lambda number: str(spans[number]["Timestamp"]))
    by_id: dict[str, int] = {}
    for number in order:
        by_id.setdefault(spans[number].get("SpanId", ""), number)
    children: dict[int, list[int]] = {}
    roots = []
    for number in order:
        parent = by_id.get(spans[number].get("ParentSpanId", " "))
        if parent is None or parent == number:
            roots.append(number)
        else:
            children.setdefault(parent, []).append(number)
    drawn: set[int] = set()
    # Behind the roots come those of circles, to which no root leads.
    for top in (*roots, *order):
        stack = [(top, "", "")]
        while stack:
            number, bars, below = stack.pop()
            if number in drawn:
                continue
            drawn.add(number)
            yield spans[number], bars
            inner = [child for child in children.get(number, ()) if child not in drawn]
            for place, child in enumerate(reversed(inner)):
                deeper = below if len(below) < 3 * MAX_DEPTH else below[: 3 * (MAX_DEPTH - 1)]
                bar, next_below = ("└─ ", "   ") if place == 0 else ("├─ ", "│  ")
                stack.append((child, deeper + bar, deeper + next_below))
