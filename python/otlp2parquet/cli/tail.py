"""``otlp2parquet tail``: what a running server receives, as it comes.

Knows HTTP, as far as the live view of a server needs it, and what to tell who cannot reach one. A
connection that ends is made again, and goes on behind the last event. How lines look is in
``terminal``.
"""

import json
import queue
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import click

from otlp2parquet.cli import CONTEXT_SETTINGS
from otlp2parquet.cli.failure import Failure
from otlp2parquet.cli.options import config_option, url_option
from otlp2parquet.cli.running_server import server_at
from otlp2parquet.cli.terminal.following import CannotLookError, Following, Place, read_place
from otlp2parquet.cli.terminal.screen import Screen, silence, standard_output
from otlp2parquet.cli.terminal.show import Shown
from otlp2parquet.cli.terminal.sse import Event
from otlp2parquet.config import Config, Flags, load
from otlp2parquet.config.sources import CLIENT_TOKEN
from otlp2parquet.core.signals import SIGNALS
from otlp2parquet.errors import OtlpError
from otlp2parquet.platforms.server.live.filters import read_level

TICK_SECS: Final = 0.1


def _level(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> int:
    try:
        return read_level(value or "")
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command(context_settings=CONTEXT_SETTINGS)
@url_option("Where the server is; by default where these settings have it listen.")
@click.option(
    "--signal",
    "signals",
    type=click.Choice(SIGNALS),
    multiple=True,
    help="Only this signal; may be given several times.",
)
@click.option(
    "--service",
    "services",
    metavar="NAME",
    multiple=True,
    help="Only this service.name, exactly; may be given several times.",
)
@click.option(
    "--level",
    metavar="LEVEL",
    callback=_level,
    help="Only log records of this severity or a worse one: trace, debug, info, warn, error, fatal "
    "or a number. Without --signal nothing but logs is shown then.",
)
@click.option(
    "--text", metavar="TEXT", help="Only what has this text, in any case, in body or attributes."
)
@click.option(
    "-n",
    "--recent",
    type=click.IntRange(0, 5000),
    default=10,
    show_default=True,
    help="How many of the last events come first, where somebody was looking before.",
)
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each row and refusal.")
@click.option(
    "--token",
    metavar="TOKEN",
    envvar=CLIENT_TOKEN,
    help="A token of the server; without it the first one of the configuration, if any. "
    "Environment: OTLP2PARQUET_TOKEN.",
)
@config_option
def tail(  # noqa: PLR0917 - click passes options by name
    url: str | None,
    signals: tuple[str, ...],
    services: tuple[str, ...],
    level: int,
    text: str | None,
    recent: int,
    as_json: bool,  # noqa: FBT001 - as above
    token: str | None,
    path: Path | None,
) -> None:
    """Follow what a running server receives, and what it refuses.

    The server is otlp2parquet dev, or serve with server.page = true. When the connection ends it is
    made again. Ctrl-C ends.
    """
    wanted = [("signal", one) for one in signals or (("logs",) if level else ())]
    wanted += [("service", one) for one in services]
    wanted += [("level", str(level))] if level else []
    wanted += [("text", text)] if text else []
    try:
        place = _place(url, token, path)
    except (OtlpError, ValueError) as error:
        raise Failure(error) from error
    screen = standard_output()
    following = Following(place, wanted, recent)
    shown = AsJson(screen) if as_json else Shown(screen)
    try:
        _follow(following, shown)
    except CannotLookError as error:
        raise Failure(error) from error
    except KeyboardInterrupt:
        pass
    except OSError:
        silence(sys.stdout)  # nobody reads it any more


def _follow(following: Following, shown: "Shown | AsJson") -> None:
    following.start()
    try:
        while True:
            try:
                item = following.items.get(timeout=TICK_SECS)
            except queue.Empty:
                shown.tick(time.monotonic())
                continue
            if isinstance(item, Exception):
                raise item
            if isinstance(item, str):
                click.echo(item, err=True)
            else:
                shown.show(item, time.monotonic())
    finally:
        following.stop()
        shown.end()


def _place(url: str | None, token: str | None, path: Path | None) -> Place:
    """Which server, and by which token, of what the configuration says where nothing else does."""
    if url is not None and "://" not in url:
        url = read_place(url, "").url
    is_asked = path is not None or url is None or token is None
    config = load(Flags(path)).config if is_asked else Config()
    server = server_at(url, config)
    return read_place(server.url, token or server.token, server.trusted)


class AsJson:
    """A line of JSON for each row: its columns, and beside them table and time of arrival."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def show(self, events: Iterable[Event], _now: float) -> None:
        """Print what came."""
        for event in events:
            lines = "".join(f"{json.dumps(one)}\n" for one in _objects(event))
            if lines:
                self._screen.print_text(lines)

    def tick(self, _now: float) -> None:
        """Nothing waits."""

    def end(self) -> None:
        """Nothing is left."""


def _objects(event: Event) -> Iterator[dict[str, Any]]:
    data = event.data
    if event.name == "rows":
        for row in data.get("rows", ()):
            yield {"event": "row", "table": data["table"], "received": data["received"], **row}
    elif event.name in ("refused", "skipped"):
        yield {"event": event.name, **data}
