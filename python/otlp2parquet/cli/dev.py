"""``otlp2parquet dev``: ``serve`` for a desk, with what comes in on the terminal.

Knows other defaults than those of ``serve``, and how a thread reads the live view of the server in
this process and prints it. What is printed never holds up the server: a terminal that is slow, or
held, misses lines, and is told how many.
"""

import logging
import os
import queue
import shlex
import signal
import sys
import threading
import time
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import click

from otlp2parquet.cli import CONTEXT_SETTINGS
from otlp2parquet.cli.failure import Failure
from otlp2parquet.cli.options import config_option, host_option, output_option, port_option
from otlp2parquet.cli.serve import leave
from otlp2parquet.config import Flags, load
from otlp2parquet.errors import ConfigError

if TYPE_CHECKING:
    from otlp2parquet.cli.terminal.show import Shown
    from otlp2parquet.platforms.server.application import Application

DEFAULTS: Final = MappingProxyType(
    {"server.page": "true", "server.log_level": "warn", "batch.max_age_secs": "1"}
)

END_SECS: Final = 2.0
"""How long what came last may take to be printed, once everything is stored."""

TICK_SECS: Final = 0.1


@click.command(context_settings=CONTEXT_SETTINGS)
@config_option
@host_option
@port_option
@output_option
@click.option("-q", "--quiet", is_flag=True, help="Print refusals and the summary only.")
@click.option("-v", "--verbose", is_flag=True, help="Log every request.")
def dev(  # noqa: PLR0917 - click passes options by name
    path: Path | None,
    host: str | None,
    port: int | None,
    output: str | None,
    quiet: bool,  # noqa: FBT001 - as above
    verbose: bool,  # noqa: FBT001 - as above
) -> None:
    """Receive OTLP, show it here and on a page, and write Parquet files every second.

    It is serve with other defaults: a batch is stored after a second, the page is on, and the log
    has warnings only. Settings and options are those of serve, and precede these defaults.

    A log record is a line, a trace a tree of its spans once it has been quiet for a moment, a
    metric a line; a request that is refused is shown with its reason at once. To a pipe lines are
    plain and whole. Ctrl-C stores everything and says where the files are.
    """
    # Here, so that --help does not wait for pyarrow.
    from otlp2parquet.platforms import logs  # noqa: PLC0415
    from otlp2parquet.platforms.server import run  # noqa: PLC0415

    flags = Flags(path, host, port, output, verbose)
    try:
        loaded = load(flags, defaults=DEFAULTS, defaults_source="otlp2parquet dev")
        logs.configure(loaded.config.server.log_level, loaded.config.server.log_format)
        # They are printed, each at once.
        logging.getLogger("otlp2parquet.platforms.refusals").setLevel(logging.CRITICAL)
        for warning in loaded.warnings:
            logging.getLogger("otlp2parquet").warning(warning)
        view = TerminalView(quiet=quiet, has_page=loaded.config.server.page)
        code = run.serve(loaded.config, lambda: load(flags, defaults=DEFAULTS).config, view)
    except ConfigError as error:
        raise Failure(error) from error
    view.summarize(output)
    leave(code)


