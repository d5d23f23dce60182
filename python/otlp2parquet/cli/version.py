"""``otlp2parquet version``: the package, its decoder and pyarrow, in one line."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from typing import Final

import click

from otlp2parquet.cli import CONTEXT_SETTINGS
from otlp2parquet.core import decoder
from otlp2parquet.version import __version__

_DECODERS: Final = {
    "native": "compiled",
    "pure": "plain Python, the same results but many times slower",
}
"""What each decoder is, for people."""


def version_text() -> str:
    """The line."""
    name = decoder.DECODER
    build = ", a debug build" if decoder.DEBUG_BUILD else ""
    try:
        pyarrow = version_of("pyarrow")
    except PackageNotFoundError:
        pyarrow = "not installed"
    return (
        f"otlp2parquet {__version__}, decoder {name} ({_DECODERS[name]}{build}), pyarrow {pyarrow}"
    )


@click.command(context_settings=CONTEXT_SETTINGS)
def version() -> None:
    """Show the versions of the package, its decoder and pyarrow, as -V does."""
    click.echo(version_text())
