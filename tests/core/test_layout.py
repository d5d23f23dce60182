"""Layouts: where the rows of one table, service and hour belong."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import PurePosixPath
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otlp2parquet import partition_path
from otlp2parquet.core.layout import LAYOUTS, Layout, service_folder, utc_hour

HOUR = datetime(2026, 7, 1, 9, tzinfo=UTC)
FOLDER = re.compile(
    r"(?:[A-Za-z0-9-]|%[0-9A-F]{2})(?:[A-Za-z0-9_.-]|%[0-9A-F]{2})*(?:~[0-9a-f]{32})?"
)

# Names that file systems, shells and readers have been seen to trip over.
hostile = st.one_of(
    st.text(),
    st.text(alphabet="./\\~%_-\x00 a:é\ud800"),
    st.text(alphabet="aé%/", min_size=30, max_size=200),
    st.sampled_from([".", "..", "../..", "/", "//", "_", "~", "a/../b", "unknown%2Dservice"]),
)


@pytest.mark.parametrize(
    ("table", "folder"),
    [
        ("otel_logs", "logs"),
        ("otel_traces", "traces"),
        ("otel_metrics_gauge", "metrics/gauge"),
        ("otel_metrics_sum", "metrics/sum"),
        ("otel_metrics_histogram", "metrics/histogram"),
        ("otel_metrics_exponential_histogram", "metrics/exponential_histogram"),
        ("otel_metrics_summary", "metrics/summary"),
    ],
)
def test_layouts(table: str, folder: str) -> None:
    """Signal, service and hour follow one another in Hive's form; ``service`` is the default."""
    expected = f"{folder}/service=checkout/date=2026-07-01/hour=9"
    assert partition_path(table, "checkout", HOUR) == expected
    assert partition_path(table, "checkout", HOUR, "service") == expected
    assert partition_path(table, "checkout", HOUR, "hour") == f"{folder}/date=2026-07-01/hour=9"
    classic = f"{folder}/checkout/year=2026/month=07/day=01/hour=09"
    assert partition_path(table, "checkout", HOUR, "classic") == classic


@pytest.mark.parametrize("service", [None, "", "unknown-service"])
def test_unknown_service(service: str | None) -> None:
    """Rows without a service share the folder of a service that is called so."""
    assert service_folder(service) == "unknown-service"


@pytest.mark.parametrize(
    ("service", "folder"),
    [
        ("Cart-v1.2_b", "Cart-v1.2_b"),
        ("a b", "a%20b"),
        ("a/b", "a%2Fb"),
        (".hidden", "%2Ehidden"),
        ("..", "%2E."),
        ("_spark", "%5Fspark"),
        ("%20", "%2520"),
        ("~", "%7E"),
        ("köln", "k%C3%B6ln"),
        ("a=b", "a%3Db"),
        ("\x00", "%00"),
    ],
)
def test_percent_encoding(service: str, folder: str) -> None:
    """Only the allow-list stands for itself, and never a dot or underscore at the front."""
    assert service_folder(service) == folder


def test_longest_uncut() -> None:
    """A name of exactly 128 encoded bytes is whole; with one more it is cut and hashed."""
    assert service_folder("a" * 128) == "a" * 128
    cut = service_folder("a" * 129)
    assert re.fullmatch(r"a{95}~[0-9a-f]{32}", cut)
    assert cut != service_folder("a" * 130)


@pytest.mark.parametrize("before", range(6))
def test_cut_keeps_characters_whole(before: int) -> None:
    """The cut never goes through the middle of a character, wherever it falls."""
    head = service_folder("a" * before + "é" * 100).partition("~")[0]
    assert re.fullmatch(r"a*(%C3%A9)+", head)


@given(hostile)
def test_readers_find_text(service: str) -> None:
    """A folder with its escapes undone is UTF-8: readers refuse a whole table where it is not."""
    unquote_to_bytes(service_folder(service)).decode()


