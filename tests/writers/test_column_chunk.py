"""How columns become pages: where they are cut, when they have a dictionary, what indexes say."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from otlp2parquet.core.pure.schema import TABLES
from otlp2parquet.writers import ParquetSettings, encode_pyarrow
from otlp2parquet.writers.columns import PLAIN_COLUMNS, STATISTICS_COLUMNS
from otlp2parquet.writers.encode_stdlib import write_parquet
from tests.support.parquet_pages import GZIP, UNCOMPRESSED, Chunk, read_chunks, read_footer
from tests.support.plain import arrow_batch, made_up_batch, plain_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

LOGS, TRACES = "otel_logs", "otel_traces"
PLAIN, RLE, RLE_DICTIONARY = 0, 3, 8


def rows_of(table: str, count: int, **given: Sequence[Any]) -> list[list[Any]]:
    """Rows of a table in which only the given columns say anything."""
    usual = {"string": "", "double": 0.0, "bool": False}
    columns: list[list[Any]] = []
    for column in TABLES[table]:
        if column.name in given:
            columns.append(list(given[column.name]))
        elif column.is_list:
            columns.append([[]] * count)
        else:
            columns.append([None if column.is_nullable else usual.get(column.type, 0)] * count)
    return columns


def encoded(table: str, batch: list[list[Any]], settings: ParquetSettings | None = None) -> bytes:
    """A file, of which pyarrow reads the rows that were written."""
    sink = io.BytesIO()
    write_parquet(table, [batch], sink, settings or ParquetSettings("none"), {})
    content = sink.getvalue()
    found = pq.ParquetFile(io.BytesIO(content)).read().combine_chunks()
    found.validate(full=True)
    (read,) = found.to_batches()
    assert repr(plain_columns(read)) == repr(batch)
    return content


def chunk_of(content: bytes, name: str) -> Chunk:
    """The chunk of a column in the only row group."""
    (chunks,) = read_chunks(content)
    (chunk,) = (chunk for chunk in chunks if chunk.path.split(".")[0] == name)
    return chunk


def cut(monkeypatch: pytest.MonkeyPatch, *, rows: int = 20_000, size: int = 1 << 20) -> None:
    """Other bounds of pages."""
    monkeypatch.setattr("otlp2parquet.writers.column_chunk.PAGE_ROWS", rows)
    monkeypatch.setattr("otlp2parquet.writers.column_chunk.PAGE_BYTES", size)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [(1, [1]), (9, [9]), (10, [10]), (11, [10, 1]), (20, [10, 10]), (21, [10, 10, 1])],
)
@pytest.mark.parametrize("table", TABLES)
def test_pages_have_so_many_rows(
    table: str, rows: int, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page ends after its most rows, whatever lists hold; the offset index tells the rows."""
    cut(monkeypatch, rows=10)
    for seed in range(2):
        content = encoded(table, made_up_batch(table, rows, rows + seed))
        (chunks,) = read_chunks(content)
        for column, chunk in zip(TABLES[table], chunks, strict=True):
            assert len(chunk.data_pages) == len(expected)
            if not column.is_list:
                assert [page.num_values for page in chunk.data_pages] == expected
            if len(expected) == 1:
                assert chunk.offset_index is None
                continue
            assert chunk.offset_index is not None
            assert chunk.offset_index[1] == [
                {1: page.offset, 2: page.size, 3: 10 * number}
                for number, page in enumerate(chunk.data_pages)
            ]


def test_pages_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """No page is larger unless it has one row; rows of a usual size fill most of a page."""
    cut(monkeypatch, size=1000)
    bodies = ["b" * 46] * 100
    content = encoded(LOGS, rows_of(LOGS, 100, Body=bodies))
    pages = chunk_of(content, "Body").data_pages
    # Nullable: levels take some bytes beside the values.
    assert all(500 < len(page.content) <= 1000 + 8 for page in pages[:-1])
    large = ["x"] * 50 + ["y" * 5000] + ["z"] * 149
    pages = chunk_of(encoded(LOGS, rows_of(LOGS, 200, Body=large)), "Body").data_pages
    assert [page.num_values for page in pages if len(page.content) > 1008] == [1]
    assert len(pages) < 20, "one large row makes no small pages of all that come after it"


