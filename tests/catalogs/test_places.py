"""Where tables lie: asked once, remembered, and no reason to lose or refuse anything."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.catalogs import places as module
from otlp2parquet.catalogs.places import FILE, TablePlaces
from otlp2parquet.catalogs.shape import TableShape
from otlp2parquet.catalogs.table_writer import TableWriter
from otlp2parquet.core import process_otlp
from otlp2parquet.core.files import plan_files
from otlp2parquet.errors import CatalogUnavailableError, NameTakenError, StorageUnavailableError
from otlp2parquet.stores import LocalStore
from otlp2parquet.writers import ParquetWriter
from tests.support.requests import logs_request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from otlp2parquet.stores import Store

SHAPE = TableShape("s3://bucket/otel_logs/data", (3, 1, 2))
BATCH = "019fa26b-4b96-72e1-b401-3c17b56c0b29"


def nobody(table: str) -> TableShape:
    """A catalog that is away."""
    raise CatalogUnavailableError(f"nobody knows {table}")


def test_a_place_is_asked_for_once_and_remembered(tmp_path: Path) -> None:
    """After a restart, too: then a catalog that is away holds up nothing."""
    asked: list[str] = []

    def ask(table: str) -> TableShape:
        asked.append(table)
        return SHAPE

    places = TablePlaces("rest a", tmp_path / "log", ask)
    assert places.field_ids("otel_logs") == ()
    assert [places.shape("otel_logs") for _ in range(3)] == [SHAPE] * 3
    assert asked == ["otel_logs"]
    later = TablePlaces("rest a", tmp_path / "log", nobody)
    assert later.shape("otel_logs") == SHAPE
    assert later.field_ids("otel_logs") == SHAPE.field_ids


@pytest.mark.parametrize("kept", ["", "{", "[]", '{"version": 9}'])
def test_what_is_remembered_may_be_damaged(kept: str, tmp_path: Path) -> None:
    """Then it is asked again."""
    (tmp_path / FILE).write_text(kept)
    assert TablePlaces("rest a", tmp_path, lambda _: SHAPE).shape("otel_logs") == SHAPE


def test_another_catalog_has_other_places(tmp_path: Path) -> None:
    """What one has told is no place in another."""
    TablePlaces("rest a", tmp_path, lambda _: SHAPE).shape("otel_logs")
    with pytest.raises(StorageUnavailableError, match="nobody knows otel_logs"):
        TablePlaces("rest b", tmp_path, nobody).shape("otel_logs")


def test_who_hangs_holds_up_others_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """And those whose table is known not at all."""
    monkeypatch.setattr(module, "WAIT_SECS", 0.05)
    gate, asking = threading.Event(), threading.Event()

    def ask(_table: str) -> TableShape:
        asking.set()
        gate.wait(30)
        return SHAPE

    places = TablePlaces("rest a", None, ask)
    places.learn("otel_traces", SHAPE)
    thread = threading.Thread(target=places.shape, args=("otel_logs",))
    thread.start()
    assert asking.wait(30)
    with pytest.raises(StorageUnavailableError, match="is being asked"):
        places.shape("otel_metrics_sum")
    assert places.shape("otel_traces") == SHAPE
    gate.set()
    thread.join()
    assert places.shape("otel_logs") == SHAPE


def test_a_disk_that_takes_nothing_costs_only_the_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is asked again after the next start."""
    (tmp_path / "log").write_text("a file where the folder should be")
    assert TablePlaces("rest a", tmp_path / "log", lambda _: SHAPE).shape("otel_logs") == SHAPE
    assert "not remembered" in caplog.text


def test_files_lie_below_their_table(tmp_path: Path) -> None:
    """By hour, with the table's field ids; the plan's path stays the file's name in the log."""
    folder = tmp_path / "warehouse" / "otel_logs" / "data"
    ids = tuple(range(101, 126))
    shape = TableShape(f"file://{folder}", ids)
    places = TablePlaces("sql x", None, lambda _: shape)
    opened: list[str] = []

    def open_at(root: str) -> Store:
        opened.append(root)
        return LocalStore(root)

    def writer_at(store: Store, field_ids_of: Callable[[str], Sequence[int]]) -> ParquetWriter:
        return ParquetWriter(store, field_ids_of=field_ids_of)

    writer = TableWriter("iceberg:sql x", places, open_at, writer_at)
    (batch,) = process_otlp(logs_request(3), "logs").batches
    (file,) = plan_files([batch], "table")
    assert file.folder == "otel_logs/date=2026-07-01/hour=9"
    stored = writer.store(file, [batch], BATCH)
    path = folder / "date=2026-07-01" / "hour=9" / f"{BATCH}.parquet"
    assert stored.path == file.name(BATCH)
    assert stored.location == f"file://{path}"
    assert path.is_file()
    with pytest.raises(NameTakenError) as caught:
        writer.store(file, [batch], BATCH)
    assert caught.value.path == file.name(BATCH)
    again = writer.store(file, [batch], BATCH, existing="same")
    assert replace(again, was_there=False) == stored
    assert opened == [str(folder)]
    writer.take_back(file, BATCH)
    assert not path.exists()