def test_a_megabyte_costs_no_more() -> None:
    """Only the head of a long name is looked at, and its hash tells it from others."""
    long = "é" * 1_000_000
    assert service_folder(long) != service_folder(long + "x")
    assert len(service_folder(long)) <= 128


@given(st.lists(hostile, min_size=2, max_size=8, unique=True))
@example(["a" * 200, "a" * 199 + "b", "a" * 95 + "~"])
@example([".a", "%2Ea", "_a", "%5Fa"])
@example(["\ud800", "\ud801", "\N{REPLACEMENT CHARACTER}"])
def test_injective(services: list[str]) -> None:
    """Two services never share a folder (but for the two ways to have none)."""
    services = [service for service in services if service not in ("", "unknown-service")]
    assert len({service_folder(service) for service in services}) == len(services)


@pytest.mark.parametrize(("layout", "depth"), [("service", 5), ("hour", 4), ("classic", 7)])
@given(service=hostile)
def test_one_component_of_allowed_characters(layout: Layout, depth: int, service: str) -> None:
    """Whatever a service calls itself, it is one visible folder below the prefix."""
    folder = service_folder(service)
    assert FOLDER.fullmatch(folder)
    assert len(folder) <= 128
    path = PurePosixPath("root") / partition_path("otel_logs", service, HOUR, layout)
    assert path.parts[:2] == ("root", "logs")
    assert len(path.parts) == depth
    assert ".." not in path.parts


@given(hostile)
def test_short_names_can_be_read_back(service: str) -> None:
    """Below the limit the encoding is percent-encoding: decoding gives the name."""
    folder = service_folder(service)
    if service and "~" not in folder:
        assert unquote_to_bytes(folder) == service.encode("utf-8", "surrogatepass")


@given(
    st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2554, 1, 1)),  # noqa: DTZ001
    st.integers(-14 * 60, 14 * 60),
)
def test_hour_is_utc(moment: datetime, offset_minutes: int) -> None:
    """Any moment of an hour, in any time zone, names the same UTC hour."""
    utc = moment.replace(tzinfo=UTC)
    local = utc.astimezone(timezone(timedelta(minutes=offset_minutes)))
    path = partition_path("otel_logs", "s", local)
    assert path == f"logs/service=s/date={utc:%Y-%m-%d}/hour={utc.hour}"
    path = partition_path("otel_logs", "s", local, "classic")
    assert path == f"logs/s/year={utc:%Y}/month={utc:%m}/day={utc:%d}/hour={utc:%H}"
    assert utc_hour(local) == datetime(utc.year, utc.month, utc.day, utc.hour, tzinfo=UTC)


def test_naive_hour_is_refused() -> None:
    """An hour without a time zone could be any hour: it is an error, not a guess."""
    for layout in LAYOUTS:
        with pytest.raises(ValueError, match=r"hour 2026-07-01T09:00:00 has no time zone"):
            partition_path("otel_logs", "s", HOUR.replace(tzinfo=None), layout)


def test_unknown_table_is_refused() -> None:
    """A table that does not exist has no place; the message lists those that do."""
    with pytest.raises(ValueError, match=r"unknown table 'logs': expected one of otel_logs, "):
        partition_path("logs", "s", HOUR)


def test_unknown_layout_is_refused() -> None:
    """A layout that does not exist is no place either."""
    with pytest.raises(ValueError, match=r"unknown layout 'day': expected one of service, hour, c"):
        partition_path("otel_logs", "s", HOUR, "day")  # type: ignore[arg-type]


def test_a_catalogs_layout_leaves_out_the_service() -> None:
    """Its first part stands for the table's own folder; all services share a file of an hour."""
    hour = datetime(2026, 7, 1, 9, tzinfo=UTC)
    for service in ("checkout", None):
        path = partition_path("otel_metrics_sum", service, hour, "table")
        assert path == "otel_metrics_sum/date=2026-07-01/hour=9"