def test_pages_of_lists_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are cut between rows: a list is never in two pages."""
    cut(monkeypatch, size=1000)
    lists = [[f"{row}-{item}" * 3 for item in range(row % 9)] for row in range(200)]
    batch = rows_of(TRACES, 200, EventsAttributes=lists)
    chunk = chunk_of(encoded(TRACES, batch), "EventsAttributes")
    assert len(chunk.data_pages) > 5
    assert chunk.offset_index is not None
    firsts = [location[3] for location in chunk.offset_index[1]]
    levels = [max(1, len(items)) for items in lists]
    assert [page.num_values for page in chunk.data_pages] == [
        sum(levels[first:end]) for first, end in zip(firsts, [*firsts[1:], 200], strict=True)
    ]


def test_row_groups() -> None:
    """None is larger than asked for, and each has sizes and offsets of its own."""
    batch = made_up_batch(TRACES, 25, 1)
    content = encoded(TRACES, batch, ParquetSettings("gzip", row_group_rows=10))
    footer = read_footer(content)
    assert [group[3] for group in footer[4]] == [10, 10, 5]
    assert [group[7] for group in footer[4]] == [0, 1, 2]
    position = 4
    for group, chunks in zip(footer[4], read_chunks(content), strict=True):
        assert group[5] == position
        for chunk in chunks:
            raw = sum(page.size for page in chunk.pages)
            assert chunk.pages[0].offset == position
            assert chunk.metadata[7] == raw
            assert chunk.metadata[9] == chunk.data_pages[0].offset
            assert chunk.metadata[5] == sum(page.num_values for page in chunk.data_pages)
            position += raw
        assert group[2] == sum(chunk.metadata[6] for chunk in chunks)
        assert group[6] == sum(chunk.metadata[7] for chunk in chunks)


@pytest.mark.parametrize(
    ("values", "entries"),
    [
        (["a"], None),
        (["a", "b"], None),
        (["a", "a"], 1),
        (["a", "b", "a"], None),
        (["a", "b"] * 2, 2),
        ([None] * 5, None),
        ([None, "a"], 1),
        ([f"n{number}" for number in range(255)] * 2 + [None], 255),
        ([f"n{number}" for number in range(256)] * 2 + [None], 256),
        ([f"n{number}" for number in range(257)] * 2 + [None], 257),
        ([f"n{number}" for number in range(70_000)] * 2 + [None], 70_000),
        ([f"n{number}" for number in range(300)] + ["n299"], None),
    ],
)
def test_dictionaries_where_they_pay(values: list[Any], entries: int | None) -> None:
    """There is one if its entries are there twice, on the whole, however many there are."""
    content = encoded(LOGS, rows_of(LOGS, len(values), SeverityText=values))
    chunk = chunk_of(content, "SeverityText")
    if entries is None:
        assert 11 not in chunk.metadata
        assert chunk.metadata[2] == [PLAIN, RLE]
        assert chunk.metadata[13] == [{1: 0, 2: PLAIN, 3: len(chunk.pages)}]
    else:
        assert chunk.metadata[11] == chunk.pages[0].offset
        assert chunk.pages[0].num_values == entries
        assert chunk.metadata[2] == [PLAIN, RLE, RLE_DICTIONARY]
        pages = len(chunk.data_pages)
        assert chunk.metadata[13] == [{1: 2, 2: PLAIN, 3: 1}, {1: 0, 2: RLE_DICTIONARY, 3: pages}]


def test_dictionaries_that_grow_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a column is plain: readers would keep all of a dictionary in memory."""
    texts = ["a" * 100, "b" * 100] * 10
    for limit, has_dictionary in ((208, True), (207, False)):
        monkeypatch.setattr("otlp2parquet.writers.columns.DICTIONARY_BYTES", limit)
        content = encoded(LOGS, rows_of(LOGS, 20, EventName=texts))
        assert (11 in chunk_of(content, "EventName").metadata) == has_dictionary


