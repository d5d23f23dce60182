"""Events of the live view as lines.

Knows which event becomes which lines. The clock comes from the caller, because traces wait a moment
for their spans. A fault in what came costs that event, and is a line itself.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from otlp2parquet.cli.terminal.logs import head, log_line
from otlp2parquet.cli.terminal.metrics import metric_lines
from otlp2parquet.cli.terminal.sse import Event
from otlp2parquet.cli.terminal.text import Part, safe, wrap
from otlp2parquet.cli.terminal.traces import Span, Traces, trace_lines
from otlp2parquet.cli.terminal.values import plural

Line = list[Part]

MAX_REASON_LINES: Final = 8

_INDENT: Final = " " * 20


class Renderer:
    """Makes lines; ``is_short`` for a screen, where times are local and large trees are cut.

    ``columns`` is asked for each refusal: its reason goes on in further lines, and is never cut.
    With ``only_refusals`` there are no others.
    """

    def __init__(
        self, *, is_short: bool, columns: Callable[[], int | None], only_refusals: bool = False
    ) -> None:
        self._is_short = is_short
        self._columns = columns
        self._only_refusals = only_refusals
        self._traces = Traces()

    def render(self, event: Event, now: float) -> Iterator[Line]:
        """The lines of an event."""
        try:
            yield from self._render(event, now)
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            # Another version may have written it.
            yield [Part(f"an event cannot be shown: {type(error).__name__}", "dim")]

    def tick(self, now: float) -> Iterator[Line]:
        """What has waited for its time."""
        yield from self._trees(self._traces.due(now))

    def end(self) -> Iterator[Line]:
        """What waits still."""
        yield from self._trees(self._traces.rest())

    def _render(self, event: Event, now: float) -> Iterator[Line]:
        data = event.data
        if event.name == "refused":
            yield from self._refused(event)
        elif self._only_refusals:
            return
        elif event.name == "skipped":
            what = (
                plural(data["rows"], "row") if data.get("rows") else plural(data["events"], "event")
            )
            yield [Part(f"… {what} not shown: too much at once", "dim")]
        elif event.name == "rows" and data["table"] == "otel_logs":
            for row in data["rows"]:
                yield log_line(row, is_short=self._is_short)
        elif event.name == "rows" and data["table"] == "otel_traces":
            yield from self._trees(self._traces.add(data["rows"], now))
        elif event.name == "rows":
            yield from metric_lines(data["rows"], is_short=self._is_short)

    def _trees(self, traces: Sequence[Sequence[Span]]) -> Iterator[Line]:
        for spans in traces:
            try:
                yield from trace_lines(spans, is_short=self._is_short)
            except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
                yield [Part(f"a trace cannot be shown: {type(error).__name__}", "dim")]

    def _refused(self, event: Event) -> Iterator[Line]:
        data = event.data
        line = head(data["time"], "REFUSED", "bold red", data["client"], is_short=self._is_short)
        count, is_part = data["count"], data["reason"] == "rejected records"
        times = plural(count, "record") if is_part else f"{count:,} times" if count > 1 else ""
        facts = [data["signal"], str(data["status"]), str(data["reason"]), times]
        line.append(Part(", ".join(fact for fact in facts if fact), "red"))
        columns = self._columns()
        reason = safe(str(data["message"]))
        if columns is None:
            yield [*line, Part(f": {reason}")]
            return
        yield line
        room = max(20, columns - len(_INDENT))
        for text in wrap(reason, room, room)[:MAX_REASON_LINES]:
            yield [Part(_INDENT), Part(text)]
