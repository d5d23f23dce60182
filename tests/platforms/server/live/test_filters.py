"""Which rows a watcher wants, and what its query may say."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp2parquet.platforms.server.live.filters import (
    Filter,
    Row,
    read_query,
    severity_of,
    signal_of,
)


def row(service: str = "shop", severity: int = 9, **columns: object) -> Row:
    """A log record as it is shown."""
    return Row(json.dumps({"ServiceName": service, **columns}), service, severity)


def test_a_query_says_what_is_wanted() -> None:
    """Signals several or divided by commas, services several, levels by name or number."""
    wish = read_query("signal=logs,Traces&signal=metrics&service=a%2Cb&service=c&level=WARNING")
    assert wish.filter == Filter(
        frozenset({"logs", "traces", "metrics"}), frozenset({"a,b", "c"}), 13, ""
    )
    assert wish.recent == 500
    assert read_query("").filter == Filter()
    assert read_query("level=17&text=%C3%9Cber&recent=0").filter == Filter(severity=17, text="Über")
    assert read_query("recent=0").recent == 0


@pytest.mark.parametrize(
    "query",
    ["signal=log", "level=loud", "level=25", "level=-1", "recent=x", "recent=-1", "colour=red"],
)
def test_another_query_is_refused_with_what_was_expected(query: str) -> None:
    """Nobody looks at everything because a word was misspelt."""
    with pytest.raises(ValueError, match=r"found .* expected "):
        read_query(query)


@given(st.text(max_size=60))
def test_no_query_is_anything_but_a_wish_or_a_value_error(query: str) -> None:
    """Whatever stands behind the question mark."""
    try:
        read_query(query)
    except ValueError as error:
        assert len(str(error)) < 300  # noqa: PT017 - both ends are fine


@pytest.mark.parametrize(
    ("number", "text", "severity"),
    [
        (17, None, 17),
        (0, "Warning", 13),
        (0, "ERR", 17),
        (0, "odd", 0),
        (None, None, 0),
        (99, "", 24),
    ],
)
def test_a_severity_is_its_number_or_the_name_of_one(
    number: int | None, text: str | None, severity: int
) -> None:
    """Many senders fill only the text."""
    assert severity_of(number, text) == severity


def test_service_and_level_choose_rows() -> None:
    """The service exactly, the level from a severity on; spans have no severity."""
    rows = [row("shop", 9), row("shop", 17), row("Shop", 17), row("", 0)]
    assert list(Filter().choose("otel_logs", rows)) == rows
    assert Filter(severity=17).choose("otel_logs", rows) == rows[1:3]
    assert Filter(services=frozenset({"shop"})).choose("otel_logs", rows) == rows[:2]
    assert list(Filter(severity=17).choose("otel_traces", rows)) == rows
    assert list(Filter(frozenset({"traces"})).choose("otel_logs", rows)) == []
    assert list(Filter(frozenset({"metrics"})).choose("otel_metrics_sum", rows)) == rows


def test_a_text_is_looked_for_in_body_name_and_attributes() -> None:
    """In any case, also in attributes of resource and events; not in ids or other columns."""
    rows = [
        row(Body="Straße gesperrt"),
        row(SpanName="GET /STRASSE"),
        row(ResourceAttributes='{"road":"strasse"}'),
        row(EventsName=["a", "Strasse"]),
        row(ScopeName="strasse", TraceId="strasse"),
        row(Body="other"),
    ]
    assert Filter(text="strasse").choose("otel_logs", rows) == rows[:4]


def test_signals_of_tables() -> None:
    """Each table belongs to one signal."""
    assert [signal_of(name) for name in ("otel_logs", "otel_traces", "otel_metrics_gauge")] == [
        "logs",
        "traces",
        "metrics",
    ]
