"""The tables by name: their folder, and their Arrow schema.

Types, order and field ids live in the decoder (``table_schema``), which is the only place
that can be wrong about them. Knows no Arrow library: schemas are PyCapsule objects.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from otlp2parquet.core.decoder import Schema
from otlp2parquet.core.decoder import table_schema as _table_schema

SCHEMA_VERSION: Final = 1

TABLE_FOLDERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "otel_logs": "logs",
        "otel_traces": "traces",
        "otel_metrics_gauge": "metrics/gauge",
        "otel_metrics_sum": "metrics/sum",
        "otel_metrics_histogram": "metrics/histogram",
        "otel_metrics_exponential_histogram": "metrics/exponential_histogram",
        "otel_metrics_summary": "metrics/summary",
    }
)
"""Every table, with the folder that stands for it at the top of a path."""


def table_schema(table: str) -> Schema:
    """The Arrow schema of a table, with ``__arrow_c_schema__``: ``pyarrow.schema(…)`` takes it.

    Exactly the types of the Parquet files; each field and list element carries its field id
    as ``PARQUET:field_id``. Raises ``ValueError`` for an unknown table.
    """
    if table not in TABLE_FOLDERS:
        raise ValueError(f"unknown table {table!r}: expected one of {', '.join(TABLE_FOLDERS)}")
    return _table_schema(table)
