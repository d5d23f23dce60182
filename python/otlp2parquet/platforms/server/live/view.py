"""What there is to see, and what each watcher has seen of it: in steps, without thread or clock.

Knows the ring, the decode into rows and the writing of events. One thread at a time may use it. A
watcher gets a chunk when it wants one and has something to see, and nothing more before it wants
again: so whoever is slow holds one chunk, and falls behind in the ring.
"""

from collections.abc import Callable, Iterator
from typing import Final

from otlp2parquet.platforms.server.live.events import (
    Event,
    Lost,
    Refused,
    size_of,
    write,
    write_skipped,
)
from otlp2parquet.platforms.server.live.filters import Filter
from otlp2parquet.platforms.server.live.ring import Ring
from otlp2parquet.platforms.server.live.rows import Export, Rows, rows_of

MAX_EVENTS: Final = 5_000
MAX_BYTES: Final = 8 << 20

CHUNK_BYTES: Final = 256 << 10
"""What a watcher gets at a time; more only where one event is larger."""

LOOK_BYTES: Final = 1 << 20
"""What is looked through for one watcher in one step."""

Deliver = Callable[[bytes | None], None]
"""Takes a chunk; None is the end. It must return at once, and may be called from any thread."""


class Watcher:
    """Somebody who looks."""

    def __init__(
        self,
        wanted: Filter,
        deliver: Deliver,
        *,
        recent: int = 0,
        after: int | None = None,
        is_ours: bool = False,
    ) -> None:
        self.filter = wanted
        self.deliver = deliver
        self.recent = recent
        """How many of the recent events it sees first."""
        self.after = after
        """Or the number of the event that it saw last."""
        self.is_ours = is_ours
        """Whether it is part of the server: then it sees everything to the end."""
        self.position = 0
        self.state = ""
        """The state that it saw last."""
        self.is_wanting = True
        self.is_last = False
        """Whether it wants no more than what is there now."""


class View:
    """The ring and the watchers. Events are numbered from ``first`` on."""

    def __init__(
        self,
        first: int,
        *,
        max_events: int = MAX_EVENTS,
        max_bytes: int = MAX_BYTES,
        decode: Callable[[Export], Iterator[Rows]] = rows_of,
    ) -> None:
        self.ring: Ring[Event] = Ring(max_events=max_events, max_bytes=max_bytes, first=first)
        self.watchers: list[Watcher] = []
        self.state = ""
        """The server's numbers as an event; empty before the first."""
        self._decode = decode
        self._pieces: Iterator[Rows] | None = None
        self._unseen = 0
        """Records of the export in progress that were not shown yet."""

    # -- what comes in ----------------------------------------------------------------------

    @property
    def is_decoding(self) -> bool:
        """Whether an export is in progress: then ``show`` it further, before the next one."""
        return self._pieces is not None

    def begin(self, export: Export) -> None:
        """Begin with an export; ``show`` it."""
        self._pieces = self._decode(export)
        self._unseen = export.records

    def show(self) -> None:
        """Show the next rows of the export in progress. Whatever fails ends it, and is raised.

        Its records that were not shown by then are a gap.
        """
        if self._pieces is None:
            return
        piece = None
        try:
            piece = next(self._pieces, None)
        finally:
            if piece is None:
                self._pieces = None
                self.lose(0, self._unseen)
        if piece is not None:
            self._unseen -= len(piece.rows)
            self._append(piece)

    def refuse(self, refused: Refused) -> None:
        """Show a refusal."""
        self._append(refused)

    def lose(self, exports: int, rows: int) -> None:
        """Show that something was not shown; a gap behind a gap makes it larger."""
        if exports > 0 or rows > 0:
            self._append(Lost(max(exports, 1), rows))

    def _append(self, event: Event) -> None:
        self.ring.append(event, size_of(event))

    # -- who looks --------------------------------------------------------------------------

    def join(self, watcher: Watcher) -> None:
        """Somebody looks from now on."""
        recent = self.ring.back(watcher.recent)
        if watcher.after is None:
            watcher.position = recent
        else:
            watcher.position = min(watcher.after + 1, self.ring.next)
        self.watchers.append(watcher)

    def leave(self, watcher: Watcher) -> None:
        """Somebody does not look any more."""
        if watcher in self.watchers:
            self.watchers.remove(watcher)

    def deliver(self) -> bool:
        """Give each watcher that wants something what there is; whether some want more at once."""
        is_more = False
        for watcher in list(self.watchers):
            if watcher.is_wanting:
                chunk, is_cut = self._chunk(watcher)
                if chunk:
                    watcher.is_wanting = False
                    watcher.deliver(chunk.encode())
                elif is_cut:
                    is_more = True
                elif watcher.is_last and not self.is_decoding:
                    self.leave(watcher)
                    watcher.deliver(None)
        return is_more

    def _chunk(self, watcher: Watcher) -> tuple[str, bool]:
        """What a watcher gets next, and whether there may be more."""
        parts = []
        if watcher.state is not self.state:
            watcher.state = self.state
            parts.append(self.state)
        given = looked = 0
        while given < CHUNK_BYTES and looked < LOOK_BYTES:
            step = self.ring.read(watcher.position)
            if step is None:
                return "".join(parts), False
            watcher.position = step.number + 1
            if step.lost:
                parts.append(write_skipped(step.lost))
            text = write(step.number, step.event, watcher.filter)
            parts.append(text)
            given += len(text)
            looked += size_of(step.event)
        return "".join(parts), True
