"""docs/sizing.md: the words around the arithmetic of ``sizing``. Computes and measures nothing."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otlp2parquet.config import Config

from .sizing import (
    BESIDE_BYTES,
    BUSY,
    EXAMPLES,
    SIGNALS,
    answer,
    duration,
    quantity,
    recorded,
    size,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PAGE: Final = Path(__file__).parents[1] / "docs" / "sizing.md"
WIDTH: Final = 98


def paragraph(text: str) -> list[str]:
    """Lines of a paragraph, and an empty one."""
    wrapped = textwrap.wrap(
        " ".join(text.split()), WIDTH, break_long_words=False, break_on_hyphens=False
    )
    return [*wrapped, ""]


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """A Markdown table; the first column is text, the others are numbers."""
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|--:" * (len(heads) - 1) + "|"]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def page() -> str:
    """The page, from the recorded figures and the default settings."""
    _, rates, services = EXAMPLES[-1]
    lines = [
        "# How large a machine",
        "",
        "<!-- Written by `python -m benchmarks.sizing --page`; not to be edited. -->",
        "",
        *paragraph("""What a server needs follows from what a record costs, and that was measured.
            For a rate of your own, from a checkout with its environment (`make dev`):"""),
        "```text",
        "$ python -m benchmarks.sizing --logs 5000 --spans 2000 --points 10000 --services 20",
        *answer(rates, services),
        "```",
        "",
        *paragraph("""Records of your own are larger or smaller, and processors differ: take these
            figures for the order of magnitude, and `/metrics` of a server that runs for the
            rest."""),
        *record_section(),
        *examples_section(),
        *memory_section(),
        *advice(),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def record_section() -> list[str]:
    """What was measured."""
    of, log, two = recorded("sizes"), recorded("throughput")["gzip"], recorded("two_cores")["gzip"]
    rows = (
        (
            name,
            *(f"{of[signal][form]:,.1f}" for form in ("sent", "gzip", "arrow", "parquet")),
            f"{of[signal]['cpu_of_a_log']:.2f}",
        )
        for signal, name in SIGNALS.items()
    )
    return [
        "## What a record costs",
        "",
        *paragraph(f"""Requests of 1,000 records of 5 services, {of["rows"]:,} records of each kind:
            bytes of the request, the same with gzip (and so in the log, which keeps bodies as they
            were sent), in memory while its batch is open (with the room that buffers keep for
            more), and in Parquet with zstd."""),
        *table(("bytes of", "sent", "gzip, log", "memory", "Parquet", "CPU, of a log's"), rows),
        *paragraph(f"""A log record took **{log["ours_us"]:.2f} µs** of CPU from a request with gzip
            to its file, all of the process counted ([figures](server_figures.md)). Without sockets
            two cores stored {two["two"]:,.0f} of them a second."""),
    ]


def examples_section() -> list[str]:
    """Some rates."""
    config = Config()
    heads = (
        *("a second", "services", "cores busy", "network", "batch", "log", "outage"),
        *("Parquet a day", "files a day"),
    )
    return [
        "## Examples",
        "",
        *paragraph(f"""With the default settings: a batch is open for
            {config.batch.max_age_secs:.0f} s, {config.batch.max_rows:,} rows or
            {quantity(config.batch.max_bytes)}, and the log may hold
            {quantity(config.durability.max_bytes)}. Services are those that send within one batch;
            each has a file of its own in the layout `service`. *Outage* is how long the storage may
            be away until the log is full and requests get 503. A batch is closed by its data,
            without that room, so batches live somewhat longer than said here, and files are
            fewer."""),
        *table(heads, (example(*one) for one in EXAMPLES)),
    ]


def example(name: str, rates: Mapping[str, float], services: int) -> Sequence[str]:
    """A line of the examples."""
    needed = size(rates, services)
    return (
        name,
        str(services),
        f"{needed.cores:.2f}",
        f"{quantity(needed.received)}/s",
        f"{quantity(needed.batch_bytes)} in {needed.batch_secs:.0f} s",
        quantity(needed.log),
        duration(needed.outage_secs),
        quantity(needed.parquet_a_day),
        f"{needed.files_a_day:,.0f}",
    )


def memory_section() -> list[str]:
    """What does not depend on the rate."""
    config, needed = Config(), size({"logs": 1}, 1)
    idle, overload = recorded("idle_memory"), recorded("overload")
    budget = config.batch.memory_bytes
    return [
        "## Memory",
        "",
        *paragraph(f"""The limit does not depend on the rate. `batch.memory_bytes`
            ({quantity(budget)}) is what is held at the most. {quantity(BESIDE_BYTES)} come beside
            it: {quantity(overload["peak_pss"])} in all were measured over
            {duration(overload["secs"])} of more than the disk took, and
            {quantity(idle["after_first_files"])} on an idle server. And gRPC may be receiving half
            the budget again: **{quantity(needed.memory)}**, which the files in `deploy/` round up
            to 1280 MiB. With `server.grpc_addr = "off"` it is {quantity(budget + BESIDE_BYTES)}.
            A smaller budget has to hold a batch and a request twice: lower `batch.max_bytes` and
            `request.max_payload_bytes` with it."""),
    ]


def advice() -> list[str]:
    """What follows for disk, CPU and files."""
    one = recorded("one_record")
    return [
        "## Disk",
        "",
        *paragraph("""The log is small while files are stored. Give it room for the longest outage
            of the storage that is to be outlived: `durability.max_bytes` is *network* times that
            time, and the disk at least twice that, since one with less than a tenth and less than
            4 GiB free is treated as full. It has to honour fsync and to be local. A group of
            requests costs one sync, and clients wait for it."""),
        "## CPU",
        "",
        *paragraph(f"""Plan for cores that are {BUSY:.0%} busy. One process uses as many as there
            are (`server.threads`). Beyond one machine run several servers, each with a log of
            its own, behind a load balancer: they share a bucket, and a catalog, and know nothing
            of each other."""),
        *paragraph(f"""Many small requests cost more than few large ones: one of a single record
            takes some {one["ours_us"]:.0f} µs, so let SDKs or a Collector batch."""),
        "## Files",
        "",
        *paragraph("""Small files are slow to read. Where a day has more than some tens of
            thousands, let batches grow: `batch.max_bytes` (and `batch.memory_bytes`, to four times
            that) where they are closed by bytes, `batch.max_age_secs` where by age. Or choose the
            layout `hour`, which has one file for all services."""),
    ]
