"""The views: all columns whatever there is, every layout, and files that are never opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otlp2parquet import BatchBuilder, ParquetWriter
from otlp2parquet.core.layout import LAYOUTS
from otlp2parquet.core.schema import TABLE_FOLDERS, table_schema
from otlp2parquet.errors import QueryError
from otlp2parquet.query.views import METRICS, PATH_COLUMNS, VIEWS, all_columns, view_columns
from otlp2parquet.stores import LocalStore
from tests.support.questions import ask, write_all_tables
from tests.support.requests import logs_request
from tests.support.tables import ROWS, logs_batch

if TYPE_CHECKING:
    from pathlib import Path

    from otlp2parquet.core.layout import Layout

TEXT = st.text(max_size=20)
NAMES = st.sampled_from(["checkout", "ünï", ".hidden", "a/b", "it's", "x" * 300, ""]) | TEXT


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    """A file of every table."""
    folder = tmp_path_factory.mktemp("tables")
    write_all_tables(folder)
    return LocalStore(folder)


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_has_the_columns_of_its_table(view: str, store: LocalStore, tmp_path: Path) -> None:
    """In the order of the schema, then those of the path; with files and without any."""
    own = pa.schema(table_schema(VIEWS[view])).names
    for one in (store, LocalStore(tmp_path)):
        described = ask(one, f"DESCRIBE {view}")
        assert [row["column_name"] for row in described] == [*own, *PATH_COLUMNS]
        types = {row["column_name"]: row["column_type"] for row in described}
        assert types == dict(view_columns(view))
    assert ask(LocalStore(tmp_path), f"FROM {view}") == []
    assert len(ask(store, f"FROM {view}")) == ROWS


def test_the_view_over_all_points(store: LocalStore, tmp_path: Path) -> None:
    """It has each point once, with its type and what several types have."""
    counted = ask(store, "SELECT MetricType, count(*) n FROM metrics GROUP BY ALL ORDER BY ALL")
    types = ["exponential_histogram", "gauge", "histogram", "sum", "summary"]
    assert counted == [{"MetricType": name, "n": ROWS} for name in types]
    assert ask(LocalStore(tmp_path), "FROM metrics") == []
    for view in VIEWS:
        if not view.startswith(f"{METRICS}_"):
            continue
        both = [name for name in view_columns(METRICS) if name in view_columns(view)]
        columns = ", ".join(f'"{name}"' for name in both)
        kind = view.removeprefix(f"{METRICS}_")
        own = ask(store, f"SELECT {columns} FROM {view} ORDER BY ALL")
        assert own == ask(
            store, f"SELECT {columns} FROM metrics WHERE MetricType = '{kind}' ORDER BY ALL"
        )


def test_no_column_of_all_tables_is_missing_in_metrics() -> None:
    """What every type of metric has is in the view over all."""
    points = [set(view_columns(view)) for view in VIEWS if view.startswith(f"{METRICS}_")]
    assert set.intersection(*points) <= set(view_columns(METRICS))
    assert set(all_columns()) == {*VIEWS, METRICS}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12)
@given(
    records=st.lists(st.tuples(NAMES, TEXT), min_size=1, max_size=4),
    layout=st.sampled_from(LAYOUTS),
)
def test_select_star_is_what_the_files_hold(
    records: list[tuple[str, str]],
    layout: Layout,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Every value of every row, as pyarrow reads them, whatever services and layouts there are."""
    folder = tmp_path_factory.mktemp("drawn") / "da[t]a*?"
    writer = ParquetWriter(folder, layout=layout)
    for service, text in records:
        builder = BatchBuilder()
        builder.append(logs_request(2, service, blob=text or "-"), "logs")
        for batch in builder.finish():
            writer.write(batch)
    files = sorted(folder.rglob("*.parquet"))
    expected = pa.concat_tables(pq.ParquetFile(path).read() for path in files)
    found = ask(LocalStore(folder), "FROM logs")
    own = [{name: row[name] for name in expected.schema.names} for row in found]
    key = lambda row: tuple(map(str, row.values()))  # noqa: E731
    assert sorted(own, key=key) == sorted(expected.to_pylist(), key=key)
    for row in found:
        assert str(row["date"]) == f"{row['Timestamp']:%Y-%m-%d}"
        assert row["hour"] == row["Timestamp"].hour
        name = row["ServiceName"] or "unknown-service"
        if layout != "service" or len(name.encode()) < 40:
            assert row["service"] == name