@pytest.mark.parametrize("table", TABLES)
def test_columns_that_have_none(table: str) -> None:
    """The same columns as with pyarrow have a dictionary, and statistics."""
    count = 60
    usual = {"string": "a", "double": 1.5, "bool": True}
    row = [usual.get(column.type, 1) for column in TABLES[table]]
    batch = [
        [[value] if column.is_list else value] * count
        for column, value in zip(TABLES[table], row, strict=True)
    ]
    (chunks,) = read_chunks(encoded(table, batch))
    sink = io.BytesIO()
    rows = encode_pyarrow.arrow_table(table, [arrow_batch(table, batch)])
    others = encode_pyarrow.write_parquet(rows, sink, ParquetSettings("none"), {}).row_group(0)
    for place, (column, chunk) in enumerate(zip(TABLES[table], chunks, strict=True)):
        other = others.column(place)
        assert (11 in chunk.metadata) == other.has_dictionary_page
        assert (11 in chunk.metadata) == (
            column.name not in PLAIN_COLUMNS and column.type != "bool"
        )
        assert (12 in chunk.metadata) == other.is_stats_set == (column.name in STATISTICS_COLUMNS)


def test_bits_of_doubles() -> None:
    """A dictionary keeps zeros of both signs apart, and has one entry for all NaN of one kind."""
    lists = [[0.0, -0.0, float("nan"), None], [-0.0, 0.0, float("nan")]] * 3
    content = encoded("otel_metrics_summary", rows_of("otel_metrics_summary", 6, Quantiles=lists))
    assert chunk_of(content, "Quantiles").pages[0].num_values == 3


def test_page_indexes_are_pyarrows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where both encoders cut alike, all that a column index says is the same.

    Pages of nulls, rising, falling, unordered and equal bounds, bounds that are too long.
    """
    everywhere = frozenset(column.name for column in TABLES[LOGS])
    monkeypatch.setattr("otlp2parquet.writers.columns.STATISTICS_COLUMNS", everywhere)
    monkeypatch.setattr("otlp2parquet.writers.encode_pyarrow.STATISTICS_COLUMNS", everywhere)
    rows, page = 61_000, 20_000
    batch = rows_of(
        LOGS,
        rows,
        Timestamp=range(rows),
        TraceFlags=range(rows, 0, -1),
        SeverityNumber=[number // page % 2 for number in range(rows)],
        Body=[None if number // page == 1 else f"{number:09}" for number in range(rows)],
        EventName=["é" * 2049 if number == 45_000 else "e" for number in range(rows)],
        BodyType=["a" if number // page == 2 else None for number in range(rows)],
        SeverityText=[("b", None, "b", "a")[number // page] for number in range(rows)],
    )
    content = encoded(LOGS, batch)
    sink = io.BytesIO()
    table = encode_pyarrow.arrow_table(LOGS, [arrow_batch(LOGS, batch)])
    encode_pyarrow.write_parquet(table, sink, ParquetSettings("none"), {})
    (chunks,), (others,) = read_chunks(content), read_chunks(sink.getvalue())
    orders = set()
    for chunk, other in zip(chunks, others, strict=True):
        assert chunk.column_index == other.column_index, chunk.path
        if chunk.column_index is not None:
            orders.add(chunk.column_index[4])
    assert chunk_of(content, "EventName").column_index is None
    assert orders == {0, 1, 2}


@pytest.mark.parametrize(("rows", "codec"), [(7, UNCOMPRESSED), (8, GZIP)])
def test_small_chunks_are_not_compressed(rows: int, codec: int) -> None:
    """Below 64 bytes it is not tried, also where it would make a chunk smaller."""
    content = encoded(LOGS, rows_of(LOGS, rows), ParquetSettings("gzip"))
    assert chunk_of(content, "Timestamp").metadata[4] == codec
