"""convert: captured OTLP becomes files; what is bad is named, what is good is all there."""

from __future__ import annotations

import gzip
import os
import re
import struct
import subprocess
import sys
import tracemalloc
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from otlp2parquet.captures import Request, find_inputs, read_requests
from tests.support.capture_forms import delimited
from tests.support.conversion import (
    bodies,
    convert_into,
    deep_request,
    json_request,
    rows,
    run,
    stream,
    undated_request,
    zstd,
)
from tests.support.requests import START, logs_request, metrics_request, traces_request

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from otlp2parquet.convert import ChunkReport

HUGE_DEPTH_REASON = "nested deeper"


# What is read --------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".pb", ".binpb", ".otlp"])
@pytest.mark.parametrize(("packed", "pack"), [("", bytes), (".gz", gzip.compress), (".zst", zstd)])
@pytest.mark.parametrize(
    ("framed", "expected"),
    [(logs_request(5), 5), (stream(logs_request(5), logs_request(3, first=5)), 8)],
    ids=["request", "stream"],
)
def test_formats(
    tmp_path: Path,
    *,
    suffix: str,
    packed: str,
    pack: Callable[[bytes], bytes],
    framed: bytes,
    expected: int,
) -> None:
    """Each extension, compression and framing gives the rows that were captured."""
    captured = tmp_path / f"logs{suffix}{packed}"
    captured.write_bytes(pack(framed))
    result = run("convert", captured, "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert [row["Timestamp"].second for row in rows(tmp_path / "out")] == list(range(expected))


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_several_members(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """Compressed files that were appended to are read to the end, frames across members too."""
    data = stream(*[logs_request(1, first=number) for number in range(10)])
    parts = [data[:100], data[100:101], data[101:]]
    suffix = ".gz" if pack is gzip.compress else ".zst"
    captured = tmp_path / f"logs.pb{suffix}"
    captured.write_bytes(b"".join(map(pack, parts)))
    assert run("convert", captured, "-o", tmp_path / "out").exit_code == 0
    assert len(rows(tmp_path / "out")) == 10


def test_frames_compressed_one_by_one(tmp_path: Path) -> None:
    """With ``compression: zstd`` the Collector packs each request before it writes its length."""
    captured = tmp_path / "logs.pb"
    requests = [logs_request(3, first=3 * number) for number in range(5)]
    captured.write_bytes(stream(*map(zstd, requests), logs_request(1, first=15)))
    assert run("convert", captured, "-o", tmp_path / "out").exit_code == 0
    assert [row["Timestamp"].second for row in rows(tmp_path / "out")] == list(range(16))


def test_all_signals(tmp_path: Path) -> None:
    """The signal is the one that each file's name contains; every table comes out."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a-logs-1.pb").write_bytes(logs_request(3))
    (tmp_path / "in" / "TRACES.binpb").write_bytes(traces_request(4))
    (tmp_path / "in" / "my.metrics.otlp").write_bytes(metrics_request(5))
    result = run("convert", tmp_path / "in", "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert len(rows(tmp_path / "out", "logs")) == 3
    assert len(rows(tmp_path / "out", "traces")) == 4
    for kind in ("gauge", "sum", "histogram", "exponential_histogram", "summary"):
        assert len(rows(tmp_path / "out", f"metrics/{kind}")) == 5
    for line in (r"otel_logs +3", r"otel_traces +4", r"otel_metrics_summary +5", "32 rows from"):
        assert re.search(line, result.stdout), result.stdout


def test_signal_option(tmp_path: Path) -> None:
    """--signal decides for all files, whatever they are called."""
    captured = tmp_path / "traces.pb"
    captured.write_bytes(logs_request(3))
    assert run("convert", captured, "-o", tmp_path / "out", "--signal", "logs").exit_code == 0
    assert len(rows(tmp_path / "out", "logs")) == 3


@pytest.mark.parametrize("name", ["capture.pb", "logs-and-traces.pb.gz", "dialogs.pb"])
def test_signal_of_content(tmp_path: Path, name: str) -> None:
    """Where no name tells one signal, the fields of the records do."""
    for request, table in ((logs_request(3), "logs"), (traces_request(2), "traces")):
        (tmp_path / name).write_bytes(request)
        result = run("convert", tmp_path / name, "-o", tmp_path / "out")
        assert (result.exit_code, result.stderr) == (0, "")
        assert len(rows(tmp_path / "out", table)) == (3 if table == "logs" else 2)


@pytest.mark.parametrize(
    ("name", "found"), [("capture.pb", "none"), ("logs-and-traces.pb.gz", "logs and traces")]
)
def test_signal_unknown(tmp_path: Path, name: str, found: str) -> None:
    """Neither name nor content tells one: an error that says so; others are converted."""
    record = b"\xc2\x0c\x00"  # the field 200, which no record has
    (tmp_path / name).write_bytes(b"\x0a\x07\x12\x05\x12\x03" + record)
    (tmp_path / "logs.pb").write_bytes(logs_request(3))
    result = run("convert", tmp_path / name, tmp_path / "logs.pb", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert f"{tmp_path / name}: byte 0: does not tell its signal: found {found} in its name, " in (
        result.stderr
    )
    assert len(rows(tmp_path / "out")) == 3


@pytest.mark.parametrize("options", [(), ("--signal", "logs")])
def test_another_signal_than_is_said(tmp_path: Path, options: tuple[str, ...]) -> None:
    """A request that fits another signal is refused with that reason, and no row is made of it."""
    (tmp_path / "logs.pb").write_bytes(stream(traces_request(2), logs_request(3)))
    result = run("convert", tmp_path / "logs.pb", "-o", tmp_path / "out", *options)
    assert result.exit_code == 1
    by = "--signal" if options else "the name"
    assert f"byte 4: the request that begins here fits traces, not logs, which {by} says" in (
        result.stderr
    )
    assert len(rows(tmp_path / "out")) == 3


def test_folder_tells_the_signal(tmp_path: Path) -> None:
    """Where the file's own name tells none: the word of the folder that it lies in."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "x.pb").write_bytes(traces_request(2))
    result = run("convert", tmp_path / "logs", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "fits traces, not logs, which the name says" in result.stderr


def test_folder_tells_no_signal(tmp_path: Path) -> None:
    """Where the file's own name tells one, that of the folder counts no more."""
    (tmp_path / "traces").mkdir()
    (tmp_path / "traces" / "logs.pb").write_bytes(logs_request(3))
    assert run("convert", tmp_path / "traces", "-o", tmp_path / "out").exit_code == 0
    assert len(rows(tmp_path / "out")) == 3


def test_empty_inputs(tmp_path: Path) -> None:
    """An empty file, compressed or not, is an empty request: nothing to do, nothing wrong."""
    captured = tmp_path / "in"
    captured.mkdir()
    (captured / "logs.pb").touch()
    (captured / "logs-2.pb.gz").touch()
    (captured / "logs-3.pb.zst").write_bytes(zstd(b""))
    (captured / "logs-4.pb").write_bytes(stream(b"", b""))
    result = run("convert", captured, "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert "0 rows from 5 new requests in 4 files" in result.stdout
    assert not (tmp_path / "out").exists()


def test_other_files_in_folders(tmp_path: Path) -> None:
    """In folders what is not OTLP is passed over and counted by its kind; hidden files too."""
    captured = tmp_path / "in"
    (captured / "deeper").mkdir(parents=True)
    (captured / "deeper" / "logs.pb").write_bytes(logs_request(3))
    (captured / "readme.txt").write_text("hello")
    (captured / "logs.txt.gz").write_bytes(gzip.compress(b"hello"))
    (captured / "._logs.pb").write_text("hello")
    (captured / "x.parquet").write_bytes(b"PAR1" + bytes(9))
    (captured / "empty.log").touch()
    (captured / "program").write_bytes(bytes(range(256)))
    result = run("convert", captured, "-o", tmp_path / "out")
    assert result.exit_code == 0
    told = "6 other files in the folders ignored: 1 Parquet, 1 empty, 1 hidden, "
    assert f"{told}1 other binary content, 2 text without OTLP (a file" in result.stdout
    assert len(rows(tmp_path / "out")) == 3


@pytest.mark.parametrize("name", ["otel.log", "capture", "x.txt.1", "data.bin", "x.bak"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd])
def test_captures_of_any_name_in_folders(
    tmp_path: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    """Their first bytes tell."""
    (tmp_path / "in").mkdir()
    for number, data in enumerate(
        [json_request("a"), stream(logs_request(1)), b"listening\n" + json_request("b")]
    ):
        (tmp_path / "in" / f"{number}-{name}").write_bytes(pack(data))
    result = run("convert", tmp_path / "in", "-o", tmp_path / "out")
    assert "3 rows from 3 new requests in 3 files" in result.stdout


def test_nothing_found(tmp_path: Path) -> None:
    """No input at all is told, and the exit code is 1."""
    (tmp_path / "in").mkdir()
    for _ in range(2):
        result = run("convert", tmp_path / "in", "-o", tmp_path / "out")
        assert result.exit_code == 1
        assert f"found no captures in {tmp_path / 'in'}: nothing is converted" in result.stderr
        (tmp_path / "in" / "notes.txt").write_text("hello")


@pytest.mark.parametrize(
    ("form", "data"),
    [
        ("json", b"\x01 what a terminal left\n" + json_request("a")),
        ("protobuf", logs_request(1)),
        ("length-prefixed", stream(logs_request(1))),
        ("varint-delimited", delimited(logs_request(1))),
    ],
)
def test_format_option(tmp_path: Path, form: str, data: bytes) -> None:
    """--format says how a file is read, and then nothing else is tried."""
    (tmp_path / "x").write_bytes(data)
    arguments = ("convert", tmp_path / "x", "-o", tmp_path / "out", "--format")
    assert "1 rows" in run(*arguments, form).stdout
    for other in {"json", "protobuf", "length-prefixed", "varint-delimited"} - {form}:
        assert run(*arguments, other).exit_code == 1


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd])
def test_standard_input(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """- is what comes on standard input, as it comes; and it is a capture like others."""
    (tmp_path / "x.json").write_bytes(json_request("file"))
    command = [sys.executable, "-m", "otlp2parquet", "convert", "-", str(tmp_path / "x.json")]
    for new in (2, 0):
        done = subprocess.run(
            [*command, "-o", str(tmp_path / "out")],
            input=pack(json_request("stdin") + b"\n"),
            capture_output=True,
            check=True,
        )
        assert f"{new} rows from {new} new requests".encode() in done.stdout
    assert bodies(tmp_path / "out") == {"stdin": 1, "file": 1}


def test_problems_of_a_file_are_bounded(tmp_path: Path) -> None:
    """A hundred are told one by one, then their number; the summary names the file."""
    (tmp_path / "x.json").write_bytes((json_request("a") + b"\n?\n") * 150)
    result = run("convert", tmp_path / "x.json", "-o", tmp_path / "out")
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert len(lines) == 101
    assert lines[-1] == f"{tmp_path / 'x.json'}: 50 more problems, 150 in all"
    assert f"not all is converted of {tmp_path / 'x.json'} (150 problems)" in result.stdout


@pytest.mark.parametrize("name", ["logs.csv", "logs", "logs.pb.1", "app.log", "2026.txt"])
def test_a_file_that_is_named_is_read(tmp_path: Path, name: str) -> None:
    """Whatever it is called: what it holds decides, and what it does not hold is told."""
    (tmp_path / name).write_bytes(json_request("a") + b"\n")
    assert run("convert", tmp_path / name, "-o", tmp_path / "out").exit_code == 0
    assert bodies(tmp_path / "out") == {"a": 1}
    (tmp_path / name).write_text("hello\n")
    result = run("convert", tmp_path / name, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert f"{name}: byte 0: found text, expected an export request in JSON" in result.stderr


def test_missing_and_irregular_inputs(tmp_path: Path) -> None:
    """What is not there, and what is no file, is named; the rest is converted."""
    os.mkfifo(tmp_path / "logs-pipe.pb")
    (tmp_path / "logs.pb").write_bytes(logs_request(3))
    inputs = [tmp_path / name for name in ("logs-gone.pb", "logs-pipe.pb", "logs.pb")]
    result = run("convert", *inputs, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "logs-gone.pb: cannot be read: no such file or directory" in result.stderr
    assert "logs-pipe.pb: is not a regular file" in result.stderr
    assert len(rows(tmp_path / "out")) == 3


def test_a_file_met_twice_counts_once(tmp_path: Path) -> None:
    """By itself, within a folder and through a link, it is still the same rows."""
    captured = tmp_path / "in"
    captured.mkdir()
    (captured / "logs.pb").write_bytes(logs_request(3))
    (captured / "logs-again.pb").symlink_to(captured / "logs.pb")
    inputs = [captured, captured / "logs.pb", captured / ".." / "in"]
    assert run("convert", *inputs, "-o", tmp_path / "out").exit_code == 0
    assert len(rows(tmp_path / "out")) == 3


def test_equal_contents_are_not_the_same_file(tmp_path: Path) -> None:
    """Two files with the same bytes were captured twice: all rows of both."""
    for name in ("logs-1.pb", "logs-2.pb"):
        (tmp_path / name).write_bytes(logs_request(3))
    assert run("convert", *tmp_path.glob("*.pb"), "-o", tmp_path / "out").exit_code == 0
    assert len(rows(tmp_path / "out")) == 6


# What is bad ---------------------------------------------------------------------------


def problems(tmp_path: Path, data: bytes, name: str = "logs.pb", *options: str) -> list[str]:
    """The lines on standard error; something must have been left out."""
    (tmp_path / name).write_bytes(data)
    result = run("convert", tmp_path / name, "-o", tmp_path / "out", *options)
    assert result.exit_code == 1
    prefix = f"{tmp_path / name}: "
    lines = result.stderr.splitlines()
    assert all(line.startswith(prefix) for line in lines), lines
    return [line.removeprefix(prefix) for line in lines]


GOOD = logs_request(4)


def test_bad_request(tmp_path: Path) -> None:
    """A file that is no OTLP is named with the offset and the reason; the rest is converted."""
    (tmp_path / "logs-good.pb").write_bytes(GOOD)
    (tmp_path / "logs-bad.pb").write_bytes(GOOD[:-1])
    inputs = [tmp_path / "logs-bad.pb", tmp_path / "logs-good.pb"]
    result = run("convert", *inputs, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert re.search(
        r"logs-bad\.pb: byte \d+: request that begins at byte 0 left out: malformed", result.stderr
    )
    assert len(rows(tmp_path / "out")) == 4


def test_bad_frame_between_good_ones(tmp_path: Path) -> None:
    """In a stream a bad request costs itself alone; its place is counted in the file."""
    (line,) = problems(tmp_path, stream(GOOD, b"\x0a\xff\x01", logs_request(2, first=9)))
    begin = 4 + len(GOOD) + 4
    assert line.startswith(f"byte {begin + 1}: request that begins at byte {begin} left out: ")
    assert len(rows(tmp_path / "out")) == 6


@pytest.mark.parametrize("cut", [1, 20, len(GOOD)])
def test_torn_frame(tmp_path: Path, cut: int) -> None:
    """Frames before a torn one are converted; the torn one is named and where it begins."""
    (line,) = problems(tmp_path, stream(GOOD, GOOD)[:-cut])
    there = len(GOOD) - cut
    expected = f"frame of {len(GOOD)} bytes; the file ends after {there} of them"
    assert line == f"byte {4 + len(GOOD)}: {expected}"
    assert len(rows(tmp_path / "out")) == 4


@pytest.mark.parametrize("left", [1, 2, 3])
def test_torn_length(tmp_path: Path, left: int) -> None:
    """A stream may also end inside of a length."""
    (line,) = problems(tmp_path, stream(GOOD) + bytes(left))
    assert line == f"byte {4 + len(GOOD)}: the file ends after {left} of 4 length bytes"
    assert len(rows(tmp_path / "out")) == 4


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".zst", zstd)])
def test_torn_compression(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    """Every whole frame before the place where compressed data ends is converted."""
    # Well over the 128 KiB that are one block of zstd.
    requests = [
        logs_request(20, first=20 * number, blob=os.urandom(5000).hex()) for number in range(150)
    ]
    packed = pack(stream(*requests))
    (line,) = problems(tmp_path, packed[: len(packed) // 2], f"logs.pb{suffix}")
    found = len(rows(tmp_path / "out"))
    assert found % 20 == 0
    assert 45 * 20 < found < 105 * 20
    offset = sum(4 + len(request) for request in requests[: found // 20])
    assert line.startswith(f"byte {offset}: the ")
    assert "data breaks in the frame here: Truncated compressed stream" in line


def test_torn_compressed_request_is_left_out(tmp_path: Path) -> None:
    """A single request that is cut may look valid, so it is never taken."""
    data = logs_request(2) + logs_request(2, first=2)
    (line,) = problems(tmp_path, gzip.compress(data)[:-8], "logs.pb.gz")
    assert "the gzip data breaks" in line
    assert not (tmp_path / "out").exists()


def test_corrupt_compression(tmp_path: Path) -> None:
    """A wrong checksum is told."""
    packed = bytearray(gzip.compress(GOOD))
    packed[-6] ^= 1
    (line,) = problems(tmp_path, bytes(packed), "logs.pb.gz")
    assert "incorrect data check" in line


@pytest.mark.parametrize("suffix", [".gz", ".zst", ""])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd])
def test_first_bytes_tell_the_compression(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    """A file that is not compressed as its name says is read as what it is."""
    (tmp_path / f"logs.pb{suffix}").write_bytes(pack(GOOD))
    assert run("convert", tmp_path / f"logs.pb{suffix}", "-o", tmp_path / "out").exit_code == 0
    assert len(rows(tmp_path / "out")) == 4


def test_frame_over_the_limit(tmp_path: Path) -> None:
    """A large frame is named and skipped; those after it are converted."""
    data = stream(GOOD, bytes(5000), logs_request(2, first=9))
    (line,) = problems(tmp_path, data, "logs.pb", "--max-payload-bytes", str(len(GOOD)))
    assert line == (
        f"byte {4 + len(GOOD)}: frame of 5000 bytes, expected at most {len(GOOD)}: skipped"
    )
    assert len(rows(tmp_path / "out")) == 6


@pytest.mark.parametrize("packed", [False, True])
def test_request_over_the_limit(tmp_path: Path, *, packed: bool) -> None:
    """The limit holds for a single request too, counted after decompression."""
    limit = ("--max-payload-bytes", str(len(GOOD) - 1))
    data, name = (gzip.compress(GOOD), "logs.pb.gz") if packed else (GOOD, "logs.pb")
    (line,) = problems(tmp_path, data, name, *limit)
    assert line == f"byte 0: request over {len(GOOD) - 1} bytes, the most that is taken: skipped"


def test_limit_is_inclusive(tmp_path: Path) -> None:
    """A request of exactly the limit is taken, in both framings."""
    (tmp_path / "logs-1.pb").write_bytes(GOOD)
    (tmp_path / "logs-2.pb").write_bytes(stream(GOOD))
    inputs = tmp_path.glob("*.pb")
    limit = ("--max-payload-bytes", str(len(GOOD)))
    assert run("convert", *inputs, "-o", tmp_path / "out", *limit).exit_code == 0
    assert len(rows(tmp_path / "out")) == 8


def test_bad_frames_compressed_one_by_one(tmp_path: Path) -> None:
    """Broken or too large inside, such a frame costs itself alone."""
    limit = len(GOOD)
    bomb, torn = zstd(bytes(limit + 1)), zstd(GOOD)[:-5]
    lines = problems(
        tmp_path, stream(bomb, torn, zstd(GOOD)), "logs.pb", "--max-payload-bytes", str(limit)
    )
    assert lines == [
        f"byte 0: frame of more than {limit} bytes when decompressed: skipped",
        f"byte {4 + len(bomb)}: the zstd data of this frame breaks: Truncated compressed stream",
    ]
    assert len(rows(tmp_path / "out")) == 4


def test_file_that_vanishes(tmp_path: Path) -> None:
    """A file may go between being found and being read: it is named, and the others converted."""
    (tmp_path / "logs-1.pb").write_bytes(GOOD)
    (tmp_path / "logs-2.pb").write_bytes(GOOD)
    files = find_inputs([tmp_path / "logs-1.pb", tmp_path / "logs-2.pb"]).files
    (tmp_path / "logs-1.pb").unlink()
    told: list[ChunkReport] = []
    convert_into(tmp_path / "out", files, on_chunk=told.append)
    assert [str(one) for report in told for one in report.problems] == [
        f"{tmp_path / 'logs-1.pb'}: cannot be read: no such file or directory"
    ]
    assert len(rows(tmp_path / "out")) == 4


@pytest.mark.parametrize("length", [60 << 20, 1 << 30, (1 << 32) - 1])
def test_claimed_lengths_are_not_allocated(tmp_path: Path, length: int) -> None:
    """A length may say what it likes; memory follows the bytes that are there."""
    captured = tmp_path / "logs.pb"
    captured.write_bytes(stream(GOOD) + struct.pack(">I", length) + b"12345")
    (file,) = find_inputs([captured]).files
    tracemalloc.start()
    try:
        found = list(read_requests(file, max_payload_bytes=64 << 20))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20
    assert isinstance(found[0], Request)
    assert "the file ends after 5 of them" in str(found[1])


def test_long_frame_at_the_front(tmp_path: Path) -> None:
    """A stream is known for one also when its first length takes the first byte (16 MiB)."""
    captured = tmp_path / "logs.pb"
    large = logs_request(1, blob="x" * (17 << 20))
    captured.write_bytes(stream(large, GOOD))
    assert captured.read_bytes()[0] == 1
    assert run("convert", captured, "-o", tmp_path / "out").exit_code == 0
    assert len(rows(tmp_path / "out")) == 5


def test_rejected_records(tmp_path: Path) -> None:
    """A record that cannot be stored is left out with its reason, and the exit code is 1."""
    (line,) = problems(tmp_path, stream(GOOD, deep_request()))
    assert line.startswith(f"byte {4 + len(GOOD) + 4}: ")
    assert HUGE_DEPTH_REASON in line
    assert len(rows(tmp_path / "out")) == 5


def test_rejected_records_are_counted(tmp_path: Path) -> None:
    """The summary says how many records were rejected."""
    (tmp_path / "logs.pb").write_bytes(stream(deep_request(), deep_request()))
    result = run("convert", tmp_path / "logs.pb", "-o", tmp_path / "out")
    assert "2 records rejected" in result.stdout


def test_warning(tmp_path: Path) -> None:
    """Replaced text is a warning: it is told, but nothing is missing, so the exit code is 0."""
    (tmp_path / "logs.pb").write_bytes(GOOD.replace(b"order 1", b"ord\xffr 1"))
    result = run("convert", tmp_path / "logs.pb", "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert re.match(r".*/logs\.pb: byte 0: warning: .*UTF-8", result.stderr)
    assert len(rows(tmp_path / "out")) == 4


def test_problems_in_the_order_of_the_input(tmp_path: Path) -> None:
    """However the work is shared out, messages come file by file, front to back."""
    for number in range(20):
        (tmp_path / f"logs-{number:02}.pb").write_bytes(b"\x0a\xff")
    result = run("convert", *tmp_path.glob("*.pb"), "-o", tmp_path / "out")
    assert re.findall(r"logs-(\d\d)", result.stderr) == [f"{n:02}" for n in range(20)]


# Times ---------------------------------------------------------------------------------


def nanoseconds(row: dict[str, Any]) -> int:
    """A row's Timestamp, to the microsecond, in nanoseconds."""
    stamp: int = pa.scalar(row["Timestamp"], pa.timestamp("us", "UTC")).value
    return stamp * 1000


def test_missing_times_are_the_files(tmp_path: Path) -> None:
    """Records without a time take the modification time of their file."""
    captured = tmp_path / "logs.pb"
    captured.write_bytes(undated_request(3))
    os.utime(captured, ns=(0, START + 123_456_789))
    assert run("convert", captured, "-o", tmp_path / "out").exit_code == 0
    assert {nanoseconds(row) for row in rows(tmp_path / "out")} == {START + 123_456_000}
    assert {row["TimestampNanos"] for row in rows(tmp_path / "out")} == {None}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        (str(START + 5000), START + 5000),
        ("2026-07-01T09:00:00Z", START),
        ("2026-07-01t09:00:00z", START),
        ("2026-07-01T11:30:00+02:30", START),
        ("2026-07-01T09:00:00.123456789Z", START + 123_456_000),
        ("2026-07-01T09:00:00.5-00:00", START + 500_000_000),
    ],
)
def test_received_at(tmp_path: Path, text: str, expected: int) -> None:
    """--received-at takes RFC 3339 or nanoseconds, for records without a time only."""
    (tmp_path / "logs.pb").write_bytes(stream(undated_request(2), GOOD))
    inputs = (tmp_path / "logs.pb", "-o", tmp_path / "out")
    assert run("convert", *inputs, "--received-at", text).exit_code == 0
    undated = [row for row in rows(tmp_path / "out") if row["TimestampNanos"] is None]
    assert {nanoseconds(row) for row in undated} == {expected}
    assert len(undated) == 2


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "2026-07-01",
        "2026-07-01T09:00:00",
        "2026-13-01T00:00:00Z",
        "-1",
        str(1 << 64),
        "1969-12-31T23:59:59Z",
        "2026-07-01T09:00:00.1234567890Z",
    ],
)
def test_received_at_that_is_no_time(tmp_path: Path, text: str) -> None:
    """Anything else is refused before anything is read, and the message shows both forms."""
    result = run("convert", "in.pb", "-o", tmp_path / "out", f"--received-at={text}")
    assert result.exit_code == 2
    assert "is not a time: expected RFC 3339 such as" in " ".join(result.stderr.split())


# The command ---------------------------------------------------------------------------


def test_no_progress_bar_without_a_terminal(tmp_path: Path) -> None:
    """In a pipe or a log there are only the summary and the problems."""
    (tmp_path / "logs.pb").write_bytes(GOOD)
    result = run("convert", tmp_path / "logs.pb", "-o", tmp_path / "out")
    assert result.stderr == ""
    assert "\x1b" not in result.output
    lines = result.stdout.splitlines()
    assert re.fullmatch(r"table +rows", lines[0])
    assert re.fullmatch(r"otel_logs +4", lines[1])
    assert re.fullmatch(r"4 rows from 1 new requests in 1 files \(0\.0 MB of OTLP\)", lines[2])
    assert re.fullmatch(r"1 files written \(0\.0 MB\), 0 already there", lines[3])
    assert re.fullmatch(r"[\d.]+ s: [\d.]+ MB/s, [\d,]+ rows/s", lines[4])


def test_progress_bar_on_a_terminal(tmp_path: Path) -> None:
    """On a terminal a bar shows how far it is."""
    import pty  # noqa: PLC0415 - not on Windows, and only here

    (tmp_path / "logs.pb").write_bytes(GOOD)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from otlp2parquet.cli import main; main()"]
    command += ["convert", str(tmp_path / "logs.pb"), "--output", str(tmp_path / "out")]
    process = subprocess.Popen(
        command, stderr=theirs, stdout=subprocess.DEVNULL, env=os.environ | {"TERM": "xterm"}
    )
    os.close(theirs)
    shown = b""
    try:
        while block := os.read(ours, 4096):
            shown += block
    except OSError:
        pass  # Linux says so when the other side is closed
    finally:
        os.close(ours)
    assert process.wait(timeout=60) == 0
    assert b"converting" in shown


def test_markup_in_names_is_text(tmp_path: Path) -> None:
    """A file's name is printed as it is, whatever it looks like."""
    name = "[bold]logs[x].pb"
    (tmp_path / name).write_bytes(b"\x0a\xff")
    result = run("convert", tmp_path / name, "-o", tmp_path / "out")
    assert f"{tmp_path / name}: byte" in result.stderr


def test_wants_inputs_and_output(tmp_path: Path) -> None:
    """What must be said and was not is a usage error."""
    assert run("convert", "-o", tmp_path).exit_code == 2
    assert run("convert", "logs.pb").exit_code == 2
