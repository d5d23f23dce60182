"""Where the tables lie, and which field ids their files have: learned once, then remembered.

Knows a small file beside the log. Must not know catalogs: whoever can ask one is given. Until a
table's place is known its files cannot be written, and its rows wait in the log; later a catalog
that is down holds up nothing.
"""

import contextlib
import json
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from otlp2parquet.catalogs.shape import TableShape
from otlp2parquet.durable import make_folder, sync_folder
from otlp2parquet.errors import CatalogError, StorageUnavailableError

log = logging.getLogger(__name__)

FILE: Final = "tables.json"
_VERSION: Final = 1
WAIT_SECS: Final = 10.0
"""How long a file waits while the catalog is asked for another table's place."""


class TablePlaces:
    """The shapes of the tables of the catalog ``place``.

    ``folder`` is where they are remembered; None: nowhere. ``ask`` gets a table's shape from the
    catalog.
    """

    def __init__(self, place: str, folder: Path | None, ask: Callable[[str], TableShape]) -> None:
        self._place = place
        self._path = None if folder is None else folder / FILE
        self._ask = ask
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._shapes = self._read()

    def shape(self, table: str) -> TableShape:
        """The table's shape; asks the catalog if it was never told.

        Raises ``StorageUnavailableError`` when that gives nothing now: the rows can wait.
        """
        known = self._shapes.get(table)
        if known is not None:
            return known
        # One asks, the others wait a while behind it: a catalog that hangs must not hold up all.
        if not self._asking.acquire(timeout=WAIT_SECS):
            raise StorageUnavailableError(f"the catalog is being asked where {table} lies")
        try:
            known = self._shapes.get(table)
            if known is not None:
                return known
            asked = self._ask(table)
        except CatalogError as error:
            raise StorageUnavailableError(
                f"the catalog has not told yet where the table {table} lies: {error}"
            ) from error
        finally:
            self._asking.release()
        self.learn(table, asked)
        return asked

    def field_ids(self, table: str) -> tuple[int, ...]:
        """The field ids of a table's files; empty if they were never told."""
        known = self._shapes.get(table)
        return () if known is None else known.field_ids

    def learn(self, table: str, shape: TableShape) -> None:
        """A table is there, and so it is."""
        with self._lock:
            before = self._shapes.get(table)
            if before == shape:
                return
            self._shapes = {**self._shapes, table: shape}
            self._write()
        if before is not None:
            log.warning(
                "a table is not where or what it was, new files follow it",
                extra={"fields": {"table": table, "was": before.location, "is": shape.location}},
            )

    def _read(self) -> dict[str, TableShape]:
        if self._path is None:
            return {}
        try:
            kept: dict[str, Any] = json.loads(self._path.read_bytes())
            if kept["version"] != _VERSION or kept["catalog"] != self._place:
                return {}
            return {
                str(table): TableShape(str(one["location"]), tuple(map(int, one["field_ids"])))
                for table, one in kept["tables"].items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("where the tables lie is asked again, %s cannot be read: %s",
                        self._path, error)  # fmt: skip
            return {}

    def _write(self) -> None:
        """Remember. What cannot be remembered is asked again after the next start."""
        if self._path is None:
            return
        tables = {
            table: {"location": shape.location, "field_ids": list(shape.field_ids)}
            for table, shape in self._shapes.items()
        }
        kept = {"version": _VERSION, "catalog": self._place, "tables": tables}
        partial = self._path.with_name(f".{FILE}")
        try:
            make_folder(self._path.parent)
            with partial.open("w", encoding="ascii") as file:
                json.dump(kept, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self._path)
            with contextlib.suppress(OSError):
                sync_folder(self._path.parent)
        except OSError as error:
            log.warning("where the tables lie is not remembered: %s", error)