class TerminalView:
    """What comes in, on standard output; what is said about it, on standard error.

    ``begin`` and ``end`` are for the event loop's thread, the rest is a thread of its own.
    """

    def __init__(self, *, quiet: bool, has_page: bool) -> None:
        self._quiet = quiet
        self._has_page = has_page
        self._chunks: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._application: Application | None = None
        self._watcher: Any = None
        self._thread = threading.Thread(target=self._run, name="otlp2parquet-terminal", daemon=True)
        self._state: dict[str, Any] = {}

    def begin(self, application: "Application", http_url: str, grpc_address: str) -> None:
        """Print from now on."""
        from otlp2parquet.platforms.server.live.filters import Filter  # noqa: PLC0415 - see above
        from otlp2parquet.platforms.server.live.view import Watcher  # noqa: PLC0415

        click.echo(f"OTLP/HTTP  {http_url}", err=True)
        if grpc_address:
            click.echo(f"OTLP/gRPC  {grpc_address}", err=True)
        if self._has_page:
            click.echo(f"page       {http_url}/", err=True)
        click.echo(f"files      {application.read_state()['folder']}", err=True)
        click.echo("Waiting for telemetry; Ctrl-C stores everything and ends.", err=True)
        self._application = application
        self._watcher = Watcher(Filter(), self._chunks.put, is_ours=True)
        application.tap.join(self._watcher)
        self._thread.start()

    def finish(self) -> None:
        """Print what has come until now, and end."""
        if self._application is not None:
            self._application.tap.finish(self._watcher)

    def wait(self) -> None:
        """Wait until that is printed, for a while: a terminal may be held. For any thread."""
        if self._application is not None:
            self._thread.join(END_SECS)

    def end(self) -> None:
        """Look no more, and keep the last numbers."""
        if self._application is not None:
            self._application.tap.leave(self._watcher)
            self._state = self._application.read_state()

    def summarize(self, output: str | None) -> None:
        """Say what came, where it is, and what to ask of it; ``output`` as in ``summary``."""
        if not self._state:
            return
        for line in summary(self._state, output):
            click.echo(line, err=True)

    # -- the thread -------------------------------------------------------------------------

    def _run(self) -> None:
        from otlp2parquet.cli.terminal.screen import silence, standard_output  # noqa: PLC0415
        from otlp2parquet.cli.terminal.show import Shown  # noqa: PLC0415

        screen = standard_output()
        shown = Shown(screen, only_refusals=self._quiet)
        try:
            self._print(shown)
        except (OSError, ValueError):
            # Nobody reads it any more, as behind "head": then nobody wants the rest.
            silence(sys.stdout)
            os.kill(os.getpid(), signal.SIGTERM)

    def _print(self, shown: "Shown") -> None:
        from otlp2parquet.cli.terminal.sse import Parser  # noqa: PLC0415 - as above

        parser = Parser()
        while True:
            try:
                chunk = self._chunks.get(timeout=TICK_SECS)
            except queue.Empty:
                shown.tick(time.monotonic())
                continue
            if chunk is None:
                shown.end()
                return
            shown.show(parser.feed(chunk), time.monotonic())
            if self._application is not None:
                self._application.tap.want(self._watcher)


_QUERIES: Final = {
    "logs": "SELECT Timestamp, Body FROM logs LIMIT 5",
    "traces": "SELECT SpanName, avg(Duration) FROM traces GROUP BY 1",
    "metrics": "SELECT DISTINCT MetricName FROM metrics",
}
"""A first question to the records of each signal."""


def summary(state: dict[str, Any], output: str | None) -> list[str]:
    """What a run received and stored, from the last numbers of the server.

    ``output`` is where it was told to store, if it was.
    """
    from otlp2parquet.cli.terminal.values import plural, size  # noqa: PLC0415

    totals = state["totals"]
    if not totals["requests"]:
        return ["nothing was received"]
    records = totals["records"]
    parts = [
        plural(records[signal_name], one)
        for signal_name, one in (
            ("logs", "log record"),
            ("traces", "span"),
            ("metrics", "data point"),
        )
        if records.get(signal_name)
    ]
    line = f"{', '.join(parts) or 'nothing'} in {plural(totals['requests'], 'request')}"
    if totals["refused"] or totals["rejected"]:
        refused = [
            plural(totals["refused"], "request") if totals["refused"] else "",
            plural(totals["rejected"], "record") if totals["rejected"] else "",
        ]
        line += f"; {' and '.join(one for one in refused if one)} refused"
    lines = [line]
    if totals["files"]:
        where = state["folder"]
        lines.append(f"{plural(totals['files'], 'file')}, {size(totals['bytes'])}, in {where}")
        place = f" {shlex.quote(output)}" if output else ""
        lines.append(f'try: otlp2parquet query "{_query(records)}"{place}')
    return lines


def _query(records: dict[str, int]) -> str:
    return next(text for name, text in _QUERIES.items() if records.get(name))
