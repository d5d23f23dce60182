"""``otlp2parquet ls``: what is in a storage, as a table or as JSON.

Knows the terminal. The work is in ``otlp2parquet.listing``.
"""

import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from otlp2parquet.cli import CONTEXT_SETTINGS
from otlp2parquet.cli.failure import Failure
from otlp2parquet.cli.options import config_option, form_option
from otlp2parquet.config import Flags, load
from otlp2parquet.errors import OtlpError
from otlp2parquet.listing import Listing, list_storage
from otlp2parquet.printable import printable
from otlp2parquet.storage import open_existing


@click.command(context_settings=CONTEXT_SETTINGS)
@click.argument("place", metavar="[FOLDER|URL]", required=False)
@config_option
@click.option(
    "--names-only", is_flag=True, help="Read no footers: rows are not counted, which is faster."
)
@form_option("text for people; json with a line per table and hour.")
@click.pass_context
def ls(
    ctx: click.Context,
    place: str | None,
    path: Path | None,
    names_only: bool,  # noqa: FBT001 - click passes options by name
    form: str,
) -> None:
    """Show which tables and hours a storage holds: files, rows, bytes.

    Without FOLDER or URL it is the storage that the server would write to. Names tell table and
    hour, the end of each file its rows; nothing else is read. A file that is no Parquet file is
    named on standard error, and the exit code is then 1.
    """
    try:
        config = load(Flags(config=path, output=place)).config
        listing = list_storage(open_existing(config.storage), count_rows=not names_only)
    except OtlpError as error:
        raise Failure(error) from error
    for problem in listing.problems:
        click.echo(printable(problem), err=True)  # names of files are anybody's
    if form == "json":
        _as_json(listing, names_only=names_only)
    else:
        _as_text(listing, names_only=names_only)
    ctx.exit(1 if listing.problems else 0)


def _as_json(listing: Listing, *, names_only: bool) -> None:
    for one in listing.hours:
        line: dict[str, object] = {
            "table": one.table,
            "hour": f"{one.hour:%Y-%m-%dT%H:00:00Z}",
            "files": one.files,
            "bytes": one.bytes,
        }
        if not names_only:
            line["rows"] = one.rows
        click.echo(json.dumps(line))


def _as_text(listing: Listing, *, names_only: bool) -> None:
    grid = Table("table", "hour (UTC)", box=None, pad_edge=False)
    for name in ("files", "rows", "bytes"):
        grid.add_column(name, justify="right")

    def row(table: str, hour: str, files: int, rows: int, size: int) -> None:
        shown = "" if names_only else f"{rows:,}"
        grid.add_row(table, hour, f"{files:,}", shown, f"{size:,}")

    for one in listing.hours:
        row(one.table, f"{one.hour:%Y-%m-%d %H}", one.files, one.rows, one.bytes)
    row(
        "total",
        "",
        sum(one.files for one in listing.hours),
        sum(one.rows for one in listing.hours),
        sum(one.bytes for one in listing.hours),
    )
    console = Console(width=160, highlight=False, markup=False, soft_wrap=True)
    with console.capture() as captured:
        console.print(grid)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())
    if listing.others:
        click.echo(f"{listing.others:,} other objects")
