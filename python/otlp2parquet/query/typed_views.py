"""Views for a DuckDB of one's own: the statements that make them, with attributes as columns.

Knows how paths are made, the columns of the tables and the SQL of DuckDB 1.4 and newer. Must not
know a connection, nor which files there are.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from otlp2parquet.core.schema import TABLE_FOLDERS
from otlp2parquet.query.views import HIVE, OF_ROW, VIEWS, literal, view_columns

TYPES: Final = ("string", "int", "double", "bool")
"""What an attribute can become; the first unless another is said."""

_COLUMNS: Final = {
    "service": "*",
    "hour": f"*,\n  {OF_ROW}",
    "classic": f"* EXCLUDE (year, month, day),\n  {OF_ROW},\n  make_date(year, month, day) AS date",
}
"""All columns of a file and of its path in each layout, and what makes the paths' columns."""

LAYOUTS: Final = tuple(_COLUMNS)

_SQL: Final = {"int": "BIGINT", "double": "DOUBLE", "bool": "BOOLEAN"}
_JSON: Final = {
    "int": "'BIGINT', 'UBIGINT'",
    "double": "'DOUBLE', 'BIGINT', 'UBIGINT'",
    "bool": "'BOOLEAN'",
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute that becomes a column of its own name; ``kind`` is one of ``TYPES``."""

    name: str
    kind: str = TYPES[0]
    is_of_resource: bool = False


def parse_attribute(text: str, *, is_of_resource: bool = False) -> Attribute:
    """``NAME`` or ``NAME:TYPE``; a colon before anything that is no type belongs to the name.

    Raises ``ValueError`` without a name.
    """
    name, colon, kind = text.rpartition(":")
    if not colon or kind not in TYPES:
        name, kind = text, TYPES[0]
    if not name:
        raise ValueError(f"{text!r} names no attribute, expected NAME or NAME:TYPE")
    return Attribute(name, kind, is_of_resource)


def typed_view(view: str, files: str, layout: str, attributes: Iterable[Attribute] = ()) -> str:
    """The statement that makes a view of one table below ``files``, a folder or a URL.

    It has the table's columns, ``service``, ``date`` and ``hour``, and the attributes; an attribute
    that a row lacks, or has with a value of another kind, is null in it. Raises ``ValueError`` when
    two columns would have one name.
    """
    types, _ = HIVE[layout]
    taken = {name.lower() for name in view_columns(view)}
    lines = [f"  {_COLUMNS[layout]}"]
    for attribute in attributes:
        if attribute.name.lower() in taken:
            raise ValueError(f"the view {view} has a column {attribute.name!r} already")
        taken.add(attribute.name.lower())
        column = "ResourceAttributes" if attribute.is_of_resource else _attributes_of(view)
        lines.append(f"  {_value(column, attribute)} AS {_quoted(attribute.name)}")
    pattern = literal(f"{files.rstrip('/')}/{TABLE_FOLDERS[VIEWS[view]]}/**/*.parquet")
    selected = ",\n".join(lines)
    return (
        f"CREATE OR REPLACE VIEW {view} AS\nSELECT\n{selected}\nFROM read_parquet(\n  {pattern},\n"
        f"  hive_partitioning = true, hive_types = {{{types}}}, union_by_name = true\n);"
    )


def _attributes_of(view: str) -> str:
    return {"logs": "LogAttributes", "traces": "SpanAttributes"}.get(view, "Attributes")


def _value(column: str, attribute: Attribute) -> str:
    """An attribute as its type. A double that JSON has no number for is an object of its own."""
    path = literal(_pointer(attribute.name))
    text = f"json_extract_string({column}, {path})"
    if attribute.kind == TYPES[0]:
        return text
    cast = f"TRY_CAST({text} AS {_SQL[attribute.kind]})"
    value = f"CASE WHEN json_type({column}, {path}) IN ({_JSON[attribute.kind]}) THEN {cast}"
    if attribute.kind == "double":
        special = literal(_pointer(attribute.name) + "/doubleValue")
        value += f" ELSE TRY_CAST(json_extract_string({column}, {special}) AS DOUBLE)"
    return f"{value} END"


def _pointer(name: str) -> str:
    """A JSON pointer (RFC 6901): there is no character that it cannot name."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
