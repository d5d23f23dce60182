"""The Worker of Cloudflare Workers: the size of its bundle, time and memory for a request.

``python -m benchmarks.worker_figures FOLDER`` measures the Worker that ``otlp2parquet deploy
cloudflare`` has written into a folder, and writes ``docs/worker_figures.md``. It runs under Pyodide
with Cloudflare's SDK in one Node process; the machine is not Cloudflare's.
"""

from __future__ import annotations

import gzip
import json
import os
import platform
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.worker_commits import RESULT, WINDOW
from otlp2parquet.deploy.worker import CATALOG, PACKAGE, needed_modules
from tests.components.worker_runtime import WorkerRuntime
from tests.support.requests import logs_request

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "worker_figures.md"
HARNESS: Final = ROOT / "tests" / "platforms" / "cloudflare_worker" / "harness.mjs"
RECORDS: Final = (20, 500, 5000)
RUNS: Final = 7
KIB: Final = 1 << 10
MIB: Final = 1 << 20
FREE_MS: Final = 10
"""Processor time that the free plan gives a request."""


def measure(folder: Path) -> list[tuple[int, int, float, float, float]]:
    """For each size: records, bytes, the first and the median milliseconds, MiB of memory."""
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "node.log"
        with WorkerRuntime(HARNESS, folder / "src", log) as worker:
            worker.restart({"OTLP2PARQUET_LOG_LEVEL": "error"})
            for records in RECORDS:
                body = logs_request(records)
                headers = [
                    (b"content-type", b"application/x-protobuf"),
                    (b"content-length", b"%d" % len(body)),
                ]
                times = []
                memory = 0.0
                for _ in range(RUNS):
                    answer = worker.fetch("POST", "/v1/logs", headers, body)
                    assert answer.status == 200, worker.log
                    figures = worker.order("figures")
                    times.append(figures["ms"])
                    memory = figures["memory"] / MIB
                found.append((records, len(body), times[0], statistics.median(times), memory))
    return found


def page(folder: Path, found: list[tuple[int, int, float, float, float]]) -> str:
    """docs/worker_figures.md."""
    paths = sorted((folder / "src").rglob("*.py"))
    sources = [path.read_bytes() for path in paths]
    size, compressed = sum(map(len, sources)), _compressed(sources)
    modules = {path.relative_to(PACKAGE.parent) for path in needed_modules(but=CATALOG).values()}
    always = [path for path in paths if path.relative_to(folder / "src") in modules]
    compressed_always = _compressed(path.read_bytes() for path in always)
    (small, _, _, small_ms, _), *_, (large, _, _, large_ms, _) = found
    each_ms = (large_ms - small_ms) / (large - small)
    base_ms = max(0.0, small_ms - small * each_ms)
    held = max(0, int((FREE_MS - base_ms) / each_ms))
    lines = [
        "# Figures of the Worker",
        "",
        "<!-- Written by `make worker`; not to be edited. -->",
        "",
        "Measured on the folder that `otlp2parquet deploy cloudflare` writes, under Pyodide",
        "with Cloudflare's SDK on this machine, not at Cloudflare. Times move with the machine.",
        "",
        "## Size",
        "",
        f"{len(sources)} modules, {size / KIB:.0f} KiB; {compressed / KIB:.1f} KiB compressed",
        "(gzip, as wrangler says the size of an upload), of which",
        f"{(compressed - compressed_always) / KIB:.1f} KiB are loaded only with a catalog;",
        f"{compressed_always / KIB:.1f} KiB without them. Cloudflare takes 3 MB on the free plan.",
        "",
        "## A request",
        "",
        f"Log records in protobuf, median of {RUNS} requests one after another. The time is",
        "processor time from the call of `fetch` to its response without that of R2's emulation,",
        "the compiling and collecting threads of V8 included. Memory is that of the WebAssembly",
        "instance after them, the interpreter and the standard library included.",
        "",
        "| records | bytes | first, ms | later, ms | ms a record | memory, MiB |",
        "|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {records:,} | {size:,} | {first:.0f} | {later:.0f} | {later / records:.3f} "
        f"| {mib:.0f} |"
        for records, size, first, later, mib in found
    ]
    lines += [
        "",
        f"A request costs about {base_ms:.1f} ms and {each_ms * 1000:.0f} µs a record here.",
        (
            f"The free plan's {FREE_MS} ms hold {held} records by that."
            if held
            else f"The free plan's {FREE_MS} ms hold no request by that."
        ),
        "",
        *commits(),
        "",
        f"(Python {platform.python_version()} drives it, {os.cpu_count()} cores)",
        "",
    ]
    return "\n".join(lines)


def commits() -> list[str]:
    """The part of the page on commits, as they were measured last."""
    lines = [
        "## A commit",
        "",
        "Iceberg's plain client alone, a file a commit, each by a client that knows nothing of",
        "those before, as a Worker's request has one: `python -m benchmarks.worker_commits`, under",
        f"CPython, on average over the {WINDOW} commits up to the one that is named (the slowest",
        "one of them beside it). Calls are those of the bucket; the catalog's answers hold its",
        "snapshots, of which a table keeps 100. pyiceberg finds each file once, at every row.",
        "",
        (
            "| commits | processor time, ms | slowest, ms | calls | read, KiB | written, KiB "
            "| catalog's answers, KiB | manifests | snapshots | metadata files |"
        ),
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {one['commits']:,} | {one['cpu_ms']:.1f} | {one['worst_cpu_ms']:.1f} "
        f"| {one['calls']:.1f} | {one['read_bytes'] / KIB:.1f} "
        f"| {one['written_bytes'] / KIB:.1f} | {one['answer_bytes'] / KIB:.0f} "
        f"| {one['manifests']} | {one['snapshots']} | {one['metadata_files']} |"
        for one in json.loads(RESULT.read_text(encoding="utf-8"))["at"]
    ]
    return lines


def _compressed(sources: Iterable[bytes]) -> int:
    return len(gzip.compress(b"".join(sources), mtime=0))


def main() -> None:
    """Measure, and write the page."""
    folder = Path(sys.argv[1]).resolve()
    PAGE.write_text(page(folder, measure(folder)), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")


if __name__ == "__main__":
    main()
