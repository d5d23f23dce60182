"""How each column is laid out in Parquet: dictionary or plain, statistics or none.

Knows column names, nothing of files. The sets are what benchmarks/measure_parquet.py found;
run it again before changing them.
"""

from typing import Final

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


DICTIONARY_BYTES: Final = 128 << 20
"""The largest dictionary of a column chunk. Over this a column falls back to plain, and the same
large resource would be written for every row. One request brings at most 64 MiB, unless an
operator allows more, so no single value reaches it."""

BOUND_BYTES: Final = 4096
"""The longest bound that Parquet files have: pyarrow's own, which it does not ask for. Where one
of the two is longer there is neither."""
