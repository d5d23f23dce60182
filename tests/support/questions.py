"""Questions about a storage, answered as rows of plain objects, and storages to ask about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otlp2parquet import ParquetWriter
from otlp2parquet.query.engine import Engine
from otlp2parquet.query.formats import rows_of
from tests.support.tables import all_batches

if TYPE_CHECKING:
    from pathlib import Path

    from otlp2parquet.stores import Store


def write_all_tables(folder: Path) -> None:
    """A file of every table."""
    writer = ParquetWriter(folder)
    for batch in all_batches(dictionaries=True).values():
        writer.write(batch)


def ask(store: Store, sql: str) -> list[dict[str, Any]]:
    """The rows of an answer."""
    with Engine(store) as engine:
        answer = engine.ask(sql)
        names = answer.schema.names
        return [
            dict(zip(names, row, strict=True)) for batch in answer.batches for row in rows_of(batch)
        ]
