"""``otlp2parquet flush``: have a running server store what is open.

Knows the terminal, and what the server's answer says.
"""

import json
from pathlib import Path
from typing import Any

import click

from otlp2parquet.cli import CONTEXT_SETTINGS
from otlp2parquet.cli.failure import Failure
from otlp2parquet.cli.options import config_option, form_option, timeout_option, url_option
from otlp2parquet.cli.running_server import server_at
from otlp2parquet.config import Flags, load
from otlp2parquet.errors import OtlpError
from otlp2parquet.printable import printable

_SPARE_SECS = 10.0
"""How much longer than the server the command waits for its answer."""


@click.command(context_settings=CONTEXT_SETTINGS)
@config_option
@url_option("Where the server is; by default where these settings have it listen.")
@timeout_option(30.0, "How long to wait for the storage, 300 at most.", maximum=300)
@form_option("text for people; json as one line.")
@click.pass_context
def flush(
    ctx: click.Context, path: Path | None, url: str | None, timeout_secs: float, form: str
) -> None:
    """Have a running server write what it has received to files now.

    Returns when every row that was acknowledged before is in a file. Where the storage does not
    take the rows in time they stay where they are, the reason is told and the exit code is 1. A
    token, if the server asks for one, is the first of server.auth.tokens.
    """
    try:
        server = server_at(url, load(Flags(config=path)).config)
        status, body = server.request(
            "POST", f"/flush?timeout={timeout_secs}", timeout_secs + _SPARE_SECS
        )
    except OtlpError as error:
        raise Failure(error) from error
    try:
        page = json.loads(body)
    except ValueError:
        page = None
    if not isinstance(page, dict):
        raise Failure(f"{server.url} answered {status}, expected an otlp2parquet that knows flush")
    if form == "json":
        click.echo(json.dumps(page))
        ctx.exit(0 if status == 200 else 1)  # noqa: PLR2004 - HTTP's
    if status != 200:  # noqa: PLR2004 - HTTP's
        raise Failure(f"{server.url}: {printable(str(page.get('message', status)))}")
    try:
        line = as_text(page)
    except (KeyError, TypeError, ValueError, AttributeError):
        line = ""
    if not line:
        raise Failure(f"{server.url} answered {status}, expected an otlp2parquet that knows flush")
    click.echo(printable(line))


def as_text(page: dict[str, Any]) -> str:
    """What was stored, in one line."""
    place = f", in {page['root']}" if page.get("root") else ""
    rows = sum(page["rows"].values())
    if not rows:
        return f"nothing was waiting, everything is stored{place}"
    what = f"{_count(rows, 'row')} in {_count(page['files'], 'file')}"
    return f"stored {what} ({_size(page['bytes'])}), in {page['secs']:.1f} s{place}"


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}" + ("" if number == 1 else "s")


def _size(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":  # noqa: PLR2004 - the next unit
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
