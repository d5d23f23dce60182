"""The log on the disk: one thread writes all segments, and one sync serves all who wait for it.

Group commit without a timer: while one group is written and synced the next one gathers. Knows
segments and the folder; must not know batches. The thread alone touches descriptors, so whatever
is put for one segment takes effect in the order of its putting.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from queue import Empty, SimpleQueue
from typing import Final
from uuid import UUID

from otlp2parquet.batches.counts import Counts
from otlp2parquet.batches.log import Usage
from otlp2parquet.batches.log_folder import LogFolder
from otlp2parquet.batches.log_segment import Entry, Segment
from otlp2parquet.batches.log_space import LogSpace
from otlp2parquet.errors import StorageError
from otlp2parquet.writers.syncing import reason_of, sync_data

log = logging.getLogger(__name__)

PROBE_SECS: Final = 0.5
"""How often a log that failed is tried with a file of its own, until that works."""

LOOK_SECS: Final = 1.0
_PROBE: Final = ".probe"
_PROBE_BYTES: Final = 64 << 10


class SegmentLog:
    """The log of the mode ``fsync``, and whoever reads what an earlier one has left.

    ``on_failure`` is called on the log's thread with the id of a batch of which a group could
    not be kept, after its segment was cut and before anyone is told.
    """

    survives: Final = True
    keeps_later: Final = True
    waits_for_storage: Final = False

    def __init__(
        self,
        folder: LogFolder,
        space: LogSpace,
        counts: Counts,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.space = space
        self.counts = counts
        self.on_failure: Callable[[str], None] = lambda _: None
        self.telling: AbstractContextManager[None] = nullcontext()
        self.trouble: str | None = None
        self._monotonic = monotonic
        self._probe_due = self._look_due = 0.0
        self._bytes = 0
        self._bytes_lock = threading.Lock()
        self._uncut: list[Segment] = []
        self._queue: SimpleQueue[Entry | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="otlp2parquet-log", daemon=True)
        self._thread.start()

    def grow(self, count: int) -> None:
        """A segment grew by ``count`` bytes, or shrank."""
        with self._bytes_lock:
            self._bytes += count

    def open(self, batch_id: str) -> Segment:
        """The segment of a new batch; it has a file once something is put."""
        return Segment(self, UUID(batch_id), self.folder.segment_path(batch_id))

    def left_over(self) -> list[Segment]:
        """The segments of earlier processes, the oldest first. Called once, at the start."""
        found = []
        for batch, path in self.folder.segments():
            segment = Segment(self, batch, path)
            try:
                segment.adopt()
            except OSError as error:
                log.error(  # noqa: TRY400 - the reason is in the line
                    "a segment cannot be read, it stays for the next start",
                    extra={"fields": {"batch": str(batch), "error": reason_of(error)}},
                )
                continue
            found.append(segment)
        return found

    def refusal(self) -> str | None:
        """Why a request should be refused before its body is read."""
        return self.trouble or self.space.refusal(self._bytes)

    def is_short(self) -> bool:
        """Whether the open batch should be closed early."""
        return self.space.is_short(self._bytes)

    def usage(self) -> Usage:
        """What the segments take, and how full the disk is."""
        return Usage(self._bytes, self.space.max_bytes, self.space.disk_share)

    def tick(self) -> None:
        """Look at the disk now and then, and try a log that failed."""
        now = self._monotonic()
        if now >= self._look_due:
            self._look_due = now + LOOK_SECS
            self.space.look()
        if self.trouble is not None and now >= self._probe_due:
            self._probe_due = now + PROBE_SECS
            self.put(Entry(None, None, b"", None))

    def put(self, entry: Entry) -> None:
        """Queue an entry for the log's thread."""
        self._queue.put(entry)

    def stop(self) -> None:
        """Write what was put, end the thread and give the folder up."""
        self._queue.put(None)
        self._thread.join()
        self.folder.release()

    def failed(self, segment: Segment, error: OSError) -> StorageError:
        """A group of ``segment`` could not be kept. On the log's thread."""
        self.counts.log_failures += 1
        reason = reason_of(error)
        self.trouble = f"the log cannot be written: {reason}"
        if not segment.cut():
            self._uncut.append(segment)
        log.error(
            "the log cannot be written, requests are refused until it can",
            extra={"fields": {"batch": segment.batch_id, "error": reason}},
        )
        self.on_failure(segment.batch_id)
        return StorageError(f"{self.trouble}, send it again")

    # -- the thread -------------------------------------------------------------------------

    def _run(self) -> None:
        ending = False
        while not ending:
            taken = [self._queue.get()]
            try:
                while True:
                    taken.append(self._queue.get_nowait())
            except Empty:
                pass
            ending = None in taken
            groups: dict[Segment | None, list[Entry]] = {}
            for entry in taken:
                if entry is not None:
                    groups.setdefault(entry.segment, []).append(entry)
            for segment, entries in groups.items():
                if segment is None:
                    self._probe()
                else:
                    self._commit(segment, entries)

    def _commit(self, segment: Segment, entries: list[Entry]) -> None:
        try:
            error = segment.commit(entries)
        except Exception:
            # A defect: nobody may take this for kept, and the thread must go on.
            log.exception("the log failed for an unforeseen reason")
            error = StorageError("internal trouble of the log, see the server's log")
        with self.telling:
            for entry in entries:
                if entry.kept is not None:
                    try:
                        entry.kept(error)
                    except Exception:
                        log.exception("an answer of the log was not taken")

    def _probe(self) -> None:
        """Find out, with a file of its own, whether the disk takes bytes again.

        No descriptor on which a sync failed can be believed.
        """
        path = self.folder.path / _PROBE
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            try:
                os.write(descriptor, bytes(_PROBE_BYTES))
                sync_data(descriptor)
            finally:
                os.close(descriptor)
                path.unlink()
            self.folder.sync()
        except OSError as error:
            self.trouble = f"the log cannot be written: {reason_of(error)}"
            return
        self._uncut = [segment for segment in self._uncut if not segment.cut()]
        if self.trouble is not None:
            log.info("the log can be written again")
        self.trouble = None
