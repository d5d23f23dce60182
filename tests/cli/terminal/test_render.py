"""Events of the live view as lines: what people see, and that nothing in them acts."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from otlp2parquet.cli.terminal import values
from otlp2parquet.cli.terminal.metrics import metric_lines
from otlp2parquet.cli.terminal.render import MAX_REASON_LINES, Renderer
from otlp2parquet.cli.terminal.screen import Screen
from otlp2parquet.cli.terminal.sse import Event, Parser
from otlp2parquet.cli.terminal.text import finish
from otlp2parquet.platforms.server.live.events import Refusal, Refused, write
from otlp2parquet.platforms.server.live.filters import Filter
from otlp2parquet.platforms.server.live.rows import Export, rows_of
from tests.cli.terminal.harmless import is_harmless
from tests.support.requests import START, logs_request, metrics_request, traces_request

NASTY = st.one_of(
    st.sampled_from(["\x1b[2J", "\u202e", "\r\n", "日本", "\x9b", "", "a" * 300, "e\u0301" * 90]),
    st.text(st.characters(exclude_categories=()), max_size=30),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(NASTY, st.none(), st.integers(), st.floats(), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NASTY, inner, max_size=3)),
    max_leaves=6,
)
COLUMNS = [
    "Timestamp", "ServiceName", "SeverityNumber", "SeverityText", "Body", "EventName",
    "LogAttributes", "TraceId", "SpanId", "ParentSpanId", "SpanName", "Duration", "StatusCode",
    "StatusMessage", "EventsName", "EventsAttributes", "MetricName", "MetricUnit", "Value",
    "IntValue", "Count", "Sum", "Min", "Max", "Quantiles", "QuantileValues", "Attributes",
]  # fmt: skip
TABLES = ["otel_logs", "otel_traces", "otel_metrics_sum", "otel_metrics_summary", "other"]
ROWS = st.lists(st.dictionaries(st.sampled_from(COLUMNS), VALUES, max_size=12), max_size=3)
EVENTS = st.one_of(
    st.builds(
        lambda table, rows: Event("rows", {"table": table, "rows": rows}),
        st.sampled_from(TABLES),
        ROWS,
    ),
    st.builds(
        lambda table, rows: Event("rows", {"table": table, "rows": rows}),
        st.sampled_from(TABLES),
        st.lists(
            st.fixed_dictionaries(
                {"Timestamp": st.just("2026-07-01T09:00:00.000000000Z")},
                optional={
                    name: NASTY if "Attributes" not in name else st.builds(json.dumps, VALUES)
                    for name in COLUMNS[1:]
                    if name not in ("Duration", "Count", "Value", "IntValue")
                },
            ),
            max_size=3,
        ),
    ),
    st.builds(
        lambda message, client: Event(
            "refused",
            {
                "time": "2026-07-01T09:00:00.000000000Z", "client": client, "signal": "logs",
                "status": 400, "reason": "bad data", "message": message, "count": 2,
            },
        ),
        st.lists(NASTY, max_size=9).map(" ".join),
        NASTY,
    ),
    st.builds(Event, NASTY, st.dictionaries(NASTY, VALUES, max_size=3)),
)  # fmt: skip


@given(st.lists(EVENTS, max_size=4), st.sampled_from([None, 20, 80, 200]))
def test_no_event_acts_on_a_terminal_or_passes_its_edge(
    events: list[Event], columns: int | None
) -> None:
    """Whatever a sender wrote, and whatever a server of another version sends."""
    renderer = Renderer(is_short=columns is not None, columns=lambda: columns)
    lines = [line for event in events for line in renderer.render(event, 0.0)]
    lines += [*renderer.tick(5.0), *renderer.end()]
    for line in lines:
        text = finish(line, columns, is_coloured=False)
        assert is_harmless(text)
        assert columns is None or cell_len(text) <= columns


def shown(body: bytes, signal: Any, *, is_short: bool = False) -> list[str]:
    """The lines of an export, as the server's own events have it."""
    renderer = Renderer(is_short=is_short, columns=lambda: 80 if is_short else None)
    export = Export(body, signal, "application/x-protobuf", None, START, 1)
    text = "".join(write(1, piece, Filter()) for piece in rows_of(export))
    events = list(Parser().feed(text.encode()))
    lines = [line for event in events for line in renderer.render(event, 0.0)]
    lines += renderer.end()
    return [finish(line, 80 if is_short else None, is_coloured=False) for line in lines]


def test_a_log_record_is_a_line() -> None:
    """When, how bad, who, what, and its attributes; whole where nobody cuts it."""
    lines = shown(logs_request(2), "logs")
    times = ["2026-07-01T09:00:00.000Z", "2026-07-01T09:00:01.000Z"]
    assert [line[:24] for line in lines] == times
    assert [line[24:] for line in lines] == [
        " INFO   checkout  order 0 placed, naïve ✓  order.id=0 user.name=u0",
        f" ERROR  checkout  order 1 placed, naïve ✓  order.id=1 user.name=u1 trace_id={1:032x}",
    ]
    (line, _) = shown(logs_request(2), "logs", is_short=True)
    assert line.endswith(".000 INFO   checkout  order 0 placed, naïve ✓  order.id=0 user.name=u0")


def test_spans_and_points_are_lines() -> None:
    """A tree per trace; a line per metric, with its value or what its points span."""
    assert len(shown(traces_request(3), "traces")) == 3
    lines = [line.partition("checkout  ")[2] for line in shown(metrics_request(1), "metrics")]
    assert lines == [
        "g  0",
        "s  0 By",
        "h  count=3 sum=4.5",
        "e  count=0",
        "q  count=1 sum=2 p50=0",
    ]
    lines = [line.partition("checkout  ")[2] for line in shown(metrics_request(3), "metrics")]
    assert lines[:3] == [
        "g  0 to 0.666667  3 points",
        "s  0 to 2 By  3 points",
        "h  count=9  3 points",
    ]


