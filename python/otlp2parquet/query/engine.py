"""A connection of DuckDB with the views over one storage, and answers as Arrow batches.

Knows DuckDB's Python interface. Must not know how an answer is shown. The connection is to a
database in memory, and loads no extension: nothing is fetched from the network but the storage's
own files.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pyarrow as pa

from otlp2parquet.core.schema import TABLE_FOLDERS
from otlp2parquet.errors import QueryError
from otlp2parquet.listing import place_of
from otlp2parquet.query.statements import reading_statements
from otlp2parquet.query.trouble import explanation
from otlp2parquet.query.views import VIEWS, all_columns, definitions, named_views
from otlp2parquet.stores import LocalStore, Store

_BATCH_ROWS: Final = 10_000


class Answer:
    """The columns of an answer, and its rows, which are computed while they are taken."""

    def __init__(self, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
        self.schema = schema
        self.batches = batches


class Engine:
    """Answers a text of statements about one store. A context manager, for one thread.

    Raises ``QueryError`` when DuckDB is not there.
    """

    def __init__(self, store: Store) -> None:
        try:
            import duckdb  # noqa: PLC0415 - an extra, of 60 MB
            import fsspec  # noqa: F401, PLC0415 - as above, if the store is not local
        except ImportError as error:
            raise QueryError(
                f"{error.name} is not installed, expected it for queries "
                "(pip install 'otlp2parquet[query]')"
            ) from error
        self._store = store
        self._error: type[Exception] = duckdb.Error
        self._unbound = (duckdb.BinderException, duckdb.CatalogException)
        self._columns = all_columns()
        self.root = store.root
        self.views: list[str] = []
        """The views of one table that the last text may have been about."""
        self.files = 0
        """How many files those have."""
        self._connection = duckdb.connect(
            config={
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "allow_persistent_secrets": "false",
                "temp_directory": str(Path(tempfile.gettempdir(), f"otlp2parquet-{os.getpid()}")),
            }
        )
        self._connection.execute("SET TimeZone = 'UTC'")

    def ask(self, sql: str) -> Answer:
        """Run the statements of a text one after another, and answer the last; once.

        Raises ``QueryError`` for what cannot be asked or answered, ``StorageError`` when the
        storage cannot be listed or read; an answer's batches do so, too.
        """
        text = sql.lower()
        columns = all_columns()
        self._columns = {view: columns[view] for view in columns if view in text} or columns
        with self._telling():
            statements = reading_statements(self._connection, sql)
            self._make_views(sql)
            for statement in statements[:-1]:
                before = self._run(statement)
                if before is not None:
                    before.close()
            reader = self._run(statements[-1])
        if reader is None:
            return Answer(pa.schema([]), iter(()))
        return Answer(reader.schema, self._batches(reader))

    def _run(self, statement: Any) -> pa.RecordBatchReader | None:  # noqa: ANN401 - DuckDB's own
        # Nothing comes of a statement that makes something.
        try:
            relation: Any = self._connection.sql(statement.query)
        except self._unbound:
            # This call tells the place, too; it fails alike, before anything is done.
            self._connection.execute(statement.query)
            raise
        return None if relation is None else relation.to_arrow_reader(_BATCH_ROWS)

    def _batches(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        # Through Arrow's stream an error of DuckDB arrives as one of the system's, or of Arrow.
        with self._telling(OSError, pa.ArrowException):
            yield from reader

    def _make_views(self, sql: str) -> None:
        """List what the statement may be about, and make all views."""
        files: dict[str, list[str]] = {}
        sizes: dict[str, int] = {}
        self.views = named_views(sql)
        for view in self.views:
            found = files.setdefault(view, [])
            for one in self._store.list(TABLE_FOLDERS[VIEWS[view]]):
                if place_of(one.path) is not None:
                    found.append(one.path)
                    sizes[one.path] = one.bytes
            found.sort()
        self.files = len(sizes)
        for statement in definitions(files, self._root(sizes)):
            self._connection.execute(statement)

    def _root(self, sizes: dict[str, int]) -> str:
        if isinstance(self._store, LocalStore):
            return self._store.root
        from otlp2parquet.query.store_files import PROTOCOL, StoreFiles  # noqa: PLC0415 - an extra

        self._connection.register_filesystem(StoreFiles(self._store, sizes))
        return f"{PROTOCOL}:/"

    @contextlib.contextmanager
    def _telling(self, *errors: type[Exception]) -> Iterator[None]:
        try:
            yield
        except (self._error, *errors) as error:
            raise QueryError(explanation(str(error), self._columns)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()
