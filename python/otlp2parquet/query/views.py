"""The views of a query: which files are rows of which view, and the columns of each.

Knows how paths are made (``core.layout``), the columns of the tables and the SQL of DuckDB. Must
not know a connection. A view always has all columns of its table, whatever its files have: a
column that a file lacks is null there, and a view without files has no rows.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

import pyarrow as pa

from otlp2parquet.core.column_notes import SQL_TYPES
from otlp2parquet.core.schema import TABLE_FOLDERS, table_schema
from otlp2parquet.listing import place_of

VIEWS: Final[Mapping[str, str]] = MappingProxyType(
    {table.removeprefix("otel_"): table for table in TABLE_FOLDERS}
)
"""Every view of one table, with the table."""

METRICS: Final = "metrics"
"""The view over the points of all metric types."""

PATH_COLUMNS: Final[Mapping[str, str]] = MappingProxyType(
    {"service": "VARCHAR", "date": "DATE", "hour": "BIGINT"}
)
"""What paths tell, the last columns of every view: files that a filter on them excludes are not
opened."""

_POINT_VIEWS: Final = tuple(view for view in VIEWS if view.startswith(f"{METRICS}_"))
_OVER_ALL: Final = re.compile(rf"{METRICS}(?!_)")
_TYPE: Final = "MetricType"
_OF_SOME_TYPES: Final = (
    "Value", "IntValue", "Count", "Sum", "AggregationTemporality", "IsMonotonic",
)  # fmt: skip
"""Columns of ``metrics`` that some types of metrics have; null for points of the others."""

# What stands in the folders of each layout, as DuckDB's hive columns, and what becomes of it.
OF_ROW: Final = "coalesce(\"ServiceName\", 'unknown-service') AS service"
HIVE: Final = {
    "service": ("'service': 'VARCHAR', 'date': 'DATE', 'hour': 'BIGINT'", "service, date, hour"),
    "hour": (
        "'date': 'DATE', 'hour': 'BIGINT'",
        f"{OF_ROW}, date, hour",
    ),
    "classic": (
        "'year': 'BIGINT', 'month': 'BIGINT', 'day': 'BIGINT', 'hour': 'BIGINT'",
        f"{OF_ROW}, make_date(year, month, day) AS date, hour",
    ),
}


@cache
def view_columns(view: str) -> Mapping[str, str]:
    """The columns of a view in order, each with its SQL type."""
    if view == METRICS:
        return MappingProxyType(_point_columns())
    schema = pa.schema(table_schema(VIEWS[view]))
    own = {field.name: _sql_type(field.type) for field in schema}
    return MappingProxyType({**own, **PATH_COLUMNS})


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"{SQL_TYPES[str(kind.value_type)]}[]"
    return SQL_TYPES[str(kind)]


def _point_columns() -> dict[str, str]:
    views = [view_columns(view) for view in _POINT_VIEWS]
    everywhere = {
        name: kind for name, kind in views[0].items() if all(name in one for one in views)
    }
    everything = {name: kind for one in views for name, kind in one.items()}
    columns: dict[str, str] = {}
    for name, kind in everywhere.items():
        if name == "MetricName":
            columns[_TYPE] = "VARCHAR"
        if name in PATH_COLUMNS:
            continue
        columns[name] = kind
    return {**columns, **{name: everything[name] for name in _OF_SOME_TYPES}, **PATH_COLUMNS}


def all_columns() -> Mapping[str, Mapping[str, str]]:
    """Every view with its columns."""
    return {view: view_columns(view) for view in (*VIEWS, METRICS)}


def named_views(sql: str) -> list[str]:
    """The views of one table that a text of SQL may be about; rather too many than too few.

    ``query`` and ``query_table`` of DuckDB make names of texts that are put together.
    """
    text = sql.lower()
    if "query" in text:
        return list(VIEWS)
    over_all = _OVER_ALL.search(text) is not None
    return [view for view in VIEWS if view in text or (over_all and view in _POINT_VIEWS)]


def layout_of(path: str) -> str:
    """Which of the layouts made the path of one of our files."""
    if "/year=" in path:
        return "classic"
    return "service" if "/service=" in path else "hour"


def definitions(files: Mapping[str, Iterable[str]], root: str) -> list[str]:
    """The statements that make all views, each over its ``files``, paths below ``root``."""
    made = [_definition(view, files.get(view, ()), root) for view in VIEWS]
    return [*made, _points_definition()]


def _definition(view: str, files: Iterable[str], root: str) -> str:
    by_layout: dict[str, list[str]] = {}
    for path in files:
        if place_of(path) is not None:
            by_layout.setdefault(layout_of(path), []).append(path)
    columns = view_columns(view)
    parts = [_read(columns, layout, paths, root) for layout, paths in sorted(by_layout.items())]
    if not parts:
        nothing = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in columns.items())
        parts = [f"SELECT {nothing} WHERE false"]
    return f'CREATE VIEW "{view}" AS ' + " UNION ALL ".join(parts)


def _read(columns: Mapping[str, str], layout: str, paths: list[str], root: str) -> str:
    hive, of_path = HIVE[layout]
    own = [name for name in columns if name not in PATH_COLUMNS]
    schema = ", ".join(
        f"'{name}': {{name: '{name}', type: '{columns[name]}', default_value: NULL}}"
        for name in own
    )
    listed = ", ".join(literal(f"{root}/{path}") for path in paths)
    selected = ", ".join(f'"{name}"' for name in own)
    # By name, so that only the first file is opened before a filter has excluded any.
    return (
        f"SELECT {selected}, {of_path} FROM read_parquet([{listed}], hive_partitioning = true, "
        f"hive_types = {{{hive}}}, schema = MAP {{{schema}}})"
    )


def _points_definition() -> str:
    parts = []
    for view in _POINT_VIEWS:
        there = view_columns(view)
        kind = view.removeprefix(f"{METRICS}_")
        selected = []
        for name, sql_type in view_columns(METRICS).items():
            if name == _TYPE:
                selected.append(f'{literal(kind)} AS "{name}"')
            else:
                selected.append(f'"{name}"' if name in there else f'NULL::{sql_type} AS "{name}"')
        parts.append(f'SELECT {", ".join(selected)} FROM "{view}"')
    return f'CREATE VIEW "{METRICS}" AS ' + " UNION ALL ".join(parts)


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
