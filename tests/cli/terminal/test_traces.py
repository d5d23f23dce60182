"""Trees of spans: when they are shown, and that every span is in one."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from otlp2parquet.cli.terminal.traces import (
    LONGEST_SECS,
    MAX_LINES,
    QUIET_SECS,
    QUIET_WITH_ROOT_SECS,
    Traces,
    trace_lines,
)

IDS = st.sampled_from(["a", "b", "c", "d", None])


def span(own: str | None = "a", parent: str | None = None, trace: str = "t", **more: Any) -> Any:
    """A span as the live view has it."""
    row = {"Timestamp": more.pop("at", "2026-01-01T00:00:00.000000000Z"), "SpanName": "name"}
    row |= {} if own is None else {"SpanId": own}
    row |= {} if parent is None else {"ParentSpanId": parent}
    row |= {"TraceId": trace} if trace else {}
    return row | {"Duration": 5} | more


def text_of(spans: list[Any], *, is_short: bool = False) -> list[str]:
    """The lines of a tree without their times."""
    lines = trace_lines(spans, is_short=is_short)
    return ["".join(part.text for part in line).partition("ns  ")[2] for line in lines]


@given(st.lists(st.tuples(IDS, IDS, st.integers(0, 9)), max_size=30))
def test_every_span_is_shown_once(links: list[tuple[str | None, str | None, int]]) -> None:
    """Whatever its parents are: missing, itself, each other, or of spans with one id."""
    spans = [
        span(own, parent, at=f"2026-01-01T00:00:0{at}.000000000Z", SpanName=f"<{number}>")
        for number, (own, parent, at) in enumerate(links)
    ]
    lines = text_of(spans)
    assert len(lines) == len(spans)
    assert sorted(line.partition("<")[2].partition(">")[0] for line in lines) == sorted(
        str(number) for number in range(len(spans))
    )


def test_children_stand_below_their_parents_in_their_order() -> None:
    """With the service of each, and why one failed."""
    spans = [
        span("b", "a", at="2026-01-01T00:00:02Z", SpanName="second", ServiceName="db"),
        span("c", "b", at="2026-01-01T00:00:03Z", SpanName="below",
             StatusCode="STATUS_CODE_ERROR", StatusMessage="refused"),
        span("a", at="2026-01-01T00:00:04Z", SpanName="root", ServiceName="shop"),
        span("d", "a", at="2026-01-01T00:00:01Z", SpanName="first"),
    ]  # fmt: skip
    assert text_of(spans) == [
        "shop  root  trace=t",
        "├─ -  first",
        "└─ db  second",
        "   └─ -  below  ERROR refused",
    ]


def test_the_reason_may_be_the_exception_that_was_recorded() -> None:
    """Where the status has no words."""
    failed = span(
        StatusCode="STATUS_CODE_ERROR",
        EventsName=["retry", "exception"],
        EventsAttributes=["{}", '{"exception.type":"KeyError","exception.message":"no such"}'],
    )
    assert text_of([failed]) == ["-  name  ERROR KeyError: no such  trace=t"]


def test_a_chain_of_any_depth_is_drawn_within_bounds() -> None:
    """Neither recursion nor columns end."""
    spans = [span(str(number), str(number - 1)) for number in range(5000)]
    lines = text_of(spans)
    assert len(lines) == 5000
    assert max(map(len, lines)) < 80


def test_on_a_screen_a_large_tree_is_cut_and_says_so() -> None:
    """Its first spans are shown."""
    spans = [span(str(number), "0" if number else None) for number in range(100)]
    lines = list(trace_lines(spans, is_short=True))
    assert len(lines) == MAX_LINES + 1
    assert f"{100 - MAX_LINES} more spans" in lines[-1][0].text


def test_a_trace_waits_for_quiet_and_less_with_its_root() -> None:
    """And never for ever: spans that keep coming are shown within a second."""
    traces = Traces()
    assert traces.add([span("b", "a", "without"), span("a", None, "with")], 10.0) == []
    assert [len(one) for one in traces.due(10.01 + QUIET_WITH_ROOT_SECS)] == [1]
    assert traces.due(10.0 + QUIET_SECS - 0.01) == []
    assert [one[0]["TraceId"] for one in traces.due(10.01 + QUIET_SECS)] == ["without"]
    for number in range(8):
        assert traces.due(20 + number * 0.1 - 0.01) == [] or number > 6
        traces.add([span("b", "a", "busy")], 20 + number * 0.1)
    assert LONGEST_SECS < 1
    assert len(traces.due(20 + LONGEST_SECS + 0.01)) <= 1


def test_spans_without_a_trace_belong_to_no_other() -> None:
    """Each is shown for itself."""
    traces = Traces()
    traces.add([span("a", None, ""), span("b", "a", "")], 0.0)
    assert [len(one) for one in traces.rest()] == [1, 1]


@given(
    st.lists(st.tuples(st.sampled_from("rstuv"), st.integers(1, 4)), max_size=30),
    st.integers(1, 10),
)
def test_what_waits_is_bounded_and_comes_out_once(steps: list[tuple[str, int]], most: int) -> None:
    """The oldest trace is shown before there are too many spans."""
    traces, shown, count = Traces(most), [], 0
    for moment, (trace, number) in enumerate(steps):
        spans = [span(str(count + one), "x", trace, number=count + one) for one in range(number)]
        count += number
        shown += traces.add(spans, moment * 0.05)
        shown += traces.due(moment * 0.05)
        assert traces._num_spans <= most  # noqa: SLF001 - the bound itself
    shown += traces.rest()
    assert sorted(one["number"] for spans in shown for one in spans) == list(range(count))
    assert all(len({one["TraceId"] for one in spans}) == 1 for spans in shown)
