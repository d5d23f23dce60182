"""``otlp2parquet connect``: what to set so that a program sends here, and whether it works.

Knows the terminal, and which server is meant. The texts are in ``otlp2parquet.connect``.
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import click

from otlp2parquet.cli import CONTEXT_SETTINGS
from otlp2parquet.cli.failure import Failure
from otlp2parquet.cli.options import config_option, url_option
from otlp2parquet.cli.running_server import NoServerError, RunningServer, server_at
from otlp2parquet.config import Config, Flags, load
from otlp2parquet.connect.recipes import (
    ONLY_HTTP,
    PROGRAMS,
    Endpoint,
    Protocol,
    exports,
    recipe,
)
from otlp2parquet.errors import ConfigError, OtlpError, StorageError
from otlp2parquet.printable import printable
from otlp2parquet.stores.location import is_url

if TYPE_CHECKING:
    from otlp2parquet.connect.check import Check
    from otlp2parquet.core.signals import Signal
    from otlp2parquet.stores import Store

_ANSWER_SECS: Final = 10.0
_OK: Final = 200


@click.command(context_settings=CONTEXT_SETTINGS)
@click.argument("program", type=click.Choice(list(PROGRAMS)), metavar="[PROGRAM]", required=False)
@config_option
@click.option(
    "--protocol",
    type=click.Choice(["http", "grpc"]),
    default="http",
    show_default=True,
    help="OTLP over HTTP in protobuf, or over gRPC.",
)
@url_option("Where the program reaches the server; by default where these settings have it listen.")
@click.option(
    "--check",
    "is_checked",
    is_flag=True,
    help="Send a record of each signal, have them stored, and find them again.",
)
@click.option(
    "--env",
    "is_only_env",
    is_flag=True,
    help="Print nothing but the variables, for a shell's eval.",
)
def connect(  # noqa: PLR0917 - click passes options by name
    program: str | None,
    path: Path | None,
    protocol: Protocol,
    url: str | None,
    is_checked: bool,  # noqa: FBT001
    is_only_env: bool,  # noqa: FBT001
) -> None:
    """Print what to set so that PROGRAM sends its telemetry here.

    PROGRAM is claude-code, codex, python, node, java, go, dotnet, browser or collector. With
    --check three records of the service otlp2parquet-check are sent to the server that runs, and
    each step is told; they stay in the files. The exit code is 1 when a step fails.
    `eval "$(otlp2parquet connect python --env)"` sets the variables in a shell.
    """
    if program is None and not is_checked:
        raise click.UsageError(f"found no program, expected one of {', '.join(PROGRAMS)}")
    if is_only_env and is_checked:
        raise click.UsageError("--env is for a shell, --check for a reader: one at a time")
    if program in ONLY_HTTP and protocol == "grpc":
        raise click.UsageError(f"{program} cannot send over gRPC: expected --protocol http")
    try:
        config = load(Flags(config=path)).config
        server = _server(config, protocol, url)
        if program is not None:
            trusted = server.trusted if server.url.startswith("https://") else ""
            endpoint = Endpoint(server.url, protocol, bool(server.token), trusted)
            text = recipe(program, endpoint)
            if is_only_env and not (text := exports(text)):
                raise click.UsageError(f"{program} is not set by variables: do without --env")
            click.echo(text, nl=False)
        if is_checked:
            _check(config, server, protocol, url)
    except OtlpError as error:
        raise Failure(error) from error


def _server(config: Config, protocol: Protocol, url: str | None) -> RunningServer:
    """The server on the port of a protocol."""
    if url is not None or protocol == "http":
        return server_at(url, config)
    address = config.server.grpc_addr
    if address is None or not address.port:
        found = "off" if address is None else f"port {address.port}"
        raise ConfigError(
            f"server.grpc_addr: found {found}, expected an address, --url or --protocol http"
        )
    # The same rules as for HTTP, on the other port.
    server = replace(config.server, listen_addr=address)
    return server_at(None, replace(config, server=server))


def _check(config: Config, server: RunningServer, protocol: Protocol, url: str | None) -> None:
    from otlp2parquet.connect.check import TABLES, Check, find  # noqa: PLC0415 - loads pyarrow

    check = Check(str(uuid4()), time.time_ns())
    for signal in TABLES:
        _send(check, signal, server, protocol)
        click.echo(f"{signal}: sent over {protocol} to {server.url}, and kept")
    asked = server_at(url if protocol == "http" else None, config)
    page = asked.flush()
    rows, root = sum(page["rows"].values()), printable(page["root"])
    click.echo(f"stored by the server: {rows:,} rows in {page['files']:,} files, in {root}")
    store = _store_at(config, page["root"])
    if store is None:
        click.echo("its files are not to be seen from here; the server says that they are stored")
        return
    if config.catalog_type != "none":
        click.echo("its files are in tables of a catalog, which are not looked into")
        return
    for signal in TABLES:
        found = find(check, signal, store)
        if found is None:
            raise StorageError(f"{signal}: the record is in no file of {root}")
        click.echo(f"{signal}: found in {found}")


def _send(check: "Check", signal: "Signal", server: RunningServer, protocol: Protocol) -> None:
    from otlp2parquet.connect.check import request_of  # noqa: PLC0415 - as above

    document = request_of(check, signal)
    if protocol == "http":
        status, answer = server.request(
            "POST", f"/v1/{signal}", _ANSWER_SECS, document, "application/json"
        )
        if status != _OK or answer != b"{}":
            text = printable(answer.decode("utf-8", "replace"))
            raise NoServerError(f"{server.url} answered {status} to {signal}: {text}")
        return
    from otlp2parquet.connect.grpc_call import export  # noqa: PLC0415 - takes its time
    from otlp2parquet.core.pure.otlp_json import transcode  # noqa: PLC0415 - for this alone

    payload = transcode(document, signal, len(document), are_lines=False).data
    if export(signal, payload, server.url, server.token, server.trusted):
        raise NoServerError(f"{server.url} did not take {signal} as they were sent")


def _store_at(config: Config, root: str) -> "Store | None":
    """The store that a server names, if it can be seen from here."""
    from otlp2parquet.storage import store_at  # noqa: PLC0415 - loads what it needs

    if not is_url(root) and not Path(root).is_dir():
        return None
    return store_at(config.storage, root)