def refused(message: str, columns: int | None, **changes: Any) -> list[str]:
    """The lines of a refusal."""
    told = Refusal("10.0.0.9", "traces", "INVALID_ARGUMENT", "bad data", message)._replace(
        **changes
    )
    (event,) = Parser().feed(write(1, Refused("2026-07-01T09:00:00Z", told, 2), Filter()).encode())
    renderer = Renderer(is_short=columns is not None, columns=lambda: columns, only_refusals=True)
    lines = renderer.render(event, 0.0)
    return [finish(line, columns, is_coloured=False) for line in lines]


def test_a_refusal_is_told_with_its_whole_reason() -> None:
    """On a screen it goes on in further lines; elsewhere it is one line."""
    reason = "malformed protobuf " * 9 + "the end"
    (line,) = refused(reason, None)
    assert line.endswith("10.0.0.9  traces, INVALID_ARGUMENT, bad data, 2 times: " + reason)
    first, *others = refused(reason, 60)
    assert "10.0.0.9  traces, INVALID_ARGUMENT" in first
    assert " ".join(one.strip() for one in others) == reason
    assert len(refused("x" * 9000, 60)) == MAX_REASON_LINES + 1
    (line,) = refused("why", None, reason="rejected records", signal="")
    assert line.endswith("rejected records, 2 records: why")


def test_quiet_leaves_only_refusals() -> None:
    """And no gaps either."""
    renderer = Renderer(is_short=True, columns=lambda: 80, only_refusals=True)
    rows = Event("rows", {"table": "otel_logs", "rows": [{"Timestamp": "x", "Body": "y"}]})
    assert list(renderer.render(rows, 0.0)) == []
    assert list(renderer.render(Event("skipped", {"events": 3}), 0.0)) == []


def test_a_gap_is_told() -> None:
    """In rows, or in events where nobody knows the rows."""
    renderer = Renderer(is_short=True, columns=lambda: 80)
    texts = [
        "".join(part.text for part in line)
        for data in ({"events": 3}, {"events": 1, "rows": 1200})
        for line in renderer.render(Event("skipped", data), 0.0)
    ]
    assert "3 events not shown" in texts[0]
    assert "1,200 rows not shown" in texts[1]


@pytest.mark.parametrize(
    ("nanos", "text"),
    [(0, "0 ns"), (999, "999 ns"), (1000, "1 µs"), (1_234_567, "1.23 ms"), (-5_000_000, "-5 ms"),
     (120_000_000, "120 ms"), (65_400_000_000, "65.4 s"), ("9007199254740993", "9007199 s")],
)  # fmt: skip
def test_durations(nanos: Any, text: str) -> None:
    """In the unit in which they are handy."""
    assert values.duration(nanos) == text


def test_attributes_are_pairs() -> None:
    """Quoted where a space would divide them; order and duplicates are kept."""
    found = values.pairs('{"a":"b c","a":1,"n":{"x":[1,"y"]},"e":{},"t":true}')
    assert found == [
        ("a", '"b c"'), ("a", "1"), ("n", '{"x":[1,"y"]}'), ("e", "[]"), ("t", "true"),
    ]  # fmt: skip
    assert values.pairs("not json") == [("attributes", "not json")]
    assert values.pairs("[" * 100_000) == [("attributes", "[" * 100_000)]


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        """Whether it is one."""
        return True


@pytest.mark.parametrize(
    ("environment", "is_coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_are_for_terminals_that_want_them(
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    is_coloured: bool,  # noqa: FBT001 - a case
) -> None:
    """https://no-color.org: any text but an empty one."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    row = {"Timestamp": "2026-07-01T09:00:00.000000000Z", "Body": "y" * 200, "SeverityNumber": 17}
    event = Event("rows", {"table": "otel_logs", "rows": [row]})
    renderer = Renderer(is_short=True, columns=lambda: 80)
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        Screen(stream).print(renderer.render(event, 0.0))
    assert ("\x1b[31m" in terminal.getvalue()) is is_coloured
    assert "\x1b" not in pipe.getvalue()
    assert "y" * 200 in pipe.getvalue()
    assert "…" in terminal.getvalue()


@given(st.lists(st.integers(1, 9), max_size=40))
def test_events_are_whole_however_they_are_cut(cuts: list[int]) -> None:
    """Also within a character."""
    text = (
        ": hello\nretry: 1\n\n"
        'event: rows\nid: 7\ndata: {"a":"ü日"}\n\n: still here\n\nevent: state\ndata: {"b":1}\n\n'
        "data: no json\n\ndata: 5\n\n"
    ).encode()
    parser, start = Parser(), 0
    events: list[Event] = []
    for step in [*cuts, len(text)]:
        events += parser.feed(text[start : start + step])
        start += step
    assert events == [Event("rows", {"a": "ü日"}), Event("state", {"b": 1})]
    assert parser.last_id == "7"


def test_nan_among_points_hides_nothing() -> None:
    """It is neither the least nor the most of them, unless there is nothing else."""
    point = {"ServiceName": "shop", "MetricName": "m", "Timestamp": "2026-07-01T09:00:00Z"}

    def line(*values: float) -> str:
        points = [{**point, "Value": value} for value in values]
        (parts,) = metric_lines(points, is_short=False)
        return "".join(part.text for part in parts)

    nan = float("nan")
    assert "  1 to 3  3 points" in line(nan, 1.0, 3.0)
    assert "  nan  2 points" in line(nan, nan).lower()
