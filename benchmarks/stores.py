"""``python -m benchmarks.stores``: what a store costs, and docs/store_figures.md.

The same objects go into a local folder, and into a local S3 server (versitygw) by both ways; then
small files go through a proxy that adds the latency of a network, by 1 to 16 threads. Needs the
components of the tests. Knows stores by their protocol.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from uuid import uuid4

from otlp2parquet.stores import LocalStore
from otlp2parquet.stores.clients import open_store
from otlp2parquet.stores.fsspec import FsspecStore
from otlp2parquet.stores.location import Location
from tests.components.s3 import BUCKET, CREDENTIALS, KEY_ID, SECRET, Versitygw
from tests.support.proxy import Proxy, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from otlp2parquet.stores import Store

HERE = Path(__file__).parents[1]
RESULT = HERE / "benchmarks" / "results" / "stores.json"
PAGE = HERE / "docs" / "store_figures.md"
SIZES = {"100 kB": (100_000, 200), "4 MB": (4 << 20, 40), "32 MB": (32 << 20, 8)}
THREADS = (1, 2, 4, 8, 16)
LATENCY_SECS = 0.03
_PIECE = 1 << 20  # as the Parquet writer hands it over


def filling(content: memoryview) -> Callable[[BinaryIO], None]:
    """What writes ``content`` by pieces."""

    def fill(sink: BinaryIO) -> None:
        starts = range(0, len(content), _PIECE)
        sink.writelines(bytes(content[start : start + _PIECE]) for start in starts)

    return fill


def seconds(store: Store, size: int, count: int, threads: int) -> float:
    """How long so many objects take."""
    fill = filling(memoryview(os.urandom(size)))
    names = [f"bench/{uuid4().hex}" for _ in range(count)]
    started = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda name: store.create(name, fill), names))
    return time.monotonic() - started


_PEAK = """
import os, re, sys
from benchmarks.stores import filling, store_of
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
store = store_of(sys.argv[1], sys.argv[2])
fill = filling(memoryview(os.urandom(1 << 20)))
store.create("warm/" + os.urandom(8).hex(), fill)
before = peak()
def large(sink):
    for _ in range(256):
        sink.write(os.urandom(1 << 20))
store.create("large/" + os.urandom(8).hex(), large)
print(peak() - before)
"""


def store_of(kind: str, where: str) -> Store:
    """A store by its kind, and the folder or endpoint that it is at."""
    if kind == "local folder":
        return LocalStore(where)
    if kind == "S3 by obstore":
        return open_store(Location("s3", BUCKET, "o", where))
    return FsspecStore(f"s3://{BUCKET}/f", key=KEY_ID, secret=SECRET, endpoint_url=where)


def measure() -> dict[str, object]:
    """All figures."""
    os.environ.update(CREDENTIALS)
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Versitygw(folder) as s3:
            places = {
                "local folder": str(folder / "local"),
                "S3 by obstore": s3.endpoint,
                "S3 by fsspec (s3fs)": s3.endpoint,
            }
            stores = {kind: store_of(kind, where) for kind, where in places.items()}
            rates = {}
            for label, (size, count) in SIZES.items():
                for kind, store in stores.items():
                    best = min(seconds(store, size, count, 4) for _ in range(3))
                    rates[f"{kind}, {label}"] = [count / best, count * size / best / 1e6]
            found["rates"] = rates
            found["peaks_mb"] = {
                kind: int(
                    subprocess.run(
                        [sys.executable, "-c", _PEAK, kind, where],
                        check=True, capture_output=True, text=True, cwd=HERE,
                    ).stdout
                ) * 1024 / 1e6
                for kind, where in places.items()
            }  # fmt: skip
            with Proxy(s3.port, lambda _: Trouble(wait_secs=LATENCY_SECS)) as proxy:
                slow = store_of("S3 by obstore", proxy.endpoint)
                found["threads"] = {
                    str(threads): 64 / seconds(slow, 20_000, 64, threads) for threads in THREADS
                }
    return found


def page(found: dict[str, object]) -> str:
    """docs/store_figures.md."""
    rates, peaks, threads = found["rates"], found["peaks_mb"], found["threads"]
    assert isinstance(rates, dict)
    assert isinstance(peaks, dict)
    assert isinstance(threads, dict)
    conditions = found["conditions"]
    lines = [
        "# Figures of the stores",
        "",
        "<!-- Written by `python -m benchmarks.stores`; not to be edited. -->",
        "",
        f"Taken on {conditions}. versitygw, an S3 server over a folder, ran on the same",
        "machine and took its share of the cores; four threads wrote. Best of three.",
        "",
        "| store | object | files/s | MB/s |",
        "|---|---|--:|--:|",
    ]
    for name, (files, megabytes) in rates.items():
        kind, _, size = name.rpartition(", ")
        lines.append(f"| {kind} | {size} | {files:,.0f} | {megabytes:,.0f} |")
    lines += [
        "",
        "A file up to 8 MB is one PUT; a larger one is a look, an upload by parts of 5 MB, and",
        "another look.",
        "",
        "What one upload of 256 MB adds to the process's peak memory:",
        "",
        "| store | MB |",
        "|---|--:|",
        *(f"| {kind} | {size:,.0f} |" for kind, size in peaks.items()),
        "",
        f"Small files through a proxy that holds each request for {LATENCY_SECS * 1000:.0f} ms,",
        "as a network would:",
        "",
        "| uploads at once | files/s |",
        "|--:|--:|",
        *(f"| {count} | {rate:,.0f} |" for count, rate in threads.items()),
        "",
        "The server makes 8 at once for one batch.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write both files."""
    found = measure()
    cores = f"{os.cpu_count()} cores shared with other work"
    found["conditions"] = f"{platform.system()}, Python {platform.python_version()}, {cores}"
    RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
