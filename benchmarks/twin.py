"""The decoder in plain Python: microseconds a log record, span and data point, in both formats.

``python -m benchmarks.twin`` measures this checkout; with the ``python`` folder of another one,
``python -m benchmarks.twin OTHER/python``, both in turn, and gives the median of the ratios: times
move with the machine. Each has a process of its own, which is told when to read.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.payloads import SIGNALS, Payloads, Shape, as_json

RECORDS: Final = 1_000
REQUESTS: Final = 3
ROUNDS: Final = 30
HERE: Final = Path(__file__).parents[1] / "python"
TYPES: Final = {"protobuf": "application/x-protobuf", "json": "application/json"}

PROGRAM: Final = """
import json, sys, time
from otlp2parquet.core.pure.builder import BatchBuilder
for line in sys.stdin:
    signal, content_type, payload = json.loads(line)
    payload = bytes.fromhex(payload)
    start = time.thread_time()
    builder = BatchBuilder()
    appended = builder.append(payload, signal, content_type=content_type)
    print(time.thread_time() - start, appended.accepted, flush=True)
"""


class Decoder:
    """A process with the decoder of one checkout."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONPATH": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def measure(self, line: str) -> float:
        """Microseconds of processor time a record."""
        process = self.process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(line)
        process.stdin.flush()
        seconds, accepted = process.stdout.readline().split()
        assert int(accepted) == RECORDS
        return float(seconds) * 1e6 / RECORDS

    def end(self) -> None:
        """Let the process end."""
        self.process.communicate()


def main() -> None:
    """Measure, and print a line for each signal and format."""
    decoders = [Decoder(folder) for folder in (HERE, *map(Path, sys.argv[1:2]))]
    for signal in SIGNALS:
        messages = list(Payloads(signal, Shape(RECORDS)).messages(REQUESTS))
        for form, content_type in TYPES.items():
            times: list[list[float]] = []
            for number in range(ROUNDS):
                message = messages[number % REQUESTS]
                body = as_json(message) if form == "json" else message.SerializeToString()
                line = json.dumps([signal, content_type, body.hex()]) + "\n"
                times.append([decoder.measure(line) for decoder in decoders])
            told = ", ".join(
                f"median {statistics.median(own):.1f}, least {min(own):.1f} us a record"
                for own in zip(*times, strict=True)
            )
            if len(decoders) > 1:
                ratio = statistics.median(own / other for own, other in times)
                told += f", ratio {ratio:.2f}"
            sys.stdout.write(f"{signal} {form}: {told}\n")
    for decoder in decoders:
        decoder.end()


if __name__ == "__main__":
    main()
