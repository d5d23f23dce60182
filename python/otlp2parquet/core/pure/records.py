"""Records below a scope become rows, the same way for log records and spans.

Knows how a record is read: first as nearly every sender writes it, in one loop that leaves no
trace; where something in it is unusual, in the general way. Must not know the fields of records.
"""

from collections.abc import Callable
from typing import Any

from otlp2parquet.core.pure.error import RejectError
from otlp2parquet.core.pure.owner import Owner
from otlp2parquet.core.pure.placing import Placing, Row, Rows
from otlp2parquet.core.pure.request import Request
from otlp2parquet.core.pure.times import NANOS_PER_HOUR
from otlp2parquet.core.pure.walk import walk

Read = tuple[int, Row, int]
"""The time that decides the hour, the row, and what it is to be charged with."""

ReadUsual = Callable[[bytes, int, int, Request, Row], Read | None]
"""Gives a record without anything unusual, None for any other; or raises ``RejectError``."""
ReadGeneral = Callable[[Request, int, int, Row], Read]
"""Gives any record; or raises ``RejectError``."""


def append_records(
    request: Request, rows: Rows, row_bytes: int, read_usual: ReadUsual, read_general: ReadGeneral
) -> None:
    """Append the rows of a request; each is charged with ``row_bytes`` beside its text."""

    def read_scope(request: Request, resource: Owner, scope: Owner, at: int, stop: int) -> None:
        placing = Placing(rows, resource, scope)
        data, shared = request.data, placing.shared
        hour, group_rows, shared_bytes = -1, list[Any](), 0
        is_plain = request.is_plain
        for start, end in request.entries(at, stop, 0x12):
            request.count_record(row_bytes)
            if placing.reject is not None:
                request.reject(placing.reject)
                continue
            try:
                read = None if is_plain else read_usual(data, start, end, request, shared)
                if read is None:
                    read = read_general(request, start, end, shared)
            except RejectError as error:
                request.reject(error.reject)
                continue
            time, row, charge = read
            row_hour = time // NANOS_PER_HOUR
            if row_hour != hour:
                group = placing.find(request, row_hour)
                hour, group_rows, shared_bytes = row_hour, group.rows, placing.shared_bytes
            request.count_row(shared_bytes)
            if charge:
                request.charge(charge)
            group_rows.append(row)

    walk(request, read_scope)
