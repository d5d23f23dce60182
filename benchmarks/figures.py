"""The figures of the page: each checks that every record was kept before it quotes a time.

Knows otlp2parquet's interfaces and the peers. Must not know how a page looks.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pyarrow.parquet as pq

from otlp2parquet import process_otlp
from otlp2parquet.writers import ParquetWriter

from .batches import ROWS, batch_requests, build
from .capture import write_capture
from .measure import Pair, cpu_secs, one_core, side_by_side
from .payloads import SHAPES, SIGNALS, Payloads, as_json
from .peers import upb

if TYPE_CHECKING:
    from collections.abc import Callable

    from otlp2parquet.core import Result
    from otlp2parquet.writers import Compression, StoredFile

    from .payloads import Signal


class LostRowsError(Exception):
    """A measured run did not keep every record: its time means nothing."""


def insist(found: int, expected: int, what: str) -> None:
    """Refuse to go on when rows are missing or too many."""
    if found != expected:
        message = f"{what}: {found} rows, expected {expected}"
        raise LostRowsError(message)


@dataclass(frozen=True, slots=True)
class Decode:
    """One request to tables against a peer's bare parse; nanoseconds a record."""

    signal: str
    shape: str
    records: int
    request_bytes: int
    ours_ns: float
    peer_ns: float
    ratio: float


def decode(signal: Signal, name: str, rounds: int) -> Decode:
    """``process_otlp`` on one request of shape ``name``, beside ``FromString`` of upb."""
    payload = Payloads(signal, SHAPES[name]).requests(1)[0]
    parse = upb.READERS[signal]
    return beside(
        signal,
        name,
        payload,
        ours=lambda: process_otlp(payload, signal),
        parse=lambda: parse(payload),
        rounds=rounds,
    )


def decode_json(signal: Signal, name: str, rounds: int) -> Decode:
    """``process_otlp`` on the JSON text of a request, beside ``orjson.loads`` of the same."""
    (message,) = Payloads(signal, SHAPES[name]).messages(1)
    text = as_json(message)
    return beside(
        signal,
        name,
        text,
        ours=lambda: process_otlp(text, signal, content_type="application/json"),
        parse=lambda: orjson.loads(text),
        rounds=rounds,
    )


def beside(
    signal: Signal,
    name: str,
    payload: bytes,
    *,
    ours: Callable[[], Result],
    parse: Callable[[], object],
    rounds: int,
) -> Decode:
    """Tables of a request beside a peer that parses it, after a look at whether all are there."""
    shape = SHAPES[name]
    found = sum(batch.num_rows for batch in ours().batches)
    insist(found, shape.records, f"decode {signal}")
    # Runs of a millisecond or more, so that the clock's own price does not count.
    inner = max(1, 3_000 // shape.records)
    with one_core():
        pair = side_by_side(
            ours,
            parse,
            rounds=max(5, rounds * 1_000 // max(1_000, shape.records)),
            inner=inner,
        )
    return Decode(
        signal,
        name,
        shape.records,
        len(payload),
        pair.ours / shape.records * 1e9,
        pair.peer / shape.records * 1e9,
        pair.ratio,
    )


def append(signal: Signal, rounds: int) -> Pair:
    """A batch of ``ROWS`` rows in open builders, finished, beside upb parsing the requests.

    Nanoseconds a record.
    """
    requests, parse = batch_requests(signal), upb.READERS[signal]
    insist(sum(b.num_rows for b in build(signal, requests)), ROWS, f"append {signal}")

    def parse_all() -> None:
        for request in requests:
            parse(request)

    with one_core():
        pair = side_by_side(lambda: build(signal, requests), parse_all, rounds=rounds)
    return Pair(pair.ours / ROWS * 1e9, pair.peer / ROWS * 1e9, pair.ratio)


def services_ratio(signal: Signal, rounds: int) -> float:
    """Cost of a record of 1,000 services against one of 5, in a batch of ``ROWS`` rows.

    Both in requests of 10,000 records, so that nothing differs but the services.
    """
    many, few = (batch_requests(signal, name) for name in ("1,000 services", "5 services"))
    with one_core():
        pair = side_by_side(lambda: build(signal, many), lambda: build(signal, few), rounds=rounds)
    return pair.ratio


def rows_ratio(signal: Signal) -> float:
    """Cost of a record of ten million against one of 100,000, in batches of ``ROWS`` at most.

    Between the batches of the ten million the 100,000 are made over and over, so that both have
    the same machine.
    """
    requests = batch_requests(signal)
    few = requests[: len(requests) // 2]
    build(signal, few)
    pairs = []
    with one_core():
        for _ in range(50):
            many = cpu_secs(lambda: build(signal, requests))
            pairs.append((many / 2, cpu_secs(lambda: build(signal, few))))
    return sum(many for many, _ in pairs) / sum(one for _, one in pairs)


@dataclass(frozen=True, slots=True)
class Write:
    """Batches of ``ROWS`` rows into files by one thread, fsync included."""

    signal: str
    compression: str
    rows_a_sec: float
    bytes_a_row: float
    files: int


def write(signal: Signal, compression: Compression, rounds: int) -> Write:
    """Write the finished batches of ``ROWS`` rows; the median of ``rounds`` runs."""
    batches = build(signal, batch_requests(signal))
    seconds = []
    with tempfile.TemporaryDirectory() as folder, one_core():
        writer = ParquetWriter(folder, compression=compression)
        stored: list[StoredFile] = []
        for _ in range(rounds):
            start = time.perf_counter()
            stored = [writer.write(batch) for batch in batches]
            seconds.append(time.perf_counter() - start)
        rows = sum(pq.read_metadata(Path(folder, file.path)).num_rows for file in stored)
        insist(rows, ROWS, f"write {signal}")
    size = sum(file.bytes for file in stored)
    return Write(signal, compression, ROWS / statistics.median(seconds), size / ROWS, len(stored))


@dataclass(frozen=True, slots=True)
class Convert:
    """One run of the command on a large capture."""

    input_bytes: int
    rows: int
    seconds: float
    peak_bytes: int
    files: int
    output_bytes: int
    cores: int


def convert(size: int) -> Convert:
    """``otlp2parquet convert`` as a process of its own on a capture of ``size`` bytes.

    Peak memory is the process's largest resident set, as the system counted it.
    """
    command = Path(sys.executable).with_name("otlp2parquet")
    with tempfile.TemporaryDirectory() as folder:
        captured, output = Path(folder, "captured"), Path(folder, "data")
        captured.mkdir()
        counts = write_capture(captured, size)
        input_bytes = sum(path.stat().st_size for path in captured.iterdir())
        start = time.perf_counter()
        running = subprocess.Popen(
            [command, "convert", captured, "--output", output], stdout=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(running.pid, 0)
        seconds = time.perf_counter() - start
        running.returncode = os.waitstatus_to_exitcode(status)
        if running.returncode:
            message = f"convert ended with {running.returncode}"
            raise LostRowsError(message)
        files = list(output.rglob("*.parquet"))
        for signal in SIGNALS:
            rows = sum(
                pq.read_metadata(path).num_rows
                for path in files
                if path.relative_to(output).parts[0] == signal
            )
            insist(rows, counts[signal], f"convert {signal}")
        return Convert(
            input_bytes,
            sum(counts.values()),
            seconds,
            usage.ru_maxrss * 1024,
            len(files),
            sum(path.stat().st_size for path in files),
            len(os.sched_getaffinity(0)),
        )
