"""``python -m benchmarks.report``: measure everything and write the page of figures.

Knows how the page reads. The figures come from ``figures``; none is typed by hand, except
those of peers that are not run here, which are named as such.
"""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from benchmarks import durability, figures
from benchmarks.batches import ROWS
from benchmarks.payloads import SHAPES, SIGNALS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from otlp2parquet.writers import Compression

PAGE: Final = Path(__file__).parents[1] / "docs" / "benchmarks.md"
GB: Final = 1_000_000_000
MUST: Final[Mapping[tuple[str, str], float]] = {
    ("logs", "small"): 1.0,
    ("traces", "small"): 1.0,
    ("metrics", "small"): 1.0,
    ("logs", "typical"): 0.40,
    ("traces", "typical"): 0.45,
    ("metrics", "typical"): 0.42,
}
"""What a ratio to upb may be at most."""
AIM, SMALL_AIM = 0.30, 0.70
JSON_MUST: Final[Mapping[tuple[str, str], float]] = {
    (signal, "typical"): 0.25 for signal in SIGNALS
}
JSON_AIM = 0.18
SERVICES_MUST, ROWS_MUST = 1.4, 1.1
BYTES_MUST, BYTES_AIM = 0.40, 0.35
PEER_BYTES_A_ROW: Final = 149
"""otlp2parquet 0.3.0 (the earlier Rust server), Snappy, on log records of this shape."""
COMPRESSIONS: Final[tuple[Compression, ...]] = ("zstd", "snappy", "none")
RECORDS: Final = {"logs": "log records", "traces": "spans", "metrics": "number points"}


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """A Markdown table; the first column is text, the others are numbers."""
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|--:" * (len(heads) - 1) + "|"]
    return [*lines, *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows), ""]


def processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def conditions() -> list[str]:
    """What the figures were taken with."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("pyarrow", "protobuf", "orjson"))
    return [
        (
            f"otlp2parquet {version('otlp2parquet')}, {packages}, "
            f"Python {platform.python_version()}, {platform.system()}, "
            f"{os.cpu_count()} cores of {processor()}."
        ),
        "",
        "Absolute times move with the machine; ratios of one run hold. In a ratio both sides",
        "run in turn on one core, dozens of times, and the median of the single ratios is",
        "given; times are CPU times. A run that did not keep every record is an error, not a",
        "figure. The extension is built as the wheels are, profile-guided.",
        "",
    ]


def decode_table(
    measure: Callable[..., figures.Decode],
    rounds: int,
    peer: str,
    bounds: Mapping[tuple[str, str], float],
) -> list[str]:
    """One request of each signal and shape to tables, against ``peer``."""
    rows = []
    for signal in SIGNALS:
        for name in ("small", "typical", "large"):
            click.echo(f"{measure.__name__} {signal} {name}", err=True)
            one = measure(signal, name, rounds)
            rows.append(
                (
                    f"{RECORDS[signal]}, {name}",
                    f"{one.records:,}",
                    f"{one.request_bytes / one.records:.0f}",
                    f"{one.ours_ns:.0f}",
                    f"{one.peer_ns:.0f}",
                    f"**{one.ratio:.2f}**",
                    f"{bounds[signal, name]:.2f}" if (signal, name) in bounds else "",
                )
            )
    heads = ("request", "records", "bytes a record", "ours, ns a record", f"{peer}, ns a record")
    return table((*heads, "ratio", "bound"), rows)


def decode_section(rounds: int) -> list[str]:
    """One request to tables, against upb."""
    return [
        "## Protobuf to tables, against upb merely parsing",
        "",
        "`process_otlp` makes every column of every table; upb, the official protobuf runtime",
        "under Python, parses the same bytes and nothing is done with the result. We aim at",
        f"{AIM:.2f} for typical requests and {SMALL_AIM:.2f} for small ones.",
        "",
        *decode_table(figures.decode, rounds, "upb", MUST),
    ]


def json_section(rounds: int) -> list[str]:
    """One request in JSON to tables, against orjson."""
    return [
        "## OTLP/JSON to tables, against orjson making objects",
        "",
        "The same requests as text, compact as the Collector writes it. `process_otlp` makes every",
        "column of every table; `orjson.loads` makes Python objects of the same text, which is the",
        f"least that any decoder in Python begins with. We aim at {JSON_AIM}.",
        "",
        *decode_table(figures.decode_json, rounds, "orjson", JSON_MUST),
    ]


def append_section(rounds: int) -> list[str]:
    """A batch of many requests, against upb."""
    rows = []
    for signal in SIGNALS:
        click.echo(f"append {signal}", err=True)
        pair = figures.append(signal, rounds)
        many = figures.services_ratio(signal, rounds)
        rows.append(
            (
                RECORDS[signal],
                f"{pair.ours:.0f}",
                f"{pair.peer:.0f}",
                f"**{pair.ratio:.2f}**",
                f"{many:.2f}",
                f"{figures.rows_ratio(signal):.2f}",
            )
        )
    return [
        "## Open builders",
        "",
        f"{ROWS // SHAPES['typical'].records} requests of 1,000 records appended to one builder",
        f"and finished with dictionary columns: a batch of {ROWS:,} rows, as the server makes it.",
        "The last columns are the cost of a record when a batch has 1,000 services, against 5",
        f"(bound {SERVICES_MUST}), and of one of ten million rows in such batches, against 100,000",
        f"(bound {ROWS_MUST}).",
        "",
        *table(
            (
                *("records", "ours, ns a record", "upb, ns a record", "ratio"),
                *("1,000 services to 5", "10 million rows to 100,000"),
            ),
            rows,
        ),
    ]


def write_section(rounds: int) -> list[str]:
    """Rows to files."""
    rows, logs = [], {}
    for signal in SIGNALS:
        for compression in COMPRESSIONS:
            click.echo(f"write {signal} {compression}", err=True)
            one = figures.write(signal, compression, rounds)
            if signal == "logs":
                logs[compression] = one.bytes_a_row
            rows.append(
                (
                    f"{RECORDS[signal]}, {compression}",
                    f"{one.rows_a_sec:,.0f}",
                    f"{one.bytes_a_row:.1f}",
                    one.files,
                )
            )
    ratio = logs["zstd"] / PEER_BYTES_A_ROW
    return [
        "## Parquet files",
        "",
        f"The same {ROWS:,} rows into one file per table, service and hour, by one thread, each",
        "file fsync'ed (so this is wall time, and the disk's too).",
        "",
        *table(("rows", "rows/s written", "bytes a row", "files"), rows),
        f"The earlier Rust server, otlp2parquet 0.3.0, needed {PEER_BYTES_A_ROW} bytes a row for",
        "log records of this shape (measured apart, not in this run); the default here needs",
        f"**{ratio:.2f}** of that. The bound is {BYTES_MUST:.2f}, the aim {BYTES_AIM}.",
        "",
    ]


def convert_section(size: int) -> list[str]:
    """A large capture, by the command."""
    click.echo(f"convert {size / GB:.1f} GB", err=True)
    one = figures.convert(size)
    rows = [
        ("input", f"{one.input_bytes / GB:.2f} GB, {one.rows:,} records"),
        ("time", f"{one.seconds:.1f} s on {one.cores} cores"),
        ("speed", f"**{one.input_bytes / one.seconds / 1e6:,.0f} MB/s**"),
        ("", f"{one.rows / one.seconds:,.0f} rows/s"),
        ("peak memory", f"**{one.peak_bytes / 1e6:,.0f} MB** resident"),
        ("output", f"{one.files:,} files, {one.output_bytes / one.rows:.1f} bytes a row"),
    ]
    return [
        "## A large capture",
        "",
        "`otlp2parquet convert` on a Collector's capture (length-prefixed requests): half of it",
        "log records, a quarter spans, a quarter number points. Requests repeat with later",
        "times, a second copy far enough from the first that no compression can see both.",
        "",
        *table(("", "figure"), rows),
    ]


def kept_section(rounds: int) -> list[str]:
    """What a kept 200 costs."""
    click.echo("durability", err=True)
    one = durability.kept(rounds)
    rows = [
        ("fsync, 32 connections", f"{one.fsync_a_sec:,.0f} requests/s"),
        ("memory, 32 connections", f"{one.memory_a_sec:,.0f} requests/s"),
        ("ratio (bound 0.75)", f"**{one.ratio:.2f}**"),
        (f"fsync, {durability.RATE} requests/s wanted", f"{one.rate:,.0f} requests/s sent"),
        ("median wait for the answer", f"{one.p50_ms:.1f} ms"),
        ("99th percentile (bound 50 ms)", f"**{one.p99_ms:.1f} ms**"),
    ]
    return [
        "## A 200 that means kept",
        "",
        f"The server under log records in bodies of {one.body_bytes:,} bytes; the client shares",
        "its cores. In the mode fsync an answer waits for the disk, in memory it does not.",
        "",
        *table(("", "figure"), rows),
    ]


@click.command()
@click.option("--output", type=click.Path(path_type=Path), default=PAGE, help="The page.")
@click.option("--rounds", default=41, show_default=True, help="Runs of each side of a ratio.")
@click.option("--capture-gb", default=2.0, show_default=True, help="Size of the large capture.")
def main(output: Path, rounds: int, capture_gb: float) -> None:
    """Measure, and write the page of figures."""
    few = max(3, rounds // 4)
    lines = [
        "# Figures",
        "",
        "<!-- Written by `make bench`; not to be edited. -->",
        "",
        *conditions(),
        *decode_section(rounds),
        *json_section(rounds),
        *append_section(few),
        *write_section(few),
        *kept_section(max(3, rounds // 8)),
        *convert_section(int(capture_gb * GB)),
    ]
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    click.echo(output.read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
