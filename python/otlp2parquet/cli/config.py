"""``otlp2parquet config``: what is in effect, and where each value comes from."""

from pathlib import Path

import click

from otlp2parquet.cli import CONTEXT_SETTINGS
from otlp2parquet.cli.options import config_option
from otlp2parquet.config import Flags, load
from otlp2parquet.config.show import as_json, as_toml, effective
from otlp2parquet.errors import ConfigError


@click.command(context_settings=CONTEXT_SETTINGS)
@config_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="text is TOML, with the sources as comments.",
)
def config(path: Path | None, form: str) -> None:
    """Show the configuration in effect and the source of each value, secrets masked.

    Whatever is wrong is reported all at once, with exit code 1.
    """
    try:
        loaded = load(Flags(config=path))
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    for warning in loaded.warnings:
        click.echo(f"Warning: {warning}", err=True)
    shown = effective(loaded.config, loaded.sources)
    click.echo(as_json(shown) if form == "json" else as_toml(shown), nl=False)
