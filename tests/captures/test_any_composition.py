"""Requests in any composition of wrappings, with noise and damage: exactly those come out."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otlp2parquet.captures import Problem, find_inputs, read_requests
from otlp2parquet.core import recognize_json
from tests.support.capture_forms import cri, delimited, docker, lines, pretty, skippable
from tests.support.conversion import json_request, stream, zstd
from tests.support.requests import logs_request, traces_request
from tests.support.strategies import FACTOR

if TYPE_CHECKING:
    from pathlib import Path

JSON = st.lists(
    st.text(
        st.one_of(st.sampled_from('{}[]",:\\/ \t\n\0aé😀'), st.characters(codec="utf-8")),
        max_size=30,
    ).map(json_request),
    min_size=1,
    max_size=6,
)
PROTOBUF = st.lists(
    st.one_of(
        st.integers(1, 3).map(lambda count: logs_request(count, "shop")),
        st.integers(1, 3).map(traces_request),
    ),
    min_size=1,
    max_size=5,
)
NOISE = st.sampled_from([b"", b"\n", b"\r\n\n", b"\0" * 40 + b"\n", b"  \n", b"\xef\xbb\xbf"])
TOLD_NOISE = st.sampled_from(
    [b"listening on :80\n", b'{"level":"info"}\n', b'{"resourceLogs":[{"resou', b"}]}\n", b'"\n']
)


def joined(requests: list[bytes]) -> bytes:
    """One behind another."""
    return b"".join(requests)


def array(requests: list[bytes]) -> bytes:
    """An array."""
    return b"[" + b",".join(requests) + b"]\n"


Framing = Callable[[list[bytes]], bytes]

FRAMED_JSON: dict[str, Framing] = {
    "lines": lambda requests: lines(*requests),
    "crlf": lambda requests: lines(*requests).replace(b"\n", b"\r\n"),
    "joined": joined,
    "array": array,
    "array of lines": lambda requests: b"[\n" + b",\n".join(requests) + b"\n]",
    "length-prefixed": lambda requests: stream(*requests),
    "zstd frames": lambda requests: stream(*map(zstd, requests)),
    "gzip frames": lambda requests: stream(*map(gzip.compress, requests)),
    "docker": lambda requests: docker(lines(*requests), cut=50),
    "cri": lambda requests: cri(lines(*requests), cut=50),
    "prefixed": lambda requests: lines(*(b"INFO x - " + one for one in requests)),
}
FRAMED_PROTOBUF: dict[str, Framing] = {
    "length-prefixed": lambda requests: stream(*requests),
    "varint-delimited": lambda requests: delimited(*requests),
    "zstd frames": lambda requests: stream(*map(zstd, requests)),
}


def members(data: bytes) -> bytes:
    """Two gzip members."""
    half = len(data) // 2
    return gzip.compress(data[:half]) + gzip.compress(data[half:])


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "gzip members": members,
    "zstd": zstd,
    "zstd skippable": lambda data: skippable() + zstd(data),
    "zstd in gzip": lambda data: gzip.compress(zstd(data)),
}


def payloads(folder: Path, data: bytes, name: str = "x") -> tuple[list[bytes], list[str]]:
    """What is read: whole requests, and problems."""
    path = folder / name
    path.write_bytes(data)
    (file,) = find_inputs([path]).files
    found = list(read_requests(file, 1 << 20))
    whole: list[bytes] = []
    told: list[str] = []
    for one in found:
        if isinstance(one, Problem):
            told.append(str(one))
        elif one.content_type == "application/json" and recognize_json(one.payload)[0] != "whole":
            told.append("the decode says what is wrong with it")
        else:
            whole.append(one.payload)
    return whole, told


@settings(
    max_examples=60 * FACTOR,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    requests=JSON,
    framing=st.sampled_from(sorted(FRAMED_JSON)),
    compression=st.sampled_from(sorted(COMPRESSED)),
    noise=NOISE,
)
def test_json(
    tmp_path: Path, requests: list[bytes], framing: str, compression: str, noise: bytes
) -> None:
    """Whatever texts hold: brackets, quotes, escapes and line breaks included."""
    data = FRAMED_JSON[framing](requests)
    if framing not in {"length-prefixed", "zstd frames", "gzip frames"}:
        data = noise + data
    found, told = payloads(tmp_path, COMPRESSED[compression](data))
    assert (found, told) == (requests, [])


@settings(
    max_examples=60 * FACTOR,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    requests=PROTOBUF,
    framing=st.sampled_from(sorted(FRAMED_PROTOBUF)),
    compression=st.sampled_from(sorted(COMPRESSED)),
)
def test_protobuf(tmp_path: Path, requests: list[bytes], framing: str, compression: str) -> None:
    """Without a name that tells anything."""
    data = COMPRESSED[compression](FRAMED_PROTOBUF[framing](requests))
    assert payloads(tmp_path, data) == (requests, [])


@settings(
    max_examples=60 * FACTOR,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    parts=st.lists(
        st.one_of(
            JSON.map(lambda requests: ("lines", requests)),
            JSON.map(lambda requests: ("joined", requests)),
            JSON.map(lambda requests: ("array", requests)),
            TOLD_NOISE,
        ),
        min_size=1,
        max_size=6,
    )
)
def test_damage(tmp_path: Path, parts: list[Any]) -> None:
    """Between lines, joined ones and arrays lies what is no request: each is told or passed over.

    A torn request may stand right before a whole one, also on its line.
    """
    expected: list[bytes] = []
    data = b""
    for part in parts:
        if isinstance(part, bytes):
            data += part
        else:
            framing, requests = part
            data += FRAMED_JSON[framing](requests)
            if framing == "joined":
                data += b"\n"
            expected += requests
    found, told = payloads(tmp_path, b" \n" + data)
    assert found == expected
    assert bool(told) == any(isinstance(part, bytes) for part in parts)


@settings(
    max_examples=60 * FACTOR,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(requests=JSON, data=st.data())
def test_every_cut_keeps_what_is_whole(
    tmp_path: Path, requests: list[bytes], data: st.DataObject
) -> None:
    """A file that ends anywhere gives the requests that were all there, and tells of the rest."""
    whole = lines(*requests)
    cut = data.draw(st.integers(0, len(whole)))
    found, told = payloads(tmp_path, whole[:cut])
    ends = [len(lines(*requests[: place + 1])) - 1 for place in range(len(requests))]
    assert found == [one for one, end in zip(requests, ends, strict=True) if end <= cut]
    assert len(told) <= 1


def test_pretty_documents_between_torn_ones(tmp_path: Path) -> None:
    """Documents of many lines are found behind one that was torn at any of its lines."""
    one, two = pretty(json_request("one")), pretty(json_request("two"))
    rows = one.splitlines(keepends=True)
    for cut in range(1, len(rows)):
        found, _ = payloads(tmp_path, b"".join(rows[:cut]) + two + b"\n" + one)
        assert found == [two, one]