def test_all_layouts_in_one_storage(tmp_path: Path) -> None:
    """Whoever changes storage.layout can still ask about all that there is."""
    for layout in LAYOUTS:
        ParquetWriter(tmp_path, layout=layout).write(logs_batch(3, service=layout))
    rows = ask(
        LocalStore(tmp_path),
        "SELECT service, hour, count(*) n FROM logs WHERE date = '2026-07-01' GROUP BY ALL "
        "ORDER BY ALL",
    )
    assert rows == [{"service": name, "hour": 9, "n": 3} for name in sorted(LAYOUTS)]


@pytest.mark.parametrize(
    ("layout", "excluding"),
    [
        ("service", "service = 'other'"),
        *(
            (layout, excluding)
            for layout in LAYOUTS
            for excluding in ("date > '2026-07-01'", "hour = 8", "date = '2026-06-30' AND hour = 9")
        ),
    ],
)
def test_files_that_a_path_excludes_are_not_opened(
    layout: Layout, excluding: str, tmp_path: Path
) -> None:
    """A file that is none is an error only for who needs it."""
    stored = ParquetWriter(tmp_path, layout=layout).write(logs_batch(1))
    path = tmp_path / stored.path
    # DuckDB opens the first one to learn what is in files.
    path.with_name("zzz.parquet").write_bytes(b"none")
    store = LocalStore(tmp_path)
    assert ask(store, f"SELECT Body FROM logs WHERE {excluding}") == []
    with pytest.raises(QueryError, match=r"zzz\.parquet"):
        ask(store, "SELECT Body FROM logs WHERE date = '2026-07-01'")


def test_columns_that_a_file_lacks_or_has_otherwise(tmp_path: Path) -> None:
    """Files of other versions are read by the names of their columns."""
    stored = ParquetWriter(tmp_path).write(logs_batch(1))
    rows = pq.ParquetFile(tmp_path / stored.path).read()
    other = rows.drop_columns(["Body", "EventName"]).append_column("New", pa.array([1]))
    at = other.schema.get_field_index("SeverityNumber")
    wider = other.column("SeverityNumber").cast(pa.int64())
    other = other.set_column(at, "SeverityNumber", wider).select(reversed(other.schema.names))
    for name in ("0", "z"):
        pq.write_table(other, (tmp_path / stored.path).with_name(f"{name}.parquet"))
    found = ask(LocalStore(tmp_path), "SELECT Body, SeverityNumber FROM logs ORDER BY Body")
    body = rows["Body"][0].as_py()
    assert [row["Body"] for row in found] == [body, None, None]
    assert {row["SeverityNumber"] for row in found} == {9}


def test_what_is_no_file_of_ours_is_passed_by(tmp_path: Path) -> None:
    """As ``ls`` does: other names, other places, files that are still being written."""
    stored = ParquetWriter(tmp_path).write(logs_batch(1))
    place = (tmp_path / stored.path).parent
    for path in (place / ".x.parquet", place / "notes.txt", tmp_path / "logs" / "mine.parquet"):
        path.write_bytes(b"nothing")
    assert len(ask(LocalStore(tmp_path), "FROM logs")) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) n FROM Logs",
        'SELECT count(*) n FROM "logs"',
        "SELECT count(*) n FROM query_table('lo' || 'gs')",
        "CREATE VIEW mine AS FROM logs; SELECT count(*) n FROM mine",
    ],
)
def test_however_a_view_is_named(sql: str, store: LocalStore) -> None:
    """Only what a statement may be about is listed, and that is never too little."""
    assert ask(store, sql) == [{"n": ROWS}]


def test_only_what_is_asked_about_is_listed(store: LocalStore, tmp_path: Path) -> None:
    """A bucket has many objects."""

    class Counted(LocalStore):
        listed: list[str] = []  # noqa: RUF012 - of this test alone

        def list(self, prefix: str = ""):  # type: ignore[no-untyped-def]  # noqa: ANN202
            self.listed.append(prefix)
            return super().list(prefix)

    ask(Counted(tmp_path), "SELECT 1 FROM traces, metrics_sum")
    assert Counted.listed == ["traces", "metrics/sum"]
    Counted.listed.clear()
    ask(Counted(tmp_path), "FROM metrics")
    assert set(Counted.listed) == {one for one in TABLE_FOLDERS.values() if "/" in one}
    assert store.root != str(tmp_path)
