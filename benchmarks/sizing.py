"""``python -m benchmarks.sizing``: memory, disk and CPU for a given rate, from recorded figures.

Knows the arithmetic and the default settings. Measures nothing: the figures lie in
``benchmarks/results``. ``--page`` writes docs/sizing.md, whose words are in ``sizing_page``.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from otlp2parquet.config import Config

if TYPE_CHECKING:
    from collections.abc import Mapping

RESULTS: Final = Path(__file__).with_name("results")
SIGNALS: Final = {"logs": "log records", "traces": "spans", "metrics": "number points"}
TABLES: Final = {"logs": 1, "traces": 1, "metrics": 2}
"""Number points are gauges and sums."""
DAY: Final = 86_400
MB: Final = 1_000_000
GB: Final = 1_000_000_000
BESIDE_BYTES: Final = 250 * MB
"""Beside the budget: docs/operations.md, "Memory", and its measurement under overload."""
STORE_SECS: Final = 5.0
"""How long a closed batch may take to be stored, for the log beside an open one."""
BUSY: Final = 0.6
"""How busy a core should be: what remains is for bursts, and for what else the machine does."""


@dataclass(frozen=True, slots=True)
class Size:
    """What a server needs for a rate, under settings."""

    cores: float
    received: float
    """Bytes a second, compressed by gzip."""
    batch_secs: float
    """How long a batch is open."""
    batch_bytes: float
    """Its memory when it closes."""
    memory: float
    """The limit to give the process."""
    log: float
    """Bytes in the log while the storage takes files."""
    outage_secs: float
    """How long the storage may be away until the log is full."""
    parquet_a_day: float
    files_a_day: float


def recorded(name: str) -> dict[str, Any]:
    """A kept result."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
    return found


def size(rates: Mapping[str, float], services: int, config: Config | None = None) -> Size:
    """The arithmetic. ``rates`` are records a second by signal."""
    config = config or Config()
    of = recorded("sizes")
    log_us = recorded("throughput")["gzip"]["ours_us"]
    present = [signal for signal in SIGNALS if rates.get(signal)]

    def a_second(form: str) -> float:
        return sum(rates[signal] * float(of[signal][form]) for signal in present)

    arrow, received, rows = a_second("arrow"), a_second("gzip"), sum(rates[s] for s in present)
    batch = config.batch
    open_secs = min(batch.max_age_secs, batch.max_bytes / arrow, batch.max_rows / rows)
    files = services * sum(TABLES[signal] for signal in present)
    limit = config.request.max_payload_bytes
    receiving = max(2, batch.memory_bytes // (2 * limit)) * limit
    return Size(
        cores=sum(rates[s] * log_us * of[s]["cpu_of_a_log"] for s in present) / 1e6,
        received=received,
        batch_secs=open_secs,
        batch_bytes=open_secs * arrow,
        memory=batch.memory_bytes + BESIDE_BYTES + receiving,
        log=received * (open_secs + STORE_SECS),
        outage_secs=config.durability.max_bytes / received,
        parquet_a_day=a_second("parquet") * DAY,
        files_a_day=DAY / open_secs * files,
    )


def quantity(count: float) -> str:
    """Bytes for a person."""
    for unit, least in (("TB", 1000 * GB), ("GB", GB), ("MB", MB)):
        if count >= least:
            return f"{count / least:,.3g} {unit}"
    return f"{count / 1000:,.3g} kB"


def duration(secs: float) -> str:
    """Seconds for a person."""
    for unit, least in (("days", DAY), ("h", 3600), ("min", 60)):
        if secs >= 2 * least:
            return f"{secs / least:,.0f} {unit}"
    return f"{secs:.0f} s"


def answer(rates: Mapping[str, float], services: int, config: Config | None = None) -> list[str]:
    """What is printed for one rate."""
    needed = size(rates, services, config)
    cores = math.ceil(needed.cores / BUSY)
    a_file = needed.parquet_a_day / needed.files_a_day
    return [
        f"CPU      {needed.cores:.2f} cores busy: give it {cores}",
        f"memory   a limit of {quantity(needed.memory)}",
        f"network  {quantity(needed.received)} a second with gzip",
        f"batch    {quantity(needed.batch_bytes)} when it closes, after {needed.batch_secs:.0f} s",
        f"log      {quantity(needed.log)} while all is well",
        f"outage   {duration(needed.outage_secs)} without a storage until the log is full",
        f"Parquet  {quantity(needed.parquet_a_day)} a day",
        f"files    {needed.files_a_day:,.0f} a day, of {quantity(a_file)}",
    ]


EXAMPLES: Final[tuple[tuple[str, dict[str, float], int], ...]] = (
    ("1,000 log records", {"logs": 1_000}, 5),
    ("10,000 log records", {"logs": 10_000}, 20),
    ("100,000 log records", {"logs": 100_000}, 50),
    ("300,000 log records", {"logs": 300_000}, 50),
    ("10,000 spans", {"traces": 10_000}, 20),
    ("100,000 number points", {"metrics": 100_000}, 20),
    (
        "5,000 log records, 2,000 spans and 10,000 number points",
        {"logs": 5_000, "traces": 2_000, "metrics": 10_000},
        20,
    ),
)


@click.command()
@click.option("--logs", default=0.0, help="Log records a second.")
@click.option("--spans", default=0.0, help="Spans a second.")
@click.option("--points", default=0.0, help="Number points a second.")
@click.option("--services", default=5, show_default=True, help="Services that send.")
@click.option("--page", "writes", is_flag=True, help="Write docs/sizing.md.")
def main(*, logs: float, spans: float, points: float, services: int, writes: bool) -> None:
    """Memory, disk and CPU of a server for a given rate, with the default settings."""
    if writes:
        from .sizing_page import PAGE, page  # noqa: PLC0415 - it is made of what is here

        PAGE.write_text(page(), "utf-8")
        return
    rates = {"logs": logs, "traces": spans, "metrics": points}
    if not any(rates.values()):
        raise click.UsageError("give a rate: --logs, --spans or --points")
    click.echo("\n".join(answer(rates, services)))


if __name__ == "__main__":
    main()
