"""How each column is laid out in Parquet: dictionary or plain, statistics or none.

Knows column names, nothing of files. The sets are what benchmarks/measure_parquet.py found;
run it again before changing them.
"""

from typing import Final

import pyarrow as pa

PLAIN_COLUMNS: Final = frozenset(
    {
        # Nearly every value differs: a dictionary costs time and an index, and saves nothing.
        # Measured on typical logs: 59 bytes and 0.64 µs a row, against 71 and 0.91 with
        # dictionaries everywhere, and 61 and 0.97 without any. Attributes of records, events
        # and links are here also where few differ: nothing bounds how many there are. Those of
        # data points repeat with every export of a series, and so have a dictionary.
        "Timestamp",
        "ObservedTimestamp",
        "Duration",
        "TraceId",
        "SpanId",
        "ParentSpanId",
        "Body",
        "LogAttributes",
        "SpanAttributes",
        "Exemplars",
        "EventsTimestamp",
        "EventsAttributes",
        "LinksTraceId",
        "LinksSpanId",
        "LinksAttributes",
        "Value",
        "IntValue",
        "Sum",
        "Min",
        "Max",
        "QuantileValues",
    }
)
"""Columns without a Parquet dictionary; every other column has one."""

STATISTICS_COLUMNS: Final = frozenset(
    {
        "Timestamp",
        "ServiceName",
        "SeverityNumber",
        "Duration",
        "StatusCode",
        "MetricName",
    }
)
"""Columns with minimum and maximum per row group and page: those by which people filter and
whose values lie together in a file, so that a reader can skip. A tenth of the writing time
goes to statistics when every column has them."""


def leaf_path(field: pa.Field) -> str:
    """The dotted path of a column's values in the Parquet schema."""
    if pa.types.is_list(field.type):
        return f"{field.name}.list.element"
    return str(field.name)


def dictionary_paths(schema: pa.Schema) -> list[str]:
    """Paths of the columns that are written with a dictionary."""
    return [leaf_path(field) for field in schema if field.name not in PLAIN_COLUMNS]


def statistics_paths(schema: pa.Schema) -> list[str]:
    """Paths of the columns that carry statistics."""
    return [leaf_path(field) for field in schema if field.name in STATISTICS_COLUMNS]
