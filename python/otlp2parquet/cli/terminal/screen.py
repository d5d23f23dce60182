"""A stream to print to: colours and columns of a terminal, or neither.

Knows terminals as far as https://no-color.org and TERM go. To anything else than a terminal lines
are whole and plain.
"""

import os
import sys
from collections.abc import Iterable
from typing import Final, TextIO

from otlp2parquet.cli.terminal.text import Part, finish

LEAST_COLUMNS: Final = 20
USUAL_COLUMNS: Final = 80


class Screen:
    """Prints lines to ``stream``."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.is_terminal = stream.isatty()
        self._is_coloured = (
            self.is_terminal
            and not os.environ.get("NO_COLOR")
            and os.environ.get("TERM", "") != "dumb"
        )
        self._encoding = stream.encoding or "utf-8"

    def columns(self) -> int | None:
        """How long a line may be; None without a terminal."""
        if not self.is_terminal:
            return None
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError):
            columns = 0
        return max(LEAST_COLUMNS, columns or USUAL_COLUMNS)

    def print(self, lines: Iterable[Iterable[Part]]) -> None:
        """Print lines, each as one piece. Raises ``OSError`` when nobody reads them any more."""
        columns = self.columns()
        text = "".join(
            finish(line, columns, is_coloured=self._is_coloured) + "\n" for line in lines
        )
        if text:
            self._write(text)

    def print_text(self, text: str) -> None:
        """Print text that is safe already, as it is."""
        self._write(text)

    def _write(self, text: str) -> None:
        # A terminal that cannot show a character shows that there was one.
        self._stream.write(text.encode(self._encoding, "replace").decode(self._encoding))
        self._stream.flush()


def silence(stream: TextIO) -> None:
    """Nobody reads ``stream`` any more: what is left in it must not fail at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def standard_output() -> Screen:
    """Where commands print."""
    return Screen(sys.stdout)
