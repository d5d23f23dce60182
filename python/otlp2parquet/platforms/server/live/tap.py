"""The watch that the use case tells, and who looks.

Knows when there is a session: from the first watcher to the last. Without one the use case has no
watch, and nothing of this costs anything. For the event loop's thread, except where it says so.
"""

import itertools
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from otlp2parquet.core.outcome import Outcome
from otlp2parquet.platforms.export import Exports, Head
from otlp2parquet.platforms.refusals import Told, judge
from otlp2parquet.platforms.server.live.events import Refusal, write_state
from otlp2parquet.platforms.server.live.rows import Export
from otlp2parquet.platforms.server.live.session import Session
from otlp2parquet.platforms.server.live.view import View, Watcher

log = logging.getLogger(__name__)

MAX_WATCHERS: Final = 32

STATE_SECS: Final = 1.0

LONGEST_MESSAGE: Final = 1000
LONGEST_NAME: Final = 100


class Tap:
    """Who looks at what one server receives. ``read_state`` gives the server's numbers."""

    def __init__(
        self,
        exports: Exports,
        read_state: Callable[[], Mapping[str, object]],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        time_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._exports = exports
        self._read_state = read_state
        self._monotonic = monotonic
        self._time_ns = time_ns
        # Microseconds since the epoch: numbers grow over the sessions, and over a new start, too.
        self._firsts = itertools.count(time_ns() // 1000, 1_000_000)
        self._session: Session | None = None
        self._watchers: list[Watcher] = []
        self._told = 0.0
        self.is_closed = False
        """Whether the server stops, and nobody else may look."""
        self.has_cut = False
        """Whether a stream was cut at the end, because its client did not read it."""

    # -- who looks --------------------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        """Whether so many look that nobody else may."""
        return len(self._watchers) >= MAX_WATCHERS

    def join(self, watcher: Watcher) -> None:
        """Somebody looks from now on: chunks are delivered, each once the one before is done."""
        if self.is_closed:
            watcher.deliver(None)
            return
        session = self._session
        if session is None:
            first = max(next(self._firsts), self._time_ns() // 1000)
            session = self._session = Session(View(first), self._time_ns)
            session.start()
        self._exports.watch = self
        self._watchers.append(watcher)
        session.join(watcher)
        self._tell_state()

    def want(self, watcher: Watcher) -> None:
        """A watcher is done with its last chunk. For any thread."""
        session = self._session
        if session is not None:
            session.want(watcher)

    def finish(self, watcher: Watcher) -> None:
        """A watcher gets what has come until now, and then the end."""
        if self._session is not None:
            self._session.finish(watcher)

    def leave(self, watcher: Watcher) -> None:
        """Somebody does not look any more."""
        if watcher not in self._watchers:
            return
        self._watchers.remove(watcher)
        if self._session is not None:
            self._session.leave(watcher)
            if not self._watchers:
                self._exports.watch = None
                self._session.end()
                self._session = None

    def close(self) -> None:
        """End the streams of all watchers at once; nobody else may join."""
        self.is_closed = True
        self.cut()

    def cut(self) -> None:
        """End the streams of all watchers at once; whoever is let in may come again."""
        for watcher in list(self._watchers):
            if not watcher.is_ours:
                self.leave(watcher)
                watcher.deliver(None)

    def tick(self) -> None:
        """Tell the watchers the server's numbers, once a second."""
        if self._session is not None and self._monotonic() - self._told >= STATE_SECS:
            self._tell_state()

    def _tell_state(self) -> None:
        self._told = self._monotonic()
        try:
            state = write_state(self._read_state())
        except Exception:
            log.exception("the numbers for the live view could not be read")
            return
        if self._session is not None:
            self._session.tell_state(state)

    # -- the watch --------------------------------------------------------------------------

    def kept(self, head: Head, body: bytes, received_at: int, records: int) -> None:
        """An export was kept."""
        if self._session is not None:
            export = Export(body, head.signal, head.media_type, head.encoding, received_at, records)
            self._session.put(export)

    def refused(
        self, client: str, signal: str, status: int | str, told: Told, outcome: Outcome | None
    ) -> None:
        """A request, or some of its records, were refused."""
        judged = judge(told, outcome)
        if self._session is not None and judged is not None:
            refusal = Refusal(
                client[:LONGEST_NAME] or "unknown",
                signal,
                status,
                judged.reason,
                told.message[:LONGEST_MESSAGE],
            )
            self._session.refuse(refusal, judged.rejected or 1)
