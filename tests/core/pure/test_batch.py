"""Batches of the decoder in plain Python: their Arrow form, many requests, pickles."""

from __future__ import annotations

import pickle
from typing import Any

import pyarrow as pa
import pytest

from otlp2parquet import _native
from otlp2parquet.core.pure import batch as pure_batch
from otlp2parquet.core.pure import builder as pure
from otlp2parquet.core.signals import SIGNALS
from otlp2parquet.errors import DecodeError
from tests.support.canonical import arrow_facts
from tests.support.shapes import every_field, log
from tests.support.strategies import HOUR, NOW, delimited

BODIES = {signal: every_field(signal).SerializeToString() for signal in SIGNALS}


def plain(facts: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Facts without the keys of dictionaries, whose order is a decoder's own."""
    return [
        (*fact[:4], {name: _values(column) for name, column in fact[4].items()}) for fact in facts
    ]


def _values(column: tuple[Any, ...]) -> Any:
    keys, values = column
    if not isinstance(keys, list):
        return column
    return [None if key is None else values[key] for key in keys]


@pytest.mark.parametrize("dictionaries", [False, True])
def test_the_arrow_form_is_the_extensions(*, dictionaries: bool) -> None:
    """Types, field ids, nulls and values, of requests of all signals in one builder."""
    builders = _native.BatchBuilder(), pure.BatchBuilder()
    for one in builders:
        for signal, body in BODIES.items():
            one.append(body, signal, received_at=NOW)
            one.append(body, signal, received_at=NOW + HOUR)
    native, twin = (one.finish(dictionaries=dictionaries) for one in builders)
    assert plain(arrow_facts(twin)) == plain(arrow_facts(native))
    assert builders[1].num_rows == builders[1].num_bytes == builders[1].num_groups == 0


def test_a_stream_has_the_same_rows() -> None:
    """For who asks for a stream."""
    (batch,) = pure.process_otlp(BODIES["logs"], "logs").batches
    table = pa.table(batch)
    assert table.schema.equals(pa.schema(pure_batch.table_schema(batch.table)))
    assert table.to_batches() == [pa.record_batch(batch)]
    assert pa.schema(batch) == table.schema


def test_a_request_that_fails_leaves_a_builder_as_it_was() -> None:
    """All or nothing, groups included."""
    builder = pure.BatchBuilder()
    builder.append(log(b""), "logs", received_at=NOW)
    before = builder.num_rows, builder.num_groups, builder.num_bytes
    with pytest.raises(DecodeError):
        builder.append(log(b"", delimited(12, b"x")) + b"\xff", "logs", received_at=NOW + HOUR)
    assert (builder.num_rows, builder.num_groups, builder.num_bytes) == before
    assert [batch.num_rows for batch in builder.finish()] == [1]


def test_results_pickle() -> None:
    """Those of this decoder as they are, those of the extension where only this one is."""
    result = pure.process_otlp(BODIES["traces"], "traces", received_at=NOW)
    assert pickle.loads(pickle.dumps(result)) == result  # noqa: S301 - our own
    (batch,) = _native.process_otlp(BODIES["traces"], "traces", received_at=NOW).batches
    _, arguments = batch.__reduce__()
    restored = pure_batch.restore(*arguments)
    assert arrow_facts([restored]) == arrow_facts([batch])
    assert [list(column) for column in restored.columns] == [
        list(column) for column in result.batches[0].columns
    ]
    with pytest.raises(RuntimeError, match="another schema than that of otel_logs"):
        pure_batch.restore("otel_logs", *arguments[1:])
