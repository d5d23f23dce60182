"""``python -m benchmarks.sizing``: memory, disk and CPU for a given rate, from recorded figures.

``--page`` writes docs/sizing.md. Without it the answer for ``--logs``, ``--spans`` and ``--points`` a
second is printed. Knows the arithmetic and the default settings; measures nothing: the figures lie in
``benchmarks/results``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from otlp2parquet.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

RESULTS: Final = Path(__file__).with_name("results")
PAGE: Final = Path(__file__).parents[1] / "docs" / "sizing.md"
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
        return sum(rates[signal] * of[signal][form] for signal in present)

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
    return [
        f"CPU: {needed.cores:.2f} cores busy; give it {max(1, round(needed.cores / BUSY + 0.5))}",
        f"memory: a limit of {quantity(needed.memory)}; a batch has {quantity(needed.batch_bytes)} "
        f"when it is closed, after {needed.batch_secs:.0f} s",
        f"network: {quantity(needed.received)} a second with gzip",
        f"log: {quantity(needed.log)} while all is well; with durability.max_bytes as it is, the "
        f"storage may be away for {duration(needed.outage_secs)}",
        f"files: {quantity(needed.parquet_a_day)} a day in {needed.files_a_day:,.0f} files of "
        f"{quantity(needed.parquet_a_day / needed.files_a_day)}",
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


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table; the first column is text, the others are numbers."""
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|--:" * (len(heads) - 1) + "|"]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def page() -> str:
    """docs/sizing.md."""
    of, throughput, two = recorded("sizes"), recorded("throughput"), recorded("two_cores")
    idle, overload = recorded("idle_memory"), recorded("overload")
    config = Config()
    needed = size({"logs": 1}, 1)
    lines = [
        "# How large a machine",
        "",
        "<!-- Written by `python -m benchmarks.sizing --page`; not to be edited. -->",
        "",
        "What a server needs follows from what a record costs, and that was measured. For a rate of",
        "your own, from a checkout:",
        "",
        "```sh",
        "python -m benchmarks.sizing --logs 5000 --spans 2000 --points 10000 --services 20",
        "```",
        "",
        "```",
        *answer(EXAMPLES[-1][1], EXAMPLES[-1][2]),
        "```",
        "",
        "Records of your own are larger or smaller, and processors differ: take these figures for",
        "the order of magnitude, and `/metrics` of a server that runs for the rest.",
        "",
        "## What a record costs",
        "",
        f"Requests of 1,000 records of 5 services, {of['rows']:,} records of each kind: bytes of the",
        "request, the same with gzip (and so in the log, which keeps bodies as they were sent), in",
        "memory while its batch is open, and in Parquet with zstd.",
        "",
        *table(
            ("a record, in bytes", "sent", "gzip, log", "memory", "Parquet", "CPU, of a log's"),
            (
                (
                    name,
                    *(f"{of[signal][form]:,.1f}" for form in ("sent", "gzip", "arrow", "parquet")),
                    f"{of[signal]['cpu_of_a_log']:.2f}",
                )
                for signal, name in SIGNALS.items()
            ),
        ),
        (
            f"A log record took **{throughput['gzip']['ours_us']:.2f} µs** of CPU from a request with "
            "gzip to its file,"
        ),
        "all of the process counted ([figures](server_figures.md)); without sockets two cores stored",
        f"{two['gzip']['two']:,.0f} of them a second.",
        "",
        "## Examples",
        "",
        "With the default settings: a batch is open for "
        f"{config.batch.max_age_secs:.0f} s, {config.batch.max_rows:,} rows or "
        f"{quantity(config.batch.max_bytes)},",
        f"and the log may hold {quantity(config.durability.max_bytes)}. Services are those that send "
        "within one batch; each has a",
        "file of its own in the layout `service`. *Outage* is how long the storage may be away until",
        "the log is full and requests get 503.",
        "",
        *table(
            (
                "a second", "services", "cores busy", "network", "batch", "log", "outage",
                "Parquet a day", "files a day",
            ),
            (example_row(*example) for example in EXAMPLES),
        ),
        "## Memory",
        "",
        f"The limit does not depend on the rate. `batch.memory_bytes` ({quantity(config.batch.memory_bytes)}) "
        "is what is held at the",
        f"most, {quantity(BESIDE_BYTES)} come beside it ({quantity(overload['peak_pss'])} in all were "
        "measured over 20 minutes of",
        f"more than the disk took, {quantity(idle['after_first_files'])} on an idle server), and gRPC "
        "may be receiving half the budget",
        f"again: **{quantity(needed.memory)}**, which the files in `deploy/` round up to 1,280 MiB. With "
        "`server.grpc_addr = \"off\"`",
        f"it is {quantity(config.batch.memory_bytes + BESIDE_BYTES)}. A smaller budget works, too: it "
        "should hold two batches, so lower `batch.max_bytes`",
        "with it to a quarter of it.",
        "",
        "## Disk",
        "",
        "The log is small while files are stored. Give it room for the longest outage of the storage",
        "that is to be outlived: `durability.max_bytes` of *network* times that time, and a disk of",
        "at least twice that, since a disk with less than a tenth (and 4 GiB) free is treated as full.",
        "It has to honour fsync and to be local; one group of requests costs one sync, and clients",
        "wait for it.",
        "",
        "## CPU",
        "",
        f"Plan for cores that are {BUSY:.0%} busy. One process uses as many as there are "
        "(`server.threads`); beyond",
        "one machine run several servers, each with a log of its own, and put them behind a load",
        "balancer: they share a bucket, and a catalog, and know nothing of each other.",
        "",
        "Many small requests cost more than few large ones: one of a single record takes some",
        f"{recorded('one_record')['ours_us']:.0f} µs, so let SDKs or a Collector batch.",
        "",
        "## Files",
        "",
        "Small files are slow to read. Where a day has more than some tens of thousands, let batches",
        "live longer (`batch.max_age_secs`; the log grows with them), choose the layout `hour`, which",
        "has one file for all services, or have a catalog's tables compacted by its own tools.",
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def example_row(name: str, rates: Mapping[str, float], services: int) -> Sequence[str]:
    """A line of the examples."""
    needed = size(rates, services)
    return (
        name,
        str(services),
        f"{needed.cores:.2f}",
        f"{quantity(needed.received)}/s",
        f"{needed.batch_secs:.0f} s, {quantity(needed.batch_bytes)}",
        quantity(needed.log),
        duration(needed.outage_secs),
        quantity(needed.parquet_a_day),
        f"{needed.files_a_day:,.0f}",
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
        PAGE.write_text(page(), "utf-8")
        return
    rates = {"logs": logs, "traces": spans, "metrics": points}
    if not any(rates.values()):
        raise click.UsageError("give a rate: --logs, --spans or --points")
    click.echo("\n".join(answer(rates, services)))


if __name__ == "__main__":
    main()
