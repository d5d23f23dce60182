"""The records of a check: taken as they are, told from others, and found in any layout."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from otlp2parquet import ParquetWriter, process_otlp
from otlp2parquet.connect.check import SERVICE, TABLES, Check, find, request_of
from otlp2parquet.core.layout import LAYOUTS
from otlp2parquet.stores import LocalStore
from tests.support.requests import START
from tests.support.tables import logs_batch

if TYPE_CHECKING:
    from pathlib import Path

    from otlp2parquet.core.layout import Layout
    from otlp2parquet.core.signals import Signal

CHECK = Check("0198aaaa-bbbb-4ccc-8ddd-eeeeffff0000", START)


@pytest.mark.parametrize("signal", TABLES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_record_is_found(signal: Signal, layout: Layout, tmp_path: Path) -> None:
    """In its own file, and not one of another check or another service."""
    writer = ParquetWriter(tmp_path, layout=layout)
    writer.write(logs_batch(3))
    store = LocalStore(tmp_path)
    other = replace(CHECK, id="0198aaaa-0000-4ccc-8ddd-eeeeffff0000")
    assert find(CHECK, signal, store) is None
    for check in (other, CHECK):
        assert (find(check, signal, store)) is None
        document = request_of(check, signal)
        result = process_otlp(document, signal, content_type="application/json")
        assert not result.rejected
        (batch,) = result.batches
        assert (batch.table, batch.service, batch.num_rows) == (TABLES[signal], SERVICE, 1)
        stored = writer.write(batch)
        assert find(check, signal, store) == stored.path
