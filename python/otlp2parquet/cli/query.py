"""``otlp2parquet query``: a question in SQL about stored telemetry.

Knows the terminal. The work is in ``otlp2parquet.query``.
"""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from otlp2parquet.cli import CONTEXT_SETTINGS
from otlp2parquet.cli.failure import Failure
from otlp2parquet.cli.options import config_option
from otlp2parquet.config import Config, Flags, load
from otlp2parquet.errors import OtlpError
from otlp2parquet.query.values import harmless

if TYPE_CHECKING:
    from otlp2parquet.query.engine import Answer

_STDIN: Final = "-"


@click.command(context_settings=CONTEXT_SETTINGS)
@click.argument("arguments", metavar="[SQL] [FOLDER|URL]", nargs=-1)
@config_option
@click.option(
    "-f",
    "--file",
    type=click.Path(path_type=Path, allow_dash=True, dir_okay=False),
    metavar="FILE",
    help="Read the SQL from a file instead; - is standard input, as it is in place of SQL.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "ndjson", "markdown"]),
    default="table",
    show_default=True,
    help="table for people; json is one array, ndjson an object a line.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=1000,
    show_default=True,
    metavar="ROWS",
    help="How many rows a table shows at most; 0 for all. Other formats have all.",
)
@click.option(
    "--no-flush", is_flag=True, help="Do not ask a running server to store its rows first."
)
def query(  # noqa: PLR0917 - click passes options by name
    arguments: tuple[str, ...],
    path: Path | None,
    file: Path | None,
    form: str,
    limit: int,
    no_flush: bool,  # noqa: FBT001 - click passes options by name
) -> None:
    """Answer a question in SQL about stored telemetry.

    The views are logs, traces, metrics_gauge, metrics_sum, metrics_histogram,
    metrics_exponential_histogram, metrics_summary, and metrics over all points. They have the
    columns of "otlp2parquet schema" and service, date and hour, by which files are left out
    unopened. Without FOLDER or URL it is the storage that the server would write to. A server of
    this machine that writes there stores first what it has received. DuckDB answers, an extra:
    pip install 'otlp2parquet[query]'.

    \b
    otlp2parquet query "SELECT ServiceName, count(*) FROM logs GROUP BY ALL"
    otlp2parquet query "FROM traces WHERE Duration > 1e9" s3://data --format csv
    """  # noqa: D301 - click knows lines by this character that stay as they are
    sql, place = _sql_and_place(arguments, file)
    try:
        config = load(Flags(config=path, output=place)).config
        # Here, so that neither --help nor a mistake in a setting waits for pyarrow and DuckDB.
        from otlp2parquet.query.engine import Engine  # noqa: PLC0415
        from otlp2parquet.storage import open_existing  # noqa: PLC0415

        store = open_existing(config.storage)
        with Engine(store) as engine:
            if not no_flush:
                _have_rows_stored(config, store.root)
            answer = engine.ask(sql)
            if engine.views and not engine.files:
                click.echo(f"{engine.root} has no files of {', '.join(engine.views)}", err=True)
                if config.catalog_type != "none":
                    click.echo(
                        "with a catalog its tables are read by engines that know it", err=True
                    )
            _show(answer, form, limit)
    except OtlpError as error:
        raise Failure(error) from error


def _have_rows_stored(config: Config, root: str) -> None:
    """Ask the servers that write there to store what they have; a warning names who does not."""
    # Here for the same reason: TLS takes its time.
    from otlp2parquet.cli.running_server import NoServerError, server_at  # noqa: PLC0415
    from otlp2parquet.platforms.presence import notes_of, searched_folders  # noqa: PLC0415

    for note in notes_of(searched_folders(config), root):
        try:
            server_at(note.url, config, shows_token=note.is_trusted).flush()
        except NoServerError as error:
            click.echo(
                f"Warning: rows that the server (pid {note.pid}) has not stored yet are not in "
                f"the answer: {harmless(str(error))}",
                err=True,
            )


def _sql_and_place(arguments: tuple[str, ...], file: Path | None) -> tuple[str, str | None]:
    if file is not None:
        sql, places = _text_of(str(file)), arguments
    elif arguments:
        sql = _text_of(_STDIN) if arguments[0] == _STDIN else arguments[0]
        places = arguments[1:]
    else:
        raise click.UsageError('found no SQL, expected it: otlp2parquet query "SELECT …"')
    if len(places) > 1:
        raise click.UsageError(
            f"found {' '.join(places)}, expected one folder or URL behind the SQL, and the SQL in "
            "quotes"
        )
    return sql, places[0] if places else None


def _text_of(name: str) -> str:
    try:
        with click.open_file(name, encoding="utf-8") as source:
            return str(source.read())
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{name} cannot be read as SQL: {error}") from error


def _show(answer: "Answer", form: str, limit: int) -> None:
    from otlp2parquet.query.formats import FORMATS  # noqa: PLC0415 - as above
    from otlp2parquet.query.grid import as_grid  # noqa: PLC0415

    to_terminal = sys.stdout.isatty()
    if form == "table":
        width = shutil.get_terminal_size().columns if to_terminal else None
        for line in as_grid(answer.schema, answer.batches, width=width, limit=limit):
            sys.stdout.write(line + "\n")
    elif answer.schema.names:
        for text in FORMATS[form](answer.schema, answer.batches, to_terminal=to_terminal):
            sys.stdout.write(text)
    sys.stdout.flush()
