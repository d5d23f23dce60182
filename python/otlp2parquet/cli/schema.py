"""``otlp2parquet schema``: the tables as people, programs and databases read them.

Knows how to print a schema; what is in it comes from the decoder and ``core.schema``.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import click
import pyarrow as pa

from otlp2parquet.cli import CONTEXT_SETTINGS
from otlp2parquet.core import SIGNALS
from otlp2parquet.core.column_notes import COLUMN_NOTES, SQL_TYPES
from otlp2parquet.core.schema import SCHEMA_VERSION, TABLE_FOLDERS, table_schema
from otlp2parquet.query.typed_views import LAYOUTS, TYPES, Attribute, parse_attribute, typed_view

_FIELD_ID: Final = b"PARQUET:field_id"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``element_id`` is the field id of a list's items, ``None`` if not a list."""

    id: int
    name: str
    type: str
    nullable: bool
    element_id: int | None
    note: str


def columns(table: str) -> list[Column]:
    """The columns of a table in order."""
    return [_column(field) for field in pa.schema(table_schema(table))]


def _column(field: pa.Field) -> Column:
    is_list = pa.types.is_list(field.type)
    element = field.type.value_field if is_list else None
    return Column(
        id=int(field.metadata[_FIELD_ID]),
        name=field.name,
        type=str(field.type) if element is None else f"list<{element.type}>",
        nullable=field.nullable,
        element_id=None if element is None else int(element.metadata[_FIELD_ID]),
        note=COLUMN_NOTES[field.name],
    )


def _as_text(table: str) -> str:
    """Two lines a column, neither wider than 80: what it is, and what it holds."""
    shown = columns(table)
    names = max(len(column.name) for column in shown)
    types = max(len(column.type) for column in shown)
    lines = [table]
    for column in shown:
        required = "" if column.nullable else "required"
        lines += [
            f"{column.id:>3} {column.name:<{names}}  {column.type:<{types}}  {required}".rstrip(),
            f"    {column.note}",
        ]
    return "\n".join(lines)


def tables_of(name: str) -> list[str]:
    """The tables that a name stands for: a table, without ``otel_`` too, or a signal; or none."""
    if name in TABLE_FOLDERS:
        return [name]
    if f"otel_{name}" in TABLE_FOLDERS:
        return [f"otel_{name}"]
    return [
        table for table in TABLE_FOLDERS if name in SIGNALS and table.startswith(f"otel_{name}")
    ]


class _Tables(click.ParamType[list[str]]):
    """A table or a signal."""

    name = "table"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[str]:
        if isinstance(value, list):
            return value
        tables = tables_of(str(value).lower())
        if not tables:
            known = ", ".join([*SIGNALS, *TABLE_FOLDERS])
            self.fail(f"{value!r} is no table and no signal, expected one of {known}", param, ctx)
        return tables


def as_json(tables: list[str]) -> str:
    """One object: the schema version, and each table's columns."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "tables": {table: [asdict(column) for column in columns(table)] for table in tables},
    }
    return json.dumps(document, indent=2)


def _as_arrow(table: str) -> str:
    schema = pa.schema(table_schema(table))
    return f"# {table}\n{schema.to_string(truncate_metadata=False)}"


def _as_sql(table: str) -> str:
    lines = ",\n".join(f"  {definition}" for definition in _sql_columns(table))
    return f"CREATE TABLE {table} (\n{lines}\n);"


def _sql_columns(table: str) -> Iterator[str]:
    for column in columns(table):
        item = column.type.removeprefix("list<").removesuffix(">")
        sql_type = SQL_TYPES[item] + ("[]" if column.element_id is not None else "")
        yield f'"{column.name}" {sql_type}' + ("" if column.nullable else " NOT NULL")


def _as_views(
    tables: list[str], files: str, layout: str, attributes: list[Attribute]
) -> Iterator[str]:
    """Statements for DuckDB. In a folder that is there, a table without files gets none.

    Because DuckDB makes no view over files of which there are none.
    """
    folder = Path(files)
    for table in tables:
        view = table.removeprefix("otel_")
        below = folder / TABLE_FOLDERS[table]
        if folder.is_dir() and next(below.rglob("*.parquet"), None) is None:
            yield f"-- {view}: there are no files in {below} yet"
        else:
            yield typed_view(view, files, layout, attributes)


class _Attribute(click.ParamType[Attribute]):
    """An attribute that becomes a column."""

    name = "attribute"

    def __init__(self, *, is_of_resource: bool) -> None:
        self._is_of_resource = is_of_resource

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Attribute:
        try:
            return parse_attribute(str(value), is_of_resource=self._is_of_resource)
        except ValueError as error:
            self.fail(str(error), param, ctx)


_FORMATS: Final = {"text": _as_text, "arrow": _as_arrow, "sql": _as_sql}


@click.command(context_settings=CONTEXT_SETTINGS)
@click.argument("tables", required=False, type=_Tables(), metavar="[TABLE|SIGNAL]")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "arrow", "sql", "views"]),
    default="text",
    show_default=True,
    help="text for people; json; arrow as pyarrow prints it, with field ids; sql to create the "
    "table in DuckDB; views to read the files in DuckDB by the names logs, traces, metrics_sum, …",
)
@click.option(
    "--files",
    metavar="FOLDER|URL",
    default="data",
    show_default=True,
    help="Where the files of the views are.",
)
@click.option(
    "--layout",
    type=click.Choice(LAYOUTS),
    default="service",
    show_default=True,
    help="The storage.layout with which those files were written.",
)
@click.option(
    "--attribute",
    "attributes",
    metavar="NAME[:TYPE]",
    multiple=True,
    type=_Attribute(is_of_resource=False),
    help=f"An attribute of records, spans or points that becomes a column of the views, as "
    f"{', '.join(TYPES[:-1])} or {TYPES[-1]}; may be given several times.",
)
@click.option(
    "--resource-attribute",
    "resource_attributes",
    metavar="NAME[:TYPE]",
    multiple=True,
    type=_Attribute(is_of_resource=True),
    help="The same for an attribute of the resource.",
)
def schema(  # noqa: PLR0917 - click calls it by names
    tables: list[str] | None,
    form: str,
    files: str,
    layout: str,
    attributes: tuple[Attribute, ...],
    resource_attributes: tuple[Attribute, ...],
) -> None:
    """Show the columns of a table, of a signal's tables, or of all.

    SIGNAL is logs, traces or metrics. TABLE is otel_logs, otel_traces, otel_metrics_gauge,
    otel_metrics_sum, otel_metrics_histogram, otel_metrics_exponential_histogram or
    otel_metrics_summary; otel_ may be left out.
    """
    tables = tables or list(TABLE_FOLDERS)
    chosen = [*attributes, *resource_attributes]
    if form == "views":
        try:
            click.echo("\n\n".join(_as_views(tables, files, layout, chosen)))
        except ValueError as error:
            raise click.UsageError(str(error)) from error
    elif chosen:
        raise click.UsageError("only views have attributes as columns: --format views")
    elif form == "json":
        click.echo(as_json(tables))
    else:
        click.echo("\n\n".join(_FORMATS[form](one) for one in tables))
