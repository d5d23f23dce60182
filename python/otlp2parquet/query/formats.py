"""Answers as CSV, JSON and Markdown, a piece of text at a time.

Knows Arrow's columns and each format's escapes. Must not know where the text goes; who writes to
a terminal says so, and values are then written out harmlessly.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa

from otlp2parquet.query.values import harmless, json_text, plain

_CSV_QUOTED: Final = re.compile(r'[",\r\n]|\A\s|\s\Z|\A\Z')
_MARKDOWN: Final = re.compile(r"[\\`*\[\]<>|~&#]|(?<!\w)_|_(?!\w)")


def rows_of(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    """The rows of a batch, each a tuple of Python's values."""
    return zip(*map(_values, batch.columns), strict=True)


def _values(column: pa.Array) -> list[Any]:
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return _as_text(column)
    try:
        values: list[Any] = column.to_pylist(maps_as_pydicts="lossy")
    except (OverflowError, ValueError):  # infinity, and years that Python has no date for
        return _as_text(column)
    return values


def _as_text(column: pa.Array) -> list[Any]:
    values: list[Any] = column.cast(pa.string()).to_pylist()
    return values


def as_csv(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], *, to_terminal: bool = False
) -> Iterator[str]:
    """RFC 4180 with a line of names; null is nothing, an empty text ``""``."""
    shown = harmless if to_terminal else str

    def line(cells: Iterable[str | None]) -> str:
        return ",".join("" if cell is None else _csv_cell(shown(cell)) for cell in cells) + "\n"

    yield line(schema.names)
    for batch in batches:
        yield "".join(
            line(None if value is None else plain(value) for value in row) for row in rows_of(batch)
        )


def _csv_cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _CSV_QUOTED.search(text) else text


def as_json(
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    *,
    to_terminal: bool = False,  # noqa: ARG001 - always harmless
) -> Iterator[str]:
    """One array with an object a row, a row a line."""
    before = "[\n"
    for batch in batches:
        for text in _objects(schema, batch):
            yield before + text
            before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def as_ndjson(
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    *,
    to_terminal: bool = False,  # noqa: ARG001 - always harmless
) -> Iterator[str]:
    """An object a row, a row a line."""
    for batch in batches:
        yield "".join(f"{text}\n" for text in _objects(schema, batch))


def _objects(schema: pa.Schema, batch: pa.RecordBatch) -> Iterator[str]:
    names = [f"{json_text(name)}:" for name in schema.names]
    for row in rows_of(batch):
        members = (name + json_text(value) for name, value in zip(names, row, strict=True))
        yield "{" + ",".join(members) + "}"


def as_markdown(
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    *,
    to_terminal: bool = False,  # noqa: ARG001 - always harmless
) -> Iterator[str]:
    """A table of GitHub's Markdown; values are text there, never markup. Null is nothing."""
    yield _markdown_line(map(_markdown_cell, schema.names))
    yield _markdown_line("--:" if is_number(field.type) else "---" for field in schema)
    for batch in batches:
        yield "".join(
            _markdown_line("" if value is None else _markdown_cell(plain(value)) for value in row)
            for row in rows_of(batch)
        )


def _markdown_line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |\n"


def _markdown_cell(text: str) -> str:
    lines = text.replace("\r\n", "\n").split("\n")
    return "<br>".join(_MARKDOWN.sub(r"\\\g<0>", harmless(line)) for line in lines)


def is_number(kind: pa.DataType) -> bool:
    """Whether values of a type stand at the right of their column."""
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


FORMATS: Final[Mapping[str, Callable[..., Iterator[str]]]] = MappingProxyType(
    {"csv": as_csv, "json": as_json, "ndjson": as_ndjson, "markdown": as_markdown}
)
"""Each format for programs by its name."""
