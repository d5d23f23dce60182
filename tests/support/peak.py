"""By how much decoding one payload raises the memory of a fresh process (Linux)."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otlp2parquet import Signal

MILLION = 1_000_000
PEAK = """
import re, sys
from pathlib import Path
from otlp2parquet import BatchBuilder, OtlpError, process_otlp

def peak():
    # Not getrusage: its peak begins with that of the process which started this one.
    return int(re.search("VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

signal, encoding, way, content_type = sys.argv[1:]
options = {"content_encoding": encoding, "content_type": content_type}
payload = sys.stdin.buffer.read()
builder = BatchBuilder()
process_otlp(b"", signal)
builder.append(b"", signal)
before = peak()
try:
    if way == "process_otlp":
        process_otlp(payload, signal, **options)
    else:
        builder.append(payload, signal, **options)
        builder.finish(dictionaries=True)
except OtlpError:
    pass
print(peak() - before)
"""


def peak_mib(
    payload: bytes,
    signal: Signal,
    encoding: str = "identity",
    way: str = "process_otlp",
    content_type: str = "application/x-protobuf",
) -> float:
    """By how many MiB the decode of one payload raises the peak of a fresh process (Linux)."""
    command = [sys.executable, "-c", PEAK, signal, encoding, way, content_type]
    done = subprocess.run(command, input=payload, capture_output=True, check=True)
    return int(done.stdout) / 1024
