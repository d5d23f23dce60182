"""Captures as one Parquet file for each table: for notebooks, and to be sent to somebody.

A file is written aside, row group by row group, and gets its name when all inputs are read: it is
there whole or not at all. Nothing is remembered of what was converted, because a file is always
made of all its inputs. Knows the encoder and stores, and no journal's files. Memory is bounded by a
chunk and a row group.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO, Final, cast

from otlp2parquet.captures import InputFile
from otlp2parquet.convert.journal import ConversionPlan, Journal
from otlp2parquet.convert.naming import Name
from otlp2parquet.convert.pipeline import ChunkReport, Conversion, ConvertOptions
from otlp2parquet.convert.selection import read_chunks
from otlp2parquet.core import Batch
from otlp2parquet.core.files import SCHEMA_VERSION_KEY, TABLE_KEY, VERSION_KEY
from otlp2parquet.core.schema import SCHEMA_VERSION, TABLE_FOLDERS
from otlp2parquet.errors import ConfigError, StorageRefusedError
from otlp2parquet.stores import LocalStore, Store
from otlp2parquet.stores import replace as replacing
from otlp2parquet.version import __version__
from otlp2parquet.writers.encode_pyarrow import ParquetSink, arrow_table
from otlp2parquet.writers.settings import ParquetSettings

_PREFIX: Final = "otel_"


def file_of(table: str) -> str:
    """The name of a table's only file: ``logs.parquet``, ``metrics_gauge.parquet``."""
    return f"{table.removeprefix(_PREFIX)}.parquet"


def convert_single(
    files: Sequence[InputFile],
    store: Store,
    options: ConvertOptions,
    settings: ParquetSettings,
    *,
    name: str | None = None,
    replace: bool = False,
    on_chunk: Callable[[ChunkReport], None],
) -> ChunkReport:
    """Convert all of ``files``, in order, into a file for each table that has rows.

    With ``name`` there is one file of that name, and rows of two tables are a ``ConfigError``. A
    file that is there already is a ``StorageRefusedError`` before anything is read, or with
    ``replace`` gives way when the new one is complete. Gives the sum of all reports.
    """
    names = {table: name or file_of(table) for table in TABLE_FOLDERS}
    there = [one for one in dict.fromkeys(names.values()) if _is_there(store, one)]
    if there and not replace:
        raise StorageRefusedError(
            f"{store.root} has {', '.join(there)} already: --again replaces them, or convert "
            "into another place"
        )
    total = ChunkReport()
    with contextlib.ExitStack() as closing:
        tables: dict[str, _Table] = {}
        journal = cast("Journal", _NothingBefore())
        chunks = read_chunks(
            files,
            journal,
            max_payload_bytes=options.max_payload_bytes,
            chunk_bytes=options.chunk_bytes,
        )
        for chunk in chunks:
            report = ChunkReport()
            decoding = Conversion(chunk, options)
            for batches in decoding.decoded():
                for table, rows in _by_table(batches):
                    if table not in tables:
                        _check_one(name, [*tables, table])
                        aside = closing.enter_context(_aside(store))
                        tables[table] = _Table(table, aside, settings)
                        closing.callback(tables[table].abandon)
                    tables[table].write(rows)
                    report.rows[table] += sum(batch.num_rows for batch in rows)
                del batches  # written: the next ones need the room
            report.add(decoding.report)
            report.problems = decoding.report.problems
            on_chunk(report)
            total.add(report)
        for table, written in tables.items():
            written.end()
            # One that is there stays until the new one has its name (where the store can do that).
            make = partial(replacing, store) if replace else store.create
            total.bytes_written += make(names[table], written.copy)
            total.files_written += 1
    return total


def _by_table(batches: Sequence[Batch]) -> Iterator[tuple[str, list[Batch]]]:
    for table in dict.fromkeys(batch.table for batch in batches):
        yield table, [batch for batch in batches if batch.table == table]


def _check_one(name: str | None, tables: Sequence[str]) -> None:
    if name is not None and len(tables) > 1:
        raise ConfigError(
            f"found rows of {' and '.join(tables)}, and {name} is one file, which holds one table: "
            "--single with a folder writes a file for each; nothing was written"
        )


def _is_there(store: Store, name: str) -> bool:
    try:
        store.open(name).close()
    except FileNotFoundError:
        return False
    return True


def _aside(store: Store) -> IO[bytes]:
    """A file without a name, near where its content goes: it is gone when we are."""
    if not isinstance(store, LocalStore):
        return tempfile.TemporaryFile()
    root = Path(store.root)
    return tempfile.TemporaryFile(dir=next(one for one in (root, *root.parents) if one.is_dir()))


class _Table:
    """The file of one table, while it is written aside."""

    def __init__(self, table: str, aside: IO[bytes], settings: ParquetSettings) -> None:
        self._table = table
        self._aside = aside
        self._settings = settings
        self._sink: ParquetSink | None = None

    def write(self, batches: Sequence[Batch]) -> None:
        """Append rows, as row groups of their own."""
        rows = arrow_table(self._table, batches)
        if self._sink is None:
            self._sink = ParquetSink(rows.schema, cast("BinaryIO", self._aside), self._settings)
        self._sink.write(rows)

    def end(self) -> None:
        """Write the footer."""
        if self._sink is not None:
            self._sink.close(
                {
                    SCHEMA_VERSION_KEY: str(SCHEMA_VERSION),
                    TABLE_KEY: self._table,
                    VERSION_KEY: __version__,
                }
            )

    def abandon(self) -> None:
        """It is not wanted, or is complete."""
        if self._sink is not None:
            self._sink.abandon()

    def copy(self, target: BinaryIO) -> None:
        """Copy what was written to where it has a name."""
        self._aside.seek(0)
        shutil.copyfileobj(self._aside, target, 1 << 20)


class _NothingBefore:
    """What the selection of requests asks of a journal, where nothing is remembered."""

    is_empty: Final = True
    unfinished: Final[Sequence[ConversionPlan]] = ()
    again: Final = b""

    def mark_of(self, _name: Name) -> None:
        """Nothing was converted before."""
