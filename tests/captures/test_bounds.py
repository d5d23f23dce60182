"""What no capture can take: much memory, or more than linear time."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.captures import Problem, Request, find_inputs, read_requests
from tests.support.capture_forms import A, B
from tests.support.conversion import json_request, zstd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMIT = 1 << 16
MOST = 8 << 20
"""Blocks of 1 MiB here and there, a few of which are many times the limit of this test."""


def read(folder: Path, data: bytes, limit: int = LIMIT) -> Iterator[Request | Problem]:
    """The items of a file with these bytes."""
    path = folder / "x"
    path.write_bytes(data)
    (file,) = find_inputs([path]).files
    return read_requests(file, limit)


def peak_of(items: Iterator[Request | Problem]) -> tuple[int, int, int]:
    """Requests, problems, and the most memory while they were read."""
    requests = problems = 0
    tracemalloc.start()
    try:
        for item in items:
            requests += isinstance(item, Request)
            problems += isinstance(item, Problem)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return requests, problems, peak


def test_one_line_of_any_length(tmp_path: Path) -> None:
    """A capture without a line break gives its requests as it is read."""
    one = json_request(*["x" * 100] * 50)
    count = (12 << 20) // len(one)
    requests, problems, peak = peak_of(read(tmp_path, one * count))
    assert (requests, problems) == (count, 0)
    assert peak < MOST


@pytest.mark.parametrize("compress", [gzip.compress, zstd])
@pytest.mark.parametrize("byte", [b"\0", b"{", b" ", b'"', b"x", b"\\"])
def test_a_compression_bomb(tmp_path: Path, compress, byte: bytes) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    """Expands piece by piece; what it holds is no reason to keep it."""
    _, _, peak = peak_of(read(tmp_path, compress(b'{"resourceLogs":"' + byte * (12 << 20))))
    assert peak < MOST


def test_requests_behind_zeros_of_any_number(tmp_path: Path) -> None:
    """A rotation that truncates a file which is still written to leaves as many as it had bytes."""
    packer = zlib.compressobj(wbits=31)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(32))
    packed += packer.compress(A + b"\n") + packer.flush()
    requests, problems, peak = peak_of(read(tmp_path, packed))
    assert (requests, problems) == (1, 0)
    assert peak < MOST


def test_a_request_within_one_that_never_ends(tmp_path: Path) -> None:
    """Torn, joined, and without a line break: what is whole is found when the limit is met."""
    count = (1 << 20) // len(A)
    found = list(read(tmp_path, B[:17] + A * count + B[:30] + A * count))
    payloads = [one.payload for one in found if isinstance(one, Request)]
    assert payloads.count(A) == 2 * count


UNFRIENDLY = {
    "openings": b'{"resourceLogs":[',
    "openings that are torn": b'{"resourceLogs":[{"',
    "braces": b"{",
    "closed": b"{}",
    "brackets": b"[",
    "quotes": b'"',
    "quotes in braces": b'{"',
    "backslashes": b'"\\',
    "zeros": b"\0",
    "lines of openings": b'{"resourceLogs":[\n',
    "lines of braces": b"{\n",
    "commas": b"{},",
    "docker": b'{"log":"{","stream":"stdout"}\n',
    "cri": b"2026-07-01T09:00:00Z stdout P {\n",
    "blanks between": b'{                        "',
    "prefixes": b'x {"resource',
    "lengths": b"\0\0\0\1{",
    "varints": b"\x02\x0a\x00",
}


@pytest.mark.parametrize("unit", UNFRIENDLY.values(), ids=UNFRIENDLY)
def test_time_is_linear(tmp_path: Path, unit: bytes) -> None:
    """Whatever is repeated, and up to a large limit: with the square this would take minutes."""
    size = 1 << 18
    items = read(tmp_path, unit * (size // len(unit)), limit=size)
    assert sum(len(one.payload) for one in items if isinstance(one, Request)) <= size
