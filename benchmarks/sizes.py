"""``python -m benchmarks.sizes``: what a record costs on its way, for the arithmetic of sizing.

Measures bytes (as sent, compressed, in memory, in a file), which any machine gives alike, and of
CPU time only ratios between signals. Keeps them in ``results/sizes.json``; ``sizing`` reads that.
"""

from __future__ import annotations

import gzip
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otlp2parquet import BatchBuilder
from otlp2parquet.writers import ParquetWriter
from tests.proofs.results import save

from .batches import build
from .payloads import SHAPES, SIGNALS, Payloads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .payloads import Signal

REQUESTS: Final = 50
"""Of a thousand records: a batch of a minute at some 800 a second."""
ROWS: Final = REQUESTS * SHAPES["typical"].records
ROUNDS: Final = 3
GZIP_LEVEL: Final = 6
"""What exporters use."""


def bytes_of(signal: Signal, requests: Sequence[bytes]) -> dict[str, float]:
    """Bytes a record in each form, over a batch of ``ROWS``."""
    builder = BatchBuilder()
    for request in requests:
        builder.append(request, signal)
    arrow = builder.num_memory_bytes
    with tempfile.TemporaryDirectory() as folder:
        writer = ParquetWriter(Path(folder))
        stored = [writer.write(batch) for batch in builder.finish(dictionaries=True)]
    return {
        "sent": sum(map(len, requests)) / ROWS,
        "gzip": sum(len(gzip.compress(one, GZIP_LEVEL)) for one in requests) / ROWS,
        "arrow": arrow / ROWS,
        "parquet": sum(file.bytes for file in stored) / ROWS,
    }


def cpu_secs(signal: Signal, requests: Sequence[bytes]) -> float:
    """CPU time from a batch's requests to its files."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        writer = ParquetWriter(Path(folder))
        for batch in build(signal, requests):
            writer.write(batch)
        return time.process_time() - started


def main() -> None:
    """Measure, and keep what was found."""
    shape = SHAPES["typical"]
    requests = {signal: Payloads(signal, shape).requests(REQUESTS) for signal in SIGNALS}
    found = {signal: bytes_of(signal, requests[signal]) for signal in SIGNALS}
    ratios: dict[Signal, list[float]] = {signal: [] for signal in SIGNALS}
    for _ in range(ROUNDS):
        # In turn, so that whatever else the machine does meets all of them alike.
        spent = {signal: cpu_secs(signal, requests[signal]) for signal in SIGNALS}
        for signal in SIGNALS:
            ratios[signal].append(spent[signal] / spent["logs"])
    save(
        "sizes",
        {
            "rows": ROWS,
            **{
                signal: {
                    **{form: round(value, 1) for form, value in found[signal].items()},
                    "cpu_of_a_log": round(statistics.median(ratios[signal]), 2),
                }
                for signal in SIGNALS
            },
        },
    )


if __name__ == "__main__":
    main()
