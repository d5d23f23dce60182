"""A capture converted into a bucket, also through ``kill -9``: complete, nothing twice, in bounds.

Some megabytes and one kill in an ordinary run; with ``--full`` (``make prove-convert``) a capture
of ``OTLP2PARQUET_CAPTURE_BYTES`` (2 GB) and ``OTLP2PARQUET_CONVERT_KILLS`` (3). The server is
versitygw, whose bucket is a folder: so the judge reads files, and nothing of ours.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from benchmarks.capture import write_capture
from tests.components.s3 import BUCKET, CREDENTIALS, Versitygw
from tests.support.duckdb_rows import query
from tests.support.proxy import Asked, Proxy, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MORE_THAN_LOCAL_BYTES: Final = 100 * 1_000_000
END_SECS: Final = 3600

CONVERT: Final = """
import atexit, re, sys
from pathlib import Path
from otlp2parquet.cli import main

def peak():
    # Not getrusage: its peak begins with that of the process which started this one.
    return re.search("VmHWM:\\\\s+(\\\\d+) kB", Path("/proc/self/status").read_text())[1]

atexit.register(lambda: print("peak", peak()))
main(["convert", *sys.argv[1:]])
"""


def started(capture: Path, output: str | Path) -> subprocess.Popen[str]:
    """A conversion of a folder, at work."""
    return subprocess.Popen(
        [sys.executable, "-c", CONVERT, str(capture), "-o", str(output)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | CREDENTIALS,
    )


@dataclass(frozen=True, slots=True)
class Run:
    """A conversion that came to its end."""

    secs: float
    peak_bytes: int
    told: str


def converted(capture: Path, output: str | Path) -> Run:
    """Convert a folder, to the end and without a problem."""
    begun = time.monotonic()
    process = started(capture, output)
    told, _ = process.communicate(timeout=END_SECS)
    assert process.returncode == 0, told
    peak = re.search(r"^peak (\d+)$", told, re.MULTILINE)
    assert peak is not None, told
    return Run(time.monotonic() - begun, int(peak[1]) * 1024, told)


def content_of(output: Path) -> dict[str, tuple[int, int]]:
    """For each table its rows, and the sum of their hashes: no row is missing, more or other."""
    found = {}
    for pattern in ("logs", "traces", "metrics/*"):
        for folder in sorted(output.glob(pattern)):
            ((rows, sum_of_hashes),) = query(
                "SELECT count(*), sum(hash(rows)::HUGEINT) FROM "
                "read_parquet($1, hive_partitioning = false) AS rows",
                [f"{folder}/**/*.parquet"],
            )
            found[str(folder.relative_to(output))] = (int(rows), int(sum_of_hashes))
    return found


def killed(capture: Path, proxy: Proxy, url: str, uploads: int) -> None:
    """Convert until the bucket has so many further files, and kill before the answer to the last.

    So the last file is there, and nobody has been told.
    """
    left = [uploads]
    process: list[subprocess.Popen[str]] = []

    def script(asked: Asked) -> Trouble | None:
        if ".parquet" not in asked.path or asked.method != "PUT":
            return None
        left[0] -= 1
        return Trouble(then=process[0].kill, lose_answer=True) if left[0] == 0 else None

    proxy.script = script
    process.append(started(capture, url))
    told, _ = process[0].communicate(timeout=END_SECS)
    assert process[0].returncode < 0, f"it ended by itself before the kill:\n{told}"


@pytest.fixture
def capture(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Path, int]]:
    """A capture and its size; a large one does not stay until the next tests."""
    is_full = request.config.getoption("--full")
    size = int(os.environ.get("OTLP2PARQUET_CAPTURE_BYTES", "2_000_000_000")) if is_full else 10**8
    folder = tmp_path / "capture"
    folder.mkdir()
    write_capture(folder, size)
    yield folder, sum(file.stat().st_size for file in folder.iterdir())
    for place in (folder, tmp_path / "local", tmp_path / "s3"):
        shutil.rmtree(place, ignore_errors=True)


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from Linux's /proc")
def test_a_capture_into_a_bucket(
    tmp_path: Path,
    capture: tuple[Path, int],
    request: pytest.FixtureRequest,
    record: Callable[..., None],
) -> None:
    """In one go and after interruptions the bucket has just what a local folder has."""
    is_full = request.config.getoption("--full")
    kills = int(os.environ.get("OTLP2PARQUET_CONVERT_KILLS", "3")) if is_full else 1
    folder, size = capture
    local = converted(folder, tmp_path / "local")
    expected = content_of(tmp_path / "local")
    files = sum(1 for _ in (tmp_path / "local").rglob("*.parquet"))
    with Versitygw(tmp_path) as s3:
        bucket = converted(folder, s3.url("whole"))
        assert content_of(tmp_path / "s3" / BUCKET / "whole") == expected
        with Proxy(s3.port) as proxy:
            url = f"s3://{BUCKET}/cut?endpoint={proxy.endpoint}"
            for _ in range(kills):
                killed(folder, proxy, url, files // (kills + 1))
        again = converted(folder, s3.url("cut"))
        assert content_of(tmp_path / "s3" / BUCKET / "cut") == expected
        assert re.search(r"[1-9][\d,]* (already there|requests were converted)", again.told)
        nothing = converted(folder, s3.url("cut"))
        assert "0 rows from 0 new requests" in nothing.told
        assert content_of(tmp_path / "s3" / BUCKET / "cut") == expected
    peaks = {"whole": bucket.peak_bytes, "again": again.peak_bytes}
    assert max(peaks.values()) <= local.peak_bytes + MORE_THAN_LOCAL_BYTES, (peaks, local)
    record(
        "convert_bucket",
        capture_bytes=size,
        rows=sum(count for count, _ in expected.values()),
        files=files,
        kills=kills,
        local_secs=round(local.secs, 1),
        bucket_secs=round(bucket.secs, 1),
        local_peak=local.peak_bytes,
        bucket_peak=bucket.peak_bytes,
        again_peak=again.peak_bytes,
    )
