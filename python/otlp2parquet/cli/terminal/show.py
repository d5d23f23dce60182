"""Events of the live view, printed.

Joins the lines and the screen. It must not know where events come from.
"""

from collections.abc import Iterable

from otlp2parquet.cli.terminal.render import Renderer
from otlp2parquet.cli.terminal.screen import Screen
from otlp2parquet.cli.terminal.sse import Event


class Shown:
    """Prints to ``screen``. All methods raise ``OSError`` when nobody reads it any more."""

    def __init__(self, screen: Screen, *, only_refusals: bool = False) -> None:
        self._screen = screen
        self._renderer = Renderer(
            is_short=screen.is_terminal, columns=screen.columns, only_refusals=only_refusals
        )

    def show(self, events: Iterable[Event], now: float) -> None:
        """Print what came."""
        for event in events:
            self._screen.print(self._renderer.render(event, now))
        self.tick(now)

    def tick(self, now: float) -> None:
        """Print what has waited for its time. To be called some times a second."""
        self._screen.print(self._renderer.tick(now))

    def end(self) -> None:
        """Print what waits still."""
        self._screen.print(self._renderer.end())
