"""The one way to hold the two decoders together: the extension and its twin in plain Python.

Whatever one of them says of a request the other says too: the same rows in the same batches, the
same counts and messages, the same errors at the same places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otlp2parquet import _native
from otlp2parquet.core.pure import builder as pure
from otlp2parquet.errors import OtlpError
from tests.support.canonical import exact, exact_rows, groups_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from otlp2parquet import Signal
    from tests.support.oracle import Row

    Groups = Mapping[tuple[str, str | None, datetime], list[Row]]


def said(call: Callable[[], Any]) -> tuple[Any, ...]:
    """What an append gives, or the error that it raises."""
    try:
        return facts_of(call())
    except OtlpError as error:
        return facts_of_error(error)


def facts_of(appended: Any) -> tuple[Any, ...]:
    """What an append says of a request that it takes."""
    counts = appended.accepted, appended.rejected, appended.undated
    return *counts, appended.message, appended.unstored


def facts_of_error(error: BaseException) -> tuple[Any, ...]:
    """What an error says: its class, its text, and the place."""
    place = getattr(error, "offset", None), getattr(error, "path", "")
    return type(error).__name__, str(error), *place


def assert_twin(
    payload: bytes | str, signal: Signal, facts: tuple[Any, ...], groups: Groups, **options: Any
) -> None:
    """Hold the twin to what the extension said of one body, and to its rows."""
    builder = pure.BatchBuilder()
    assert said(lambda: builder.append(payload, signal, **options)) == facts
    assert (builder.num_rows, builder.num_groups) == (sum(map(len, groups.values())), len(groups))
    batches = builder.finish()
    assert [(batch.table, batch.service, batch.hour) for batch in batches] == list(groups)
    for batch, rows in zip(batches, groups.values(), strict=True):
        assert batch.num_rows == len(rows)
        wanted = [[value for _, value in row] for row in exact_rows(rows)]
        found = zip(*batch.columns, strict=True)
        assert [[exact(value) for value in row] for row in found] == wanted, batch


def assert_twins(payload: bytes | str, signal: Signal, **options: Any) -> None:
    """Hold the extension and its twin together on one body."""
    builder = _native.BatchBuilder()
    facts = said(lambda: builder.append(payload, signal, **options))
    assert_twin(payload, signal, facts, groups_of(builder.finish()), **options)
