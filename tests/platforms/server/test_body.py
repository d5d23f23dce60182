"""Bodies: whatever the parts in which they come, all of them, in order, and in their own room."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.batches.budget import Budget
from otlp2parquet.platforms.export import Admission
from otlp2parquet.platforms.server.body import Bodies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otlp2parquet.platforms.server.asgi import Event

LIMIT = 1 << 20


def read(parts: Iterator[bytes], end: bytes = b"") -> bytes:
    """The body that comes in these parts."""

    async def receive() -> Event:
        part = next(parts, None)
        more = part is not None
        return {"type": "http.request", "body": part if more else end, "more_body": more}

    async def reading() -> bytes:
        with Admission(Budget(LIMIT), compressed=False, max_payload_bytes=LIMIT) as admission:
            return await Bodies().read(receive, None, LIMIT, admission)

    return asyncio.run(reading())


@pytest.mark.parametrize(
    "sizes", [(), (1,), (1, 2, 3), (5000, 1, 2, 5000), (1, 5000, 1), (1,) * 70_000, (9000,) * 9]
)
def test_parts_make_the_body(sizes: tuple[int, ...]) -> None:
    """Large and small, in any order: nothing is lost, and nothing is elsewhere."""
    parts = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    assert read(iter(parts), b"end") == b"".join(parts) + b"end"


def test_a_body_that_comes_byte_by_byte_takes_no_more_room_than_another() -> None:
    """What is admitted is what is held: an object for each part would be forty times that."""
    size = 50_000

    def parts() -> Iterator[bytes]:
        for number in range(size):
            if number == size - 1:
                held.append(tracemalloc.get_traced_memory()[0] - before)
            # Two bytes: every single byte is an object that is there already.
            yield number.to_bytes(2, "big")

    held: list[int] = []
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        assert len(read(parts())) == 2 * size
    finally:
        tracemalloc.stop()
    assert held[0] < 4 * size
