"""What a commit costs: at the hundredth snapshot, at the thousandth, and of a hundred files.

An SQL catalog in a scratch folder, with the settings of new tables; files are only named, so that
what is measured is the catalog's part. ``python -m benchmarks.commits`` prints the figures and
keeps them in ``benchmarks/results/commits.json``.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pyiceberg.catalog.sql import SqlCatalog

from otlp2parquet.batch_id import new_batch_id
from otlp2parquet.catalogs.iceberg import IcebergCatalog
from otlp2parquet.catalogs.receipts import DataFile, Receipt
from otlp2parquet.writers.protocol import ColumnStatistics

if TYPE_CHECKING:
    from collections.abc import Callable

RESULT = Path(__file__).parent / "results" / "commits.json"
COMMITS = 1050
WINDOW = 100
MANY = 100
NODE = str(uuid.UUID(int=1, version=4))
HOUR = 1_782_896_400
PATTERN = DataFile(
    "",
    1000,
    60_000,
    HOUR,
    {
        1: ColumnStatistics(0, HOUR * 1_000_000, (HOUR + 60) * 1_000_000),
        3: ColumnStatistics(0, "checkout", "shipping"),
        19: ColumnStatistics(0, 5, 17),
    },
)


def commit(catalog: IcebergCatalog, folder: str, files: int) -> None:
    """One attempt, as the committer makes it: load, name the new keys, append."""
    batch_id = new_batch_id()
    named = tuple(
        replace(PATTERN, location=f"{folder}/{batch_id}-{number}.parquet")
        for number in range(files)
    )
    table = catalog.load("otel_logs")
    # A server forgets a key with the commit after the one that took it.
    table.append([Receipt(NODE, batch_id, "otel_logs", named)], {NODE: frozenset({batch_id})})


def timed(action: Callable[[], None]) -> tuple[float, float]:
    """Seconds that it took, and seconds of processor time."""
    began, busy = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - began, time.process_time() - busy


def measure(folder: Path) -> dict[str, float]:
    """All figures, in milliseconds and counts."""
    there = SqlCatalog(
        "bench", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse"
    )
    catalog = IcebergCatalog(lambda: there)
    data = f"file://{folder}/warehouse/otlp/otel_logs/data"
    metadata = folder / "warehouse" / "otlp" / "otel_logs" / "metadata"
    taken, files = [], {}
    for number in range(1, COMMITS + 1):
        taken.append(timed(lambda: commit(catalog, data, 1)))
        if number in (WINDOW + WINDOW // 2, COMMITS):
            files[number] = sum(1 for _ in metadata.iterdir())
    early = taken[WINDOW // 2 : WINDOW // 2 + WINDOW]
    late = taken[-WINDOW:]
    many = [timed(lambda: commit(catalog, data, MANY)) for _ in range(10)]

    def median_ms(some: list[tuple[float, float]]) -> float:
        return round(1000 * statistics.median(wall for wall, _ in some), 1)

    def busy_ms(some: list[tuple[float, float]]) -> float:
        return round(1000 * statistics.fmean(busy for _, busy in some), 1)

    return {
        "at_100_median_ms": median_ms(early),
        "at_1000_median_ms": median_ms(late),
        "at_100_cpu_ms": busy_ms(early),
        "at_1000_cpu_ms": busy_ms(late),
        "ratio_median": round(median_ms(late) / median_ms(early), 2),
        "ratio_cpu": round(busy_ms(late) / busy_ms(early), 2),
        "metadata_files_at_150": files[WINDOW + WINDOW // 2],
        "metadata_files_at_1050": files[COMMITS],
        "hundred_files_median_ms": median_ms(many),
    }


def main() -> None:
    """Measure in a scratch folder, print and keep."""
    with tempfile.TemporaryDirectory() as scratch:
        figures = measure(Path(scratch))
    text = json.dumps(figures, indent=2)
    RESULT.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
