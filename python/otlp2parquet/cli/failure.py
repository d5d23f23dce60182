"""The error with which a command ends.

Knows the terminal. What it says may have come from anybody: a server, a file's name, a storage.
"""

import click

from otlp2parquet.printable import printable


class Failure(click.ClickException):
    """One message, and exit code 1. What is no text for a terminal is written out in it."""

    def __init__(self, reason: object) -> None:
        super().__init__("\n".join(map(printable, str(reason).split("\n"))))
