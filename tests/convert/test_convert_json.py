"""convert, for JSON: documents and lines, of whatever signal; what is bad is named."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from tests.support.conversion import bodies, count_rows, rows, run, zstd

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def logs(*texts: str) -> str:
    """A request with a log record per text."""
    records = [{"timeUnixNano": "1790000000000000000", "body": {"stringValue": t}} for t in texts]
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]})


def spans(*names: str) -> str:
    """A request with a span per name."""
    found = [{"startTimeUnixNano": "1790000000000000000", "name": name} for name in names]
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": found}]}]})


def gauge(*values: float) -> str:
    """A request with a number point per value."""
    points = [{"timeUnixNano": "1790000000000000000", "asDouble": value} for value in values]
    metrics = [{"name": "g", "gauge": {"dataPoints": points}}]
    return json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]})


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".ndjson", ".JSONL"])
@pytest.mark.parametrize(("packed", "pack"), [("", bytes), (".gz", gzip.compress), (".zst", zstd)])
def test_lines_of_all_signals(
    tmp_path: Path, suffix: str, packed: str, pack: Callable[[bytes], bytes]
) -> None:
    """Each line tells its own signal, whatever the file is called; blank lines are nothing."""
    lines = [logs("a", "b"), "", spans("s"), gauge(1.5, 2.5), "  ", logs("c"), "{}"]
    captured = tmp_path / f"capture of logs{suffix}{packed}"
    captured.write_bytes(pack("\r\n".join(lines).encode()))
    result = run("convert", captured, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert bodies(tmp_path / "out") == {"a": 1, "b": 1, "c": 1}
    assert [row["SpanName"] for row in rows(tmp_path / "out", "traces")] == ["s"]
    assert [row["Value"] for row in rows(tmp_path / "out", "metrics")] == [1.5, 2.5]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_document(tmp_path: Path, indent: int | None) -> None:
    """A .json file is one request, also over many lines."""
    text = json.dumps(json.loads(logs("a", "b")), indent=indent)
    (tmp_path / "logs.json").write_text(f"\n\n{text}\n")
    result = run("convert", tmp_path / "logs.json", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert bodies(tmp_path / "out") == {"a": 1, "b": 1}


def test_several_signals_in_one_request(tmp_path: Path) -> None:
    """What OTLP never sends and people put together nevertheless: nothing of it is lost."""
    both = json.loads(logs("a")) | json.loads(spans("s"))
    (tmp_path / "x.jsonl").write_text(json.dumps(both))
    result = run("convert", tmp_path / "x.jsonl", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert (bodies(tmp_path / "out"), count_rows(tmp_path / "out")) == ({"a": 1}, 2)


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_bad_lines(tmp_path: Path, suffix: str) -> None:
    """A line that is no request is named with its place in the file; the others are converted."""
    torn = logs("torn")[40:]
    lines = [torn, logs("a"), '{"resourceLogs":7}', "[]", '{"other":1}', logs("b"), logs("c")[:-9]]
    captured = tmp_path / f"x{suffix}"
    captured.write_text("\n".join(lines))
    result = run("convert", captured, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert bodies(tmp_path / "out") == {"a": 1, "b": 1}
    begins = [len("\n".join(lines[:n])) + 1 if n else 0 for n in range(len(lines))]
    told = [line.partition(": ")[2] for line in result.stderr.splitlines()]
    assert len(told) == 5
    assert told[0].startswith("byte 0: found malformed JSON or the rest of it, expected an export")
    assert told[1].startswith(f"byte {begins[2] + 16}: request that begins at byte {begins[2]} ")
    assert "in resourceLogs: found a number, expected a list" in told[1]
    assert told[2].startswith(f"byte {begins[3]}: found no signal in the request here")
    assert told[3].startswith(f"byte {begins[4]}: found no signal in the request here")
    assert f"request that begins at byte {begins[6]} left out: malformed json" in told[4]


def test_signal_option(tmp_path: Path) -> None:
    """With --signal, lines of another signal are named and left out, not read as empty."""
    (tmp_path / "x.jsonl").write_text("\n".join([logs("a"), spans("s")]))
    result = run("convert", tmp_path / "x.jsonl", "--signal", "logs", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert bodies(tmp_path / "out") == {"a": 1}
    assert count_rows(tmp_path / "out") == 1
    begin = len(logs("a")) + 1
    assert f"byte {begin}: found traces in the request here, expected logs" in result.stderr


def test_bad_records_are_named(tmp_path: Path) -> None:
    """A record that does not fit costs itself."""
    request = json.loads(logs("a", "b"))
    request["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["traceId"] = "x y"
    (tmp_path / "x.jsonl").write_text(json.dumps(request))
    result = run("convert", tmp_path / "x.jsonl", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert bodies(tmp_path / "out") == {"b": 1}
    assert "logRecords[0].traceId: found 3 bytes of text that are neither" in result.stderr


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_requests_over_the_limit(tmp_path: Path, suffix: str) -> None:
    """A line too long is named and passed over; a document too long is all that the file holds."""
    captured = tmp_path / f"x{suffix}"
    captured.write_text("\n".join([logs("a"), logs("b" * 3_000_000), logs("c")]))
    limit = len(logs("a"))
    arguments: list[str | Path] = ["--max-payload-bytes", str(limit), "-o", tmp_path / "out"]
    result = run("convert", captured, *arguments)
    assert result.exit_code == 1
    assert bodies(tmp_path / "out") == {"a": 1, "c": 1}
    assert f"byte {limit + 1}: request over {limit} bytes" in result.stderr
    (tmp_path / "y.json").write_text(json.dumps(json.loads(logs("a")), indent=1))
    result = run("convert", tmp_path / "y.json", *arguments)
    assert result.exit_code == 1
    assert f"byte 0: request over {limit} bytes" in result.stderr


def test_empty_files(tmp_path: Path) -> None:
    """A file without a line, as the exporter leaves it before the first, is no trouble."""
    for name in ("a.json", "b.jsonl"):
        (tmp_path / name).write_bytes(b"")
    result = run("convert", tmp_path, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "0 rows from 0 new requests in 2 files" in result.stdout


def test_broken_compression(tmp_path: Path) -> None:
    """What was whole before the break is converted."""
    whole = gzip.compress("\n".join([logs("a"), ""]).encode())
    rest = gzip.compress(logs(*"bcdefg").encode())
    (tmp_path / "x.jsonl.gz").write_bytes(whole + rest[:-40])
    result = run("convert", tmp_path / "x.jsonl.gz", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "a" in bodies(tmp_path / "out")
    assert "breaks in the line here" in result.stderr


def test_again_changes_nothing(tmp_path: Path) -> None:
    """The same command finds everything converted."""
    (tmp_path / "x.jsonl").write_text("\n".join([logs("a"), spans("s"), gauge(1)]))
    for new in (3, 0):
        result = run("convert", tmp_path / "x.jsonl", "-o", tmp_path / "out")
        assert result.exit_code == 0, result.output
        assert f"{new} rows from {new} new requests" in result.stdout
    assert count_rows(tmp_path / "out") == 3
