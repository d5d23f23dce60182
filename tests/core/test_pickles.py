"""Batches and results go from process to process: they pickle, as Arrow IPC."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

from otlp2parquet import BatchBuilder, DecodeError, process_otlp
from otlp2parquet.core.decoder import restore_batch
from tests.support import strategies
from tests.support.canonical import arrow_facts
from tests.support.shapes import every_field
from tests.support.strategies import NOW

if TYPE_CHECKING:
    from otlp2parquet import Result, Signal


def facts(result: Result) -> tuple[Any, ...]:
    """All that can be seen of a result."""
    told = (result.accepted, result.rejected, result.message, result.unstored)
    return (*told, arrow_facts(result.batches))


@strategies.examples(100)
@given(strategies.valid_payloads)
def test_a_result_comes_back_as_it_was(payload: tuple[Signal, bytes]) -> None:
    """Its counts, its message and every batch, whatever the protocol of the pickle."""
    signal, body = payload
    try:
        result = process_otlp(body, signal, received_at=NOW)
    except DecodeError:
        return
    for protocol in (2, pickle.HIGHEST_PROTOCOL):
        assert facts(pickle.loads(pickle.dumps(result, protocol))) == facts(result)  # noqa: S301


@strategies.examples(50)
@given(strategies.valid_payloads)
def test_batches_with_dictionaries_keep_them(payload: tuple[Signal, bytes]) -> None:
    """As slices of larger arrays, too: only their own rows are in the pickle."""
    signal, body = payload
    builder = BatchBuilder()
    try:
        builder.append(body, signal, received_at=NOW)
        builder.append(body, signal, received_at=NOW + 3_600_000_000_000)
    except DecodeError:
        return
    batches = builder.finish(dictionaries=True)
    copies = [copy.deepcopy(batch) for batch in batches]
    assert [batch.table for batch in copies] == [batch.table for batch in batches]
    assert arrow_facts(copies) == arrow_facts(batches)


def test_a_process_pool_gives_results() -> None:
    """What pickling is for: the work of several processes."""
    body = every_field("traces").SerializeToString()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        result = pool.submit(process_otlp, body, "traces").result()
    assert facts(result) == facts(process_otlp(body, "traces"))


def test_pickles_name_the_door_to_the_decoder() -> None:
    """Not the extension: who has none is told by the door what is missing."""
    result = process_otlp(every_field("traces").SerializeToString(), "traces")
    for value in (result, *result.batches):
        reduced = value.__reduce__()
        assert isinstance(reduced, tuple)
        assert reduced[0].__module__ == "otlp2parquet.core.decoder"
        assert b"_native" not in pickle.dumps(value)


def test_rows_of_another_table_are_refused() -> None:
    """A batch always has the schema of its table."""
    (batch,) = process_otlp(every_field("traces").SerializeToString(), "traces").batches
    _, (table, service, hour, ipc) = batch.__reduce__()
    assert restore_batch(table, service, hour, ipc).num_rows == batch.num_rows
    with pytest.raises(RuntimeError, match="another schema than that of otel_logs"):
        restore_batch("otel_logs", service, hour, ipc)
