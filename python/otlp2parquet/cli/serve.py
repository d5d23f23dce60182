"""``otlp2parquet serve``: the server in the foreground, until a signal.

Turns options into configuration and errors into one message and an exit code. Knows nothing
else of the server.
"""

import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from otlp2parquet.cli import CONTEXT_SETTINGS
from otlp2parquet.cli.failure import Failure
from otlp2parquet.cli.options import host_option, output_option, port_option
from otlp2parquet.config import Flags, load
from otlp2parquet.errors import ConfigError


@click.command(context_settings=CONTEXT_SETTINGS)
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TOML file with settings; it precedes ./config.toml.",
)
@host_option
@port_option
@output_option
@click.option("-v", "--verbose", is_flag=True, help="Log every request.")
def serve(
    config: Path | None,
    host: str | None,
    port: int | None,
    output: str | None,
    verbose: bool,  # noqa: FBT001 - click passes options by name
) -> None:
    """Receive OTLP and write Parquet files.

    Listens on 127.0.0.1, on port 4318 for OTLP/HTTP and on 4317 for OTLP/gRPC, and writes to ./data
    unless told otherwise: by options, environment variables or TOML files. "otlp2parquet config"
    shows what is in effect. SIGTERM, Ctrl-C or closing the terminal stores everything that was
    acknowledged and ends with 0. Without a terminal SIGHUP has tokens and certificates read again;
    SIGUSR1 has what is open stored now, as "otlp2parquet flush" does.
    """
    # Here, so that --help does not wait for pyarrow.
    from otlp2parquet.platforms import logs  # noqa: PLC0415
    from otlp2parquet.platforms.server import run  # noqa: PLC0415

    try:
        flags = Flags(config, host, port, output, verbose)
        loaded = load(flags)
        logs.configure(loaded.config.server.log_level, loaded.config.server.log_format)
        for warning in loaded.warnings:
            logging.getLogger("otlp2parquet").warning(warning)
        for note in loaded.notes:
            logging.getLogger("otlp2parquet").debug(note)
        code = run.serve(loaded.config, lambda: load(flags).config)
    except ConfigError as error:
        raise Failure(error) from error
    leave(code)


def leave(code: int) -> NoReturn:
    """End the process behind a server.

    Granian's threads may still be ending, and the interpreter would abort under them.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # the terminal may be gone
            stream.flush()
    os._exit(code)
