"""Binary content: which framing it has is told by its bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.protobuf.internal.encoder import _VarintBytes

from otlp2parquet.captures import Problem, find_inputs, read_requests
from tests.support.conversion import rows, run, stream
from tests.support.requests import logs_request

if TYPE_CHECKING:
    from pathlib import Path

GOOD = logs_request(4)


def delimited(*requests: bytes) -> bytes:
    """Each request after its length as a varint, as protobuf's own functions write them."""
    return b"".join(_VarintBytes(len(request)) + request for request in requests)


@pytest.mark.parametrize("name", ["logs.pb", "logs.bin", "logs.proto", "logs"])
@pytest.mark.parametrize("pack", [stream, delimited, lambda *requests: b"".join(requests)])
def test_framings(tmp_path: Path, name: str, pack) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    """Each framing is known by its first bytes, whatever the file is called."""
    (tmp_path / name).write_bytes(pack(GOOD, logs_request(3, first=4)))
    assert run("convert", tmp_path / name, "-o", tmp_path / "out").exit_code == 0
    assert sorted(row["Timestamp"].second for row in rows(tmp_path / "out")) == list(range(7))


@pytest.mark.parametrize("cut", [1, 30])
def test_a_torn_delimited_stream(tmp_path: Path, cut: int) -> None:
    """Whole requests are kept, and the torn one is named with its place."""
    data = delimited(GOOD, GOOD)[:-cut]
    (tmp_path / "logs.pb").write_bytes(data)
    result = run("convert", tmp_path / "logs.pb", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert len(rows(tmp_path / "out")) == 4
    place = len(delimited(GOOD))
    expected = f"frame of {len(GOOD)} bytes; the file ends after {len(GOOD) - cut} of them"
    assert f"byte {place}: {expected}" in result.stderr


def test_requests_tell_their_place(tmp_path: Path) -> None:
    """Each request comes with the offset of its payload."""
    (tmp_path / "logs.pb").write_bytes(stream(GOOD, b"", logs_request(1)))
    (file,) = find_inputs([tmp_path / "logs.pb"]).files
    found = [one for one in read_requests(file, 1 << 20) if not isinstance(one, Problem)]
    assert [one.offset for one in found] == [4, 8 + len(GOOD), 12 + len(GOOD)]
    assert [one.payload for one in found] == [GOOD, b"", logs_request(1)]
    assert {one.signal for one in found} == {"logs"}
