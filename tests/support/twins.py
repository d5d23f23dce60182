"""The one way to hold the two decoders together: the extension and its twin in plain Python.

Whatever one of them says of a request the other says too: the same rows in the same batches, the
same counts and messages, the same errors at the same places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otlp2parquet import _native
from otlp2parquet.core.pure import builder as pure
from otlp2parquet.errors import OtlpError
from tests.support.canonical import exact, exact_rows, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from otlp2parquet import Signal

PROTOBUF = "application/x-protobuf"
NAMES = ("BatchBuilder", "process_otlp")


def said(what: Callable[[], Any]) -> tuple[Any, ...]:
    """What a call gives, or the error that it raises."""
    try:
        result = what()
    except OtlpError as error:
        place = getattr(error, "offset", None), getattr(error, "path", "")
        return type(error).__name__, str(error), *place
    return (
        result.accepted,
        result.rejected,
        result.message,
        result.unstored,
        getattr(result, "undated", None),
    )


def column_rows(columns: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """The rows of a batch in plain Python, comparable to the bit."""
    return [[exact(value) for value in row] for row in zip(*columns, strict=True)]


def assert_same_batches(native: Iterable[Any], pure: Iterable[Any]) -> None:
    """The same batches in the same order with the same rows."""
    native, pure = list(native), list(pure)
    assert [(batch.table, batch.service, batch.hour, batch.num_rows) for batch in native] == [
        (batch.table, batch.service, batch.hour, batch.num_rows) for batch in pure
    ]
    for one, other in zip(native, pure, strict=True):
        rows = [[value for _, value in row] for row in exact_rows(rows_of(one))]
        assert rows == column_rows(other.columns), (one.table, one.service, one.hour)


def assert_twins(payload: bytes, signal: Signal, **options: Any) -> None:
    """Hold the extension and its twin together on one body."""
    builders = _native.BatchBuilder(), pure.BatchBuilder()
    results = [said(lambda b=b: b.append(payload, signal, **options)) for b in builders]  # type: ignore[misc]
    assert results[0] == results[1]
    assert builders[0].num_rows == builders[1].num_rows
    assert builders[0].num_groups == builders[1].num_groups
    assert_same_batches(builders[0].finish(), builders[1].finish())
