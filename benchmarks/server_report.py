"""``python -m benchmarks.server_report``: the page of the server's figures, from kept results.

Knows how the page reads. Measures nothing: the results lie in ``benchmarks/results``, written by
``make bench-server``, ``make soak`` and ``make overload``; none is typed by hand.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

RESULTS: Final = Path(__file__).with_name("results")
PAGE: Final = Path(__file__).parents[1] / "docs" / "server_figures.md"
NAMES: Final = ("throughput", "grpc", "one_record", "two_cores", "idle_memory", "soak", "overload")
CURVE_ROWS: Final = 20

Result = dict[str, Any]


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """A Markdown table; the first column is text, the others are numbers."""
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|--:" * (len(heads) - 1) + "|"]
    return [*lines, *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows), ""]


def mb(count: float) -> str:
    """Bytes as megabytes."""
    return f"{count / 1e6:,.0f}"


def taken_with(result: Result) -> list[str]:
    """What a result was taken with."""
    with_ = result["conditions"]
    return [
        (
            f"(otlp2parquet {with_['otlp2parquet']}, Granian {with_['granian']}, pyarrow "
            f"{with_['pyarrow']}, Python {with_['python']}, {with_['cores']} cores)"
        ),
        "",
    ]


def throughput_section(result: Result) -> list[str]:
    """CPU a log."""
    rows = [
        (
            encoding,
            f"{result[encoding]['ours_us']:.2f}",
            f"{result[encoding]['peer_us']:.2f}",
            f"**{result[encoding]['ratio']:.2f}**",
        )
        for encoding in ("identity", "gzip")
    ]
    return [
        "## CPU a log, HTTP to Parquet",
        "",
        f"Requests of 1,000 log records of 5 services, 16 connections, beside {result['peer']},",
        (
            "which receives, decodes and throws away (its blackhole exporter). Durability is "
            f"`{result.get('mode', 'memory')}`, with {result.get('bodies', 64)} bodies in turn;"
        ),
        "ours writes every row into zstd Parquet files. CPU time of the process group.",
        "",
        *table(("encoding", "ours, µs a log", "peer, µs a log", "ratio"), rows),
        *taken_with(result),
    ]


def grpc_section(result: Result) -> list[str]:
    """CPU a log, by the two fronts."""
    rows = [
        (
            encoding,
            f"{result[encoding]['grpc_us']:.2f}",
            f"{result[encoding]['http_us']:.2f}",
            f"**{result[encoding]['ratio']:.2f}**",
        )
        for encoding in ("identity", "gzip")
    ]
    return [
        "## CPU a log, gRPC beside HTTP",
        "",
        f"Requests of 1,000 log records, {result['bodies']} bodies in turn, 16 connections,",
        f"durability `{result['mode']}`, to Parquet by either front; {result['rounds']} runs of",
        f"{result['secs']} s of each in turn. The aim is 1.3.",
        "",
        *table(("encoding", "gRPC, µs a log", "HTTP, µs a log", "ratio"), rows),
        *taken_with(result),
    ]


def one_record_section(result: Result) -> list[str]:
    """CPU a request."""
    row = (
        "one log record",
        f"{result['ours_us']:.1f}",
        f"{result['peer_us']:.1f}",
        f"**{result['ratio']:.2f}**",
    )
    return [
        "## One record a request",
        "",
        "Beside an ASGI application under Granian that reads the body and answers with nothing.",
        "The bound is 1.8, the aim 1.4.",
        "",
        *table(("request", "ours, µs", "bare, µs", "ratio"), [row]),
        *taken_with(result),
    ]


def two_cores_section(result: Result) -> list[str]:
    """One process, two cores."""
    rows = [
        (
            encoding,
            f"{result[encoding]['one']:,.0f}",
            f"{result[encoding]['two']:,.0f}",
            f"**{result[encoding]['ratio']:.2f}**",
        )
        for encoding in ("identity", "gzip")
    ]
    return [
        "## Two cores against one",
        "",
        "The application driven in its own process, without sockets and without a generator beside",
        "it, until every file is stored; the best run of each. The bound is 1.75, the aim 1.9.",
        "",
        *table(("encoding", "one core, rows/s", "two cores, rows/s", "ratio"), rows),
        *taken_with(result),
    ]


def idle_memory_section(result: Result) -> list[str]:
    """A server with nothing to do."""
    rows = [
        ("after the start", mb(result["started"])),
        ("after the first files", mb(result["after_first_files"])),
    ]
    return [
        "## Memory when idle",
        "",
        "PSS of the process group. The bound is 140 MB.",
        "",
        *table(("", "MB"), rows),
        *taken_with(result),
    ]


def rows_by_table(result: Result) -> list[str]:
    """What clients saw acknowledged, beside what the files hold."""
    unseen = result["stored_without_a_seen_answer"]
    rows = [
        (name, f"{result['acknowledged'].get(name, 0):,}", f"{unseen.get(name, 0):,}", f"{count:,}")
        for name, count in result["stored"].items()
    ]
    heads = ("table", "acknowledged", "answer unseen, stored", "rows in files")
    return table(heads, rows)


def by_fronts(result: Result) -> str:
    """Where the clients sent to, if the result says so."""
    return f", over {result['fronts']}" if "fronts" in result else ""


def soak_section(result: Result) -> list[str]:
    """The soak."""
    return [
        "## Soak",
        "",
        f"`make soak`: {result['mixed_secs'] / 60:.0f} minutes of the Python and JavaScript SDKs,",
        (
            f"telemetrygen, a Collector with gzip and plain clients{by_fronts(result)}, then "
            f"{result['rush_secs'] / 60:.0f} minutes of wrk at full"
        ),
        "speed while others leave in the middle of their requests, then SIGTERM while eight",
        "clients send as fast as they can. Every request is numbered, and each row names its",
        "request: rows in files are exactly those acknowledged, request by request. A client that",
        "leaves after it has sent everything cannot know; its requests are there whole or not at",
        "all.",
        "",
        *rows_by_table(result),
        (
            f"{result['requests']:,} requests acknowledged, refused: {refusals(result)}; "
            f"{result['batches']} batches in {result['files']:,} files; "
            f"peak memory {mb(result['peak_pss'])} MB; ended "
            f"{result['stop_secs']:.1f} s after SIGTERM with 0."
        ),
        "",
        *taken_with(result),
    ]


def refusals(result: Result) -> str:
    """Refused requests by status."""
    refused: Mapping[str, int] = result["refused"]
    return ", ".join(f"{count:,} with {status}" for status, count in refused.items()) or "none"


def overload_section(result: Result) -> list[str]:
    """The overload and its curve."""
    curve = result["curve"]
    step = max(1, len(curve) // CURVE_ROWS)
    rows = [
        (
            f"{chunk[-1]['secs'] / 60:.1f}",
            mb(max(sample["pss"] for sample in chunk)),
            mb(max(sample["used"] for sample in chunk)),
            f"{chunk[-1]['acknowledged']:,.0f}",
            f"{chunk[-1]['refused']:,.0f}",
        )
        for chunk in (curve[at : at + step] for at in range(0, len(curve), step))
    ]
    return [
        "## Overload",
        "",
        f"`make overload`: for {result['secs'] / 60:.0f} minutes clients offer more than a slow",
        f"disk takes (each file's fsync lasts {result['sync_secs']:g} s), then the disk is well",
        "again.",
        (
            f"The budget is {mb(result['memory_bytes'])} MB; the bound on PSS, 250 MB above it, "
            f"{mb(result['bound'])} MB; the peak was"
        ),
        (
            f"**{mb(result['peak_pss'])} MB**. {result['requests']:,} requests were acknowledged, "
            f"refused: {refusals(result)}. Nothing acknowledged is missing, nothing refused"
        ),
        "is there, and the same process took everything once the disk did.",
        "",
        *table(
            ("minute", "PSS, MB", "budget used, MB", "acknowledged so far", "refused so far"), rows
        ),
        *rows_by_table(result),
        *taken_with(result),
    ]


def page(results: Mapping[str, Result]) -> str:
    """The page; a section for each result that there is."""
    sections = {
        "throughput": throughput_section,
        "grpc": grpc_section,
        "one_record": one_record_section,
        "two_cores": two_cores_section,
        "idle_memory": idle_memory_section,
        "soak": soak_section,
        "overload": overload_section,
    }
    lines = [
        "# Figures of the server",
        "",
        "<!-- Written by `make bench-server`, `make soak`, `make overload`; not to be edited. -->",
        "",
        "Absolute times move with the machine; ratios of one run hold. Server and peer have one",
        "core and the generator another; CPU time is that of the whole process group, and a run",
        "that did not keep every record is an error, not a figure.",
        "",
    ]
    for name, section in sections.items():
        if name in results:
            lines += section(results[name])
    return "\n".join(lines).rstrip() + "\n"


def kept() -> dict[str, Result]:
    """The results of the last runs."""
    paths = {name: RESULTS / f"{name}.json" for name in NAMES}
    return {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}


@click.command()
@click.option("--output", type=click.Path(path_type=Path), default=PAGE, help="The page.")
def main(output: Path) -> None:
    """Write the page."""
    output.write_text(page(kept()), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
