"""``python -m demo``: server up, telemetry in, server down, rows out, and the exact counts."""

from __future__ import annotations

import random
import shlex
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from demo.rows import missing, pattern, show_counts, show_rows
from demo.shop import Shop
from tests.components import ComponentError, Server, free_port
from tests.components.sdk import Sent
from tests.components.sdk_rows import expected_tables

if TYPE_CHECKING:
    from collections.abc import Sequence

OTLP_PORT = 4318
"""Where OTLP/HTTP clients send to when they are told nothing else."""


def choose_port(preferred: int = OTLP_PORT) -> int:
    """``preferred`` where nothing listens on it, else any free port of the loopback."""
    with socket.socket() as probe:
        # What the server does too: a port left in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            return free_port()
    return preferred


def run(output: Path, orders: int, console: Console) -> Sequence[str]:
    """Run the demonstration in ``output``; what is missing or too much in the files."""
    output.mkdir(parents=True)
    sent = Sent()
    with Server(output, port=choose_port()) as server:
        console.print(f"[bold]1.[/] the server runs: {shlex.join(server.words)}", soft_wrap=True)
        shop = Shop(server.endpoint, sent)
        seeded = random.Random(1)  # noqa: S311 - prices, not secrets
        for number in range(orders):
            shop.take_order(number, seeded)
        shop.close()
        console.print(
            f"[bold]2.[/] a shop of three services took {orders} orders, and the SDK sent"
        )
        console.print("   its logs, traces and metrics over OTLP/HTTP, gzipped and plain")
        code = server.stop()
        console.print(f"[bold]3.[/] the server has ended (exit code {code}); what the files hold:")
        if code:
            console.print(server.log, markup=False)
            return [f"the server ended with {code}"]
    expected = {table: len(rows) for table, rows in expected_tables(sent).items()}
    show_counts(server.data, expected, console)
    show_rows(server.data, console)
    console.print("look for yourself, for example with DuckDB:")
    logs = pattern(server.data, "otel_logs")
    console.print(f"  FROM '{logs}' SELECT ServiceName, SeverityText, Body;", soft_wrap=True)
    return missing(server.data, expected)


@click.command()
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="A new folder for the files and the server's log.  [default: data/demo/<now>]",
)
@click.option("--orders", default=200, show_default=True, help="How many orders the shop takes.")
def main(output: Path | None, orders: int) -> None:
    """Show real telemetry becoming rows in Parquet files."""
    console = Console()
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    try:
        troubles = run(output or Path("data", "demo", now), orders, console)
    except ComponentError as error:
        console.print(error, markup=False)
        sys.exit(1)
    for trouble in troubles:
        console.print(f"[bold red]wrong:[/] {trouble}")
    if troubles:
        sys.exit(1)
    console.print("[bold green]every record that was sent is one row[/]")


if __name__ == "__main__":
    main()
