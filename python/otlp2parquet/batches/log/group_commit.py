"""The log on the disk: one thread writes all segments, and one sync serves all who wait for it.

Group commit without a timer: while one group is written and synced the next one gathers. Knows
segments and the folder; must not know batches. The thread alone writes, so whatever is put for
one segment takes effect in the order of its putting.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final
from uuid import UUID

from otlp2parquet.batches.counts import Counts
from otlp2parquet.batches.log.folder import LogFolder
from otlp2parquet.batches.log.protocol import Usage
from otlp2parquet.batches.log.segment import Entry, Order, Segment
from otlp2parquet.batches.log.space import LogSpace
from otlp2parquet.batches.plan import Plan
from otlp2parquet.durable import reason_of
from otlp2parquet.errors import LogError, StorageError

log = logging.getLogger(__name__)

PROBE_SECS: Final = 0.5
"""How often a log that failed is tried with a file of its own, until that works."""

LOOK_SECS: Final = 1.0
"""How often the disk's room, and the names of open segments, are looked at."""

END_SECS: Final = 1.0
"""How long a stop waits for what was put: a disk that hangs must not keep a process from ending."""

_PROBE: Final = ".probe"
_PROBE_BYTES: Final = 64 << 10


class GroupCommit:
    """The log of the mode ``fsync``, and whoever reads what an earlier one has left.

    ``destination`` is where the files of new batches are to go: a plan without files.
    ``acknowledging`` is entered while requests of one group are acknowledged. Nothing is written
    before ``start``, or whoever runs ``run_one`` in its place.
    """

    survives: Final = True
    acknowledges_later: Final = True
    waits_for_storage: Final = False

    def __init__(
        self,
        folder: LogFolder,
        space: LogSpace,
        counts: Counts,
        destination: Plan,
        *,
        acknowledging: AbstractContextManager[object] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.space = space
        self.counts = counts
        self.destination = destination
        self._acknowledging = nullcontext() if acknowledging is None else acknowledging
        self._trouble: str | None = None
        self._monotonic = monotonic
        self._probe_due = self._look_due = 0.0
        self._lock = threading.Lock()
        # All of these under the lock.
        self._bytes = 0
        self._stopped = False
        self._open: dict[Segment, None] = {}  # in the order of opening
        self._unremoved: list[Segment] = []
        # Only the log's thread has this one.
        self._uncut: list[Segment] = []
        self._queue: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Write on a thread of its own from now on."""
        self._thread = threading.Thread(target=self._run, name="otlp2parquet-log", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while self.run_one():
            pass
        self.folder.release()

    def grow(self, count: int) -> None:
        """A segment grew by ``count`` bytes, or shrank."""
        with self._lock:
            self._bytes += count

    def open(self, batch_id: str, on_failure: Callable[[], None] = lambda: None) -> Segment:
        """The segment of a new batch; it has a file once something is written."""
        path = self.folder.segment_path(batch_id)
        segment = Segment(self, UUID(batch_id), path, on_failure)
        with self._lock:
            self._open[segment] = None
        return segment

    def left_over(self) -> list[Segment]:
        """The segments of earlier processes, the oldest first. Called once, at the start."""
        found = []
        for batch, path in self.folder.segments():
            segment = Segment(self, batch, path)
            segment.adopt()
            found.append(segment)
        return found

    def refusal(self) -> str | None:
        """Why a request should be refused before its body is read."""
        return self._trouble or self.space.refusal(self._bytes)

    def is_short(self) -> bool:
        """Whether the open batch should be closed early."""
        return self.space.is_short(self._bytes)

    def usage(self) -> Usage:
        """What the segments take, and how full the disk is."""
        return self.space.usage(self._bytes)

    def tick(self) -> None:
        """Have the log's thread look at the disk now and then, and try what failed again."""
        now = self._monotonic()
        orders: list[Entry] = []
        if now >= self._look_due:
            self._look_due = now + LOOK_SECS
            orders.append(Entry(Order.LOOK))
            with self._lock:
                orders += [Entry(Order.CHECK, segment) for segment in self._open]
        if self._trouble is not None and now >= self._probe_due:
            self._probe_due = now + PROBE_SECS
            orders.append(Entry(Order.PROBE))
        for order in orders:
            try:
                self.put(order)
            except StorageError:
                return

    def put(self, entry: Entry) -> None:
        """Queue an entry for the log's thread. ``StorageError`` once it is stopped."""
        with self._lock:
            if self._stopped:
                raise LogError("the log is closed")
            self._queue.put(entry)

    def stop(self) -> None:
        """Write what was put, end the thread and give the folder up.

        A thread that is stuck in a call of the disk is left behind, and the folder is its own until
        it is back, or the process ends.
        """
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
            self._queue.put(None)
        if self._thread is None:
            self.folder.release()
            return
        self._thread.join(END_SECS)
        if self._thread.is_alive():
            log.error("the log's disk hangs: what waits for it is not acknowledged")

    def remove(self, segment: Segment) -> None:
        """Remove the file of a batch that is done, now or when that is possible."""
        try:
            segment.unlink()
        except OSError as error:
            # Harmless: whoever replays it finds every file stored.
            log.error(  # noqa: TRY400 - the reason is in the line
                "a segment whose batch is stored could not be removed, it will be tried again",
                extra={"fields": {"batch": segment.batch_id, "error": reason_of(error)}},
            )
            with self._lock:
                self._unremoved.append(segment)

    # -- the thread -------------------------------------------------------------------------

    def run_one(self) -> bool:
        """Wait for something to write, and write all that is there; False behind the last."""
        taken = [self._queue.get()]
        try:
            while True:
                taken.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        groups: dict[Segment | None, list[Entry]] = {}
        for entry in taken:
            if entry is not None:
                groups.setdefault(entry.segment, []).append(entry)
        for segment, entries in groups.items():
            if segment is None:
                self._look_around({entry.order for entry in entries})
            else:
                self._commit(segment, entries)
        return None not in taken

    def _look_around(self, orders: set[Order]) -> None:
        """What concerns no segment; here, because a slow disk may keep each of these calls."""
        if Order.LOOK in orders:
            if not self.space.look() and self.space.refusal(self._bytes) is not None:
                # The folder is gone, and no request may come to find that out.
                self._trouble = self._trouble or "the log cannot be written: its folder is gone"
            with self._lock:
                unremoved, self._unremoved = self._unremoved, []
            for segment in unremoved:
                self.remove(segment)
        if Order.PROBE in orders:
            self._probe()

    def _commit(self, segment: Segment, entries: list[Entry]) -> None:
        try:
            error = segment.commit(entries)
        except Exception:
            # A defect: nobody may take this for kept, and the thread must go on.
            log.exception("the log failed for an unforeseen reason")
            error = LogError("internal trouble of the log, see the server's log")
        if not segment.holds_open and segment in self._open:
            with self._lock:
                self._open.pop(segment, None)
        with self._acknowledging:
            for entry in entries:
                if entry.acknowledge is not None:
                    try:
                        entry.acknowledge(error)
                    except Exception:
                        log.exception("an acknowledgement was not taken")

    def failed(self, segment: Segment, error: OSError) -> StorageError:
        """A group of ``segment`` could not be kept: refuse requests until a probe succeeds."""
        self.counts.add(log_failures=1)
        reason = reason_of(error)
        self._trouble = f"the log cannot be written: {reason}"
        try:
            segment.cut()
        except OSError:
            self._uncut.append(segment)
        log.error(
            "the log cannot be written, requests are refused until it can",
            extra={"fields": {"batch": segment.batch_id, "error": reason}},
        )
        return LogError(f"{self._trouble}, send it again")

    def _probe(self) -> None:
        """Find out, with a file of its own, whether the disk takes bytes again.

        No descriptor on which a sync failed can be believed.
        """
        if self._trouble is None:
            return
        disk, path = self.folder.disk, self.folder.path / _PROBE
        try:
            self.folder.restore()
            disk.unlink(path)
            descriptor = disk.create(path)
            try:
                disk.write(descriptor, 0, [bytes(_PROBE_BYTES)])
                disk.sync(descriptor)
            finally:
                disk.close(descriptor)
                disk.unlink(path)
            self.folder.sync()
            while self._uncut:
                self._uncut[-1].cut()
                self._uncut.pop()
        except OSError as error:
            self._trouble = f"the log cannot be written: {reason_of(error)}"
            return
        log.info("the log can be written again")
        self._trouble = None
