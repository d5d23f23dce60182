"""Text: what people and programs make of OTLP/JSON in files is read, what is broken is named."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from tests.support.conversion import bodies, count_rows, json_request, rows, run, stream, zstd
from tests.support.requests import START

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

A, B, C = (json_request(text) for text in "abc")
SPAN = json.dumps({"startTimeUnixNano": str(START), "name": "s"})
SCOPE_SPANS = f'"scopeSpans":[{{"spans":[{SPAN}]}}]'
RESOURCE_SPANS = f'{{"resource":{{}},{SCOPE_SPANS}}}'


def pretty(request: bytes) -> bytes:
    """Over many lines."""
    return json.dumps(json.loads(request), indent=2).encode()


def converted(tmp_path: Path, data: bytes, name: str = "x.json") -> Result:
    """The command on one file."""
    (tmp_path / name).write_bytes(data)
    return run("convert", tmp_path / name, "-o", tmp_path / "out")


@pytest.mark.parametrize("name", ["x.json", "x.jsonl", "x.log", "x", "x.otlp"])
@pytest.mark.parametrize(
    "data",
    [
        b"\n".join([A, B, C]),
        b"\r\n".join([A, B, C, b""]),
        b"\xef\xbb\xbf" + b"\n".join([A, B, C]),
        b"\x1e" + b"\n\x1e".join([A, B, C]),
        A + B + C,
        A + b" " + B + b"\n" + C,
        b"\n".join(map(pretty, [A, B, C])),
        pretty(A) + pretty(B) + C,
        b"[" + b",".join([A, B, C]) + b"]",
        b"[\n" + b",\n".join([A, B, C]) + b"\n]\n",
        b"[\n" + b",\n".join(map(pretty, [A, B, C])) + b"\n]\n",
        b"[" + A + b"\n," + B + b"]\n" + C,
        b"\n".join([A, pretty(B), b"", C]),
    ],
    ids=lambda data: str(len(data)),
)
def test_however_requests_are_put_together(tmp_path: Path, data: bytes, name: str) -> None:
    """Lines, documents of many lines, joined ones and arrays of any form: all requests."""
    result = converted(tmp_path, data, name)
    assert (result.exit_code, result.stderr) == (0, "")
    assert bodies(tmp_path / "out") == {"a": 1, "b": 1, "c": 1}


@pytest.mark.parametrize("nuls", [4, 5000, 3_000_000])
def test_nuls_at_the_front(tmp_path: Path, nuls: int) -> None:
    """What a rotation that truncates leaves before the first line costs nothing."""
    result = converted(tmp_path, bytes(nuls) + A + b"\n" + B)
    assert (result.exit_code, result.stderr) == (0, "")
    assert bodies(tmp_path / "out") == {"a": 1, "b": 1}


@pytest.mark.parametrize("name", ["x.json", "x.json.zst", "logs.pb", "x"])
@pytest.mark.parametrize("pack", [bytes, zstd])
def test_frames_of_json(tmp_path: Path, name: str, pack) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    """The file exporter with format json and compression: each request after its length."""
    result = converted(tmp_path, stream(*map(pack, [A, B, C])), name)
    assert (result.exit_code, result.stderr) == (0, "")
    assert bodies(tmp_path / "out") == {"a": 1, "b": 1, "c": 1}


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_read(tmp_path: Path, codec: str) -> None:
    """With a mark at the front or without; what breaks in it is named."""
    text = (A + b"\n" + B).decode().encode(codec)
    result = converted(tmp_path, text)
    assert (result.exit_code, result.stderr) == (0, "")
    assert bodies(tmp_path / "out") == {"a": 1, "b": 1}
    result = converted(tmp_path, text + b"\n", "y.json")
    assert result.exit_code == 1
    assert "it is not all UTF-16" in result.stderr


@pytest.mark.parametrize("tear", [5, 40, -20, -1])
def test_a_line_that_was_torn_off(tmp_path: Path, tear: int) -> None:
    """A crash in the middle of a line costs that line, wherever it was; it is named."""
    data = b"\n".join([A, B[:tear], C, A, b"{}", C])
    result = converted(tmp_path, data)
    assert result.exit_code == 1
    assert bodies(tmp_path / "out") == {"a": 2, "c": 2}
    begin = len(A) + 1
    (line,) = result.stderr.splitlines()
    assert f"request that begins at byte {begin} left out: malformed json" in line


def test_the_rest_of_a_line_at_the_front(tmp_path: Path) -> None:
    """So does a file that begins within a request."""
    result = converted(tmp_path, A[30:] + b"\n" + B)
    assert result.exit_code == 1
    assert bodies(tmp_path / "out") == {"b": 1}
    assert "byte 0: found malformed JSON or the rest of it, expected an export" in result.stderr


def test_other_output_between_requests(tmp_path: Path) -> None:
    """Lines that are no OTLP are named; requests behind a prefix are read, and lost keys named."""
    lines = [
        b"Server started on :8080",
        A,
        b"[agent 2026-07-01 10:11:07:368 +0000] INFO io.Exporter - " + B,
        b"2026-07-01T16:00:00.000000001Z stdout F " + C,
        b'{"level":"info","msg":"done"}',
        b"key\t" + A,
    ]
    result = converted(tmp_path, b"\n".join(lines))
    assert result.exit_code == 1
    assert bodies(tmp_path / "out") == {"a": 2, "b": 1, "c": 1}
    begins = [len(b"\n".join(lines[:n])) + 1 if n else 0 for n in range(len(lines))]
    told = [line.partition(": ")[2].split(":")[0] for line in result.stderr.splitlines()]
    assert told == [f"byte {begins[place]}" for place in (0, 4, 5)]


def test_commas_between_lines(tmp_path: Path) -> None:
    """Requests are kept, and what stands between them is named."""
    result = converted(tmp_path, A + b",\n" + B + b",\n")
    assert result.exit_code == 1
    assert bodies(tmp_path / "out") == {"a": 1, "b": 1}
    begin = len(A)
    assert f"byte {begin}: found a comma behind the request" in result.stderr
    assert len(result.stderr.splitlines()) == 2


@pytest.mark.parametrize(
    "text",
    [
        RESOURCE_SPANS,
        f'{{"batches": [{RESOURCE_SPANS}]}}',
        f'{{"trace": {{"resourceSpans": [{RESOURCE_SPANS}]}}}}',
        json.dumps({"log": f'{{"resourceSpans":[{RESOURCE_SPANS}]}}\n', "stream": "stdout"}),
    ],
    ids=["bare", "batches", "trace", "docker"],
)
def test_wrapped_requests(tmp_path: Path, text: str) -> None:
    """What runtimes and query APIs put around a request is taken off."""
    result = converted(tmp_path, f"{text}\n{text}\n".encode())
    assert (result.exit_code, result.stderr) == (0, "")
    assert len(rows(tmp_path / "out", "traces")) == 2


@pytest.mark.parametrize(
    "text",
    [
        '[{"Name":"build","SpanContext":{}}]',
        '{"data":[{"traceID":"abc","spans":[]}]}',
        f'{{"result": {{"resourceSpans": [{RESOURCE_SPANS}]}}}}',
        '{"resourceProfiles": [{"scopeProfiles": []}]}',
        '{"log": 7}',
        '{"log": "hello"}',
        "[1, 2]",
        "7",
        '"text"',
    ],
)
def test_other_json_is_named(tmp_path: Path, text: str) -> None:
    """JSON that holds no request is told with the reason."""
    result = converted(tmp_path, text.encode())
    assert result.exit_code == 1
    reasons = (
        "found no signal in the request here, expected",
        "expected an export request in JSON",
    )
    assert any(reason in result.stderr for reason in reasons)
    assert count_rows(tmp_path / "out") == 0


def test_a_long_document_of_many_lines(tmp_path: Path) -> None:
    """What is over the limit is passed over up to its end, and what follows is read."""
    data = pretty(json_request("x" * 100, "y" * 100)) + b"\n" + pretty(A) + b"\n" + B
    (tmp_path / "x.json").write_bytes(data)
    limit = len(pretty(A))
    arguments = ("convert", tmp_path / "x.json", "-o", tmp_path / "out")
    result = run(*arguments, "--max-payload-bytes", str(limit))
    assert result.exit_code == 1
    assert bodies(tmp_path / "out") == {"a": 1, "b": 1}
    assert f"byte 0: request over {limit} bytes" in result.stderr


def test_compression_is_told_by_the_bytes(tmp_path: Path) -> None:
    """Under any name."""
    for number, pack in enumerate([gzip.compress, zstd]):
        result = converted(tmp_path, pack(A + b"\n" + B), f"x{number}.json")
        assert result.exit_code == 0
    assert bodies(tmp_path / "out") == {"a": 1, "b": 1}
