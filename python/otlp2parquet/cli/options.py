"""Options that several commands have, each said once.

Knows click. It must not know what a command does with them.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, cast

import click

from otlp2parquet.config import values
from otlp2parquet.config.values import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.decorators import FC

T = TypeVar("T")

config_option: Final = click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TOML file with settings; it precedes ./config.toml.",
)

host_option: Final = click.option("--host", metavar="HOST", help="Name or IP address to listen on.")
port_option: Final = click.option(
    "-p", "--port", type=click.IntRange(0, 65535), help="Port; 0 takes a free one."
)
output_option: Final = click.option(
    "-o",
    "--output",
    metavar="FOLDER|URL",
    help="Folder for the Parquet files, or a storage's URL, such as s3://bucket/prefix.",
)


def url_option(text: str) -> "Callable[[FC], FC]":
    """Where a running server is."""
    return click.option("--url", metavar="URL", help=text)


def form_option(text: str) -> "Callable[[FC], FC]":
    """Text or JSON, as ``form``."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help=text,
    )


def timeout_option(
    default: float, text: str, maximum: float = values.LONGEST_SECS
) -> "Callable[[FC], FC]":
    """How long something may take, as ``timeout_secs``."""
    return click.option(
        "--timeout",
        "timeout_secs",
        type=duration(maximum),
        default=default,
        show_default=True,
        metavar="SECONDS",
        help=text,
    )


class _Value(click.ParamType[T]):
    """A value in any spelling that a setting of its kind takes."""

    def __init__(self, name: str, kind: Kind[T]) -> None:
        self.name = name
        self._kind = kind

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> T:
        if not isinstance(value, str):  # a default
            return cast("T", value)
        try:
            return self._kind.from_text(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def duration(maximum: float = values.LONGEST_SECS) -> click.ParamType[float]:
    """Seconds, or a number with a unit; zero is one."""
    return _Value("duration", values.seconds(maximum=maximum, zero=True))


def size(maximum: int) -> click.ParamType[int]:
    """Bytes, or a number with a unit."""
    return _Value("size", values.size(minimum=1, maximum=maximum))
