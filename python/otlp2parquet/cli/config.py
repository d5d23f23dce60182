"""``otlp2parquet config``: what is in effect, and where each value comes from."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from otlp2parquet.cli import CONTEXT_SETTINGS
from otlp2parquet.cli.failure import Failure
from otlp2parquet.cli.options import config_option, form_option
from otlp2parquet.config import Config, Flags, load
from otlp2parquet.config.show import as_json, as_toml, effective
from otlp2parquet.errors import ConfigError
from otlp2parquet.printable import printable


@click.command(context_settings=CONTEXT_SETTINGS)
@config_option
@form_option("text is TOML, with the sources as comments.")
@click.option(
    "--check",
    is_flag=True,
    help="Show nothing, but find out whether a server can start with it: certificates, folders, "
    "ports, the log, and whether the storage and the catalog answer.",
)
@click.pass_context
def config(
    ctx: click.Context,
    path: Path | None,
    form: str,
    check: bool,  # noqa: FBT001 - click passes options by name
) -> None:
    """Show the configuration in effect and the source of each value, secrets masked.

    Whatever is wrong is reported all at once, with exit code 1. With --check that is also what
    serve would refuse, and a storage that does not answer; nothing is left behind. What a server
    would warn of, such as a catalog that is away, is a warning here, too.
    """
    try:
        loaded = load(Flags(config=path))
    except ConfigError as error:
        raise Failure(error) from error
    for warning in loaded.warnings:
        click.echo(f"Warning: {warning}", err=True)
    if check:
        ctx.exit(_report(loaded.config, form))
    shown = effective(loaded.config, loaded.sources)
    click.echo(as_json(shown) if form == "json" else as_toml(shown), nl=False)


def _report(checked: Config, form: str) -> int:
    """Print what is wrong; the exit code."""
    from otlp2parquet.platforms.server.checks import check_all  # noqa: PLC0415 - as above

    findings = check_all(checked)
    if form == "json":
        click.echo(json.dumps(asdict(findings)))
        return int(bool(findings.errors))
    for warning in findings.warnings:
        click.echo(f"Warning: {printable(warning)}", err=True)
    for error in findings.errors:
        click.echo(f"Error: {printable(error)}", err=True)
    if not findings.errors:
        click.echo("a server can start with this configuration")
    return int(bool(findings.errors))
