"""One segment of the log: the requests of one batch, then its plan, then what is stored.

Knows its file and its bytes. Must not know batches, nor when a group is complete. ``commit`` and
``cut`` belong to the log's thread; the rest is called when nothing is put any more.

A descriptor on which a write or a sync failed is never used again: the system may have dropped
the very bytes, and would call the next sync a success. The file is cut at the last offset known
to be durable, by another descriptor, and nothing beyond it is ever read.
"""

import contextlib
import itertools
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from otlp2parquet.batches import segment as form
from otlp2parquet.batches.log import Kept, Request
from otlp2parquet.batches.log_folder import header_of
from otlp2parquet.batches.plan import FileKey, Plan, pack_key, pack_plan, read_key, read_plan
from otlp2parquet.batches.segment import HEADER_BYTES, Damage, Header, Record
from otlp2parquet.errors import OtlpError, StorageError
from otlp2parquet.writers.syncing import reason_of, sync_data, sync_file

if TYPE_CHECKING:
    from otlp2parquet.batches.segment_log import SegmentLog

log = logging.getLogger(__name__)

_PIECES: Final = 900  # below IOV_MAX, and divisible by the three pieces of a record


class Entry(NamedTuple):
    """Something for the log's thread: a record, or (no ``head``) a place in the queue."""

    segment: "Segment | None"
    head: bytes | None
    body: bytes
    kept: Kept | None


class Segment:
    """The segment of one batch. It has a file from the first group on."""

    rereads: Final = True

    def __init__(self, owner: "SegmentLog", batch: UUID, path: Path) -> None:
        self.batch_id = str(batch)
        self.path = path
        self.failed: StorageError | None = None
        self._owner = owner
        self._batch = batch
        self._seed = form.seed_of(batch)
        self._descriptor: int | None = None
        self._exists = False
        self._adopted = False
        self._written = self._durable = 0
        self._plan: Plan | None = None
        self._stored: set[FileKey] = set()

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self._written

    # -- a batch's side ---------------------------------------------------------------------

    def put(self, shard: int, request: Request, kept: Kept | None) -> None:
        """Queue a request; ``kept`` is called once it is on the disk, or is not."""
        payload, signal, content_type, content_encoding, received_at = request
        head = form.request_head(shard, signal, content_type, content_encoding, received_at)
        self._owner.put(Entry(self, head, payload, kept))

    def finish(self) -> bool:
        """Wait for the last sync; False when one failed, be it an earlier one."""
        return self._wait(None, b"") is None

    def plan(self, plan: Plan) -> tuple[Plan, frozenset[FileKey]]:
        """Write the plan and wait for its sync, unless one is here already.

        If it cannot be written the batch is stored without: waiting for room on this disk would
        wait for the very file that takes it. The plan then holds as long as this process.
        """
        if self._plan is None:
            error = self._wait(form.other_head(form.PLAN), pack_plan(plan))
            if error is not None:
                log.warning(
                    "the plan could not be written, the batch is stored without",
                    extra={"fields": {"batch": self.batch_id, "error": str(error)}},
                )
            self._plan = plan
        return self._plan, frozenset(self._stored)

    def note(self, key: FileKey) -> None:
        """Note a stored file. Nobody waits for it: a note that is lost costs a look at a file."""
        self._stored.add(key)
        self._owner.put(Entry(self, form.other_head(form.STORED), pack_key(key), None))

    def remove(self) -> None:
        """Remove the file, durably."""
        done = threading.Event()
        self._owner.put(Entry(self, None, b"close", lambda _: done.set()))
        done.wait()
        try:
            self.path.unlink(missing_ok=True)
            self._owner.folder.sync()
        except OSError as error:
            # Harmless: whoever replays it finds every file stored.
            log.error(  # noqa: TRY400 - the reason is in the line
                "a segment whose batch is stored could not be removed",
                extra={"fields": {"batch": self.batch_id, "error": reason_of(error)}},
            )
        self._owner.grow(-self._written)
        self._written = self._durable = 0

    def abandon(self, error: StorageError) -> None:
        """Never: what is in a segment may be acknowledged."""
        raise AssertionError(error)

    # -- reading ----------------------------------------------------------------------------

    def adopt(self) -> None:
        """Take the file that an earlier process has left, up to its last byte.

        Raises ``OSError`` when it cannot even be looked at.
        """
        header = header_of(self.path)
        self._written = self._durable = self.path.stat().st_size
        self._exists = self._adopted = True
        self._owner.grow(self._written)
        if header is not None:
            # A file may have been renamed; its records know better.
            self._batch, self.batch_id = header.batch, str(header.batch)
            self._seed = form.seed_of(header.batch)
        elif self._written >= HEADER_BYTES:
            with contextlib.suppress(OSError):  # the records say all that the header said
                self._damaged(Damage(0, HEADER_BYTES, torn=False))

    def read(self) -> Iterator[Record]:
        """The requests that are durable, in order; damage is counted, set aside and skipped.

        Raises ``StorageError`` when the file cannot be read.
        """
        if not self._exists:
            return
        torn: Damage | None = None
        try:
            with self.path.open("rb") as file:
                for found in form.scan(file, self._durable, self._batch):
                    if isinstance(found, Damage):
                        torn = found if found.torn else None
                        if not found.torn:
                            self._damaged(found)
                    elif found.kind == form.REQUEST:
                        yield found
                    else:
                        self._take_note(found)
            if self._adopted and self._durable < HEADER_BYTES:
                torn = Damage(0, self._durable, torn=True)
            if torn is not None and torn.offset < torn.end:
                self._cut_tail(torn)
        except OSError as error:
            raise StorageError(f"cannot read {self.path}: {reason_of(error)}") from error

    def set_aside(self, record: Record, error: OtlpError) -> None:
        """Copy a request that can no longer be decoded to quarantine."""
        log.error(
            "a request in the log can no longer be decoded",
            extra={"fields": {"batch": self.batch_id, "error": str(error)}},
        )
        self._damaged(Damage(record.offset, record.end, torn=False))

    def _take_note(self, record: Record) -> None:
        try:
            if record.kind == form.STORED:
                self._stored.add(read_key(record.body))
            elif self._plan is None:
                self._plan = read_plan(record.body)
        except ValueError:
            self._damaged(Damage(record.offset, record.end, torn=False))

    def _cut_tail(self, torn: Damage) -> None:
        self._owner.counts.torn_tails += 1
        log.warning(
            "a torn record at the end of a segment was cut, it was never acknowledged",
            extra={"fields": {"batch": self.batch_id, "bytes": torn.end - torn.offset}},
        )
        self._truncate(torn.offset)

    def _damaged(self, damage: Damage) -> None:
        if self._owner.folder.quarantine(self.path, damage.offset, damage.end):
            self._owner.counts.damaged_records += 1
            log.error(
                "a damaged part of a segment was copied to quarantine and skipped",
                extra={
                    "fields": {
                        "batch": self.batch_id,
                        "offset": damage.offset,
                        "bytes": damage.end - damage.offset,
                    }
                },
            )

    # -- the log's thread -------------------------------------------------------------------

    def commit(self, entries: Sequence[Entry]) -> StorageError | None:
        """Write the entries' records with one sync; why they are not kept, if they are not."""
        if self.failed is None:
            try:
                self._write(entries)
            except OSError as error:
                self._close()
                self.failed = self._owner.failed(self, error)
        if any(entry.head is None and entry.body for entry in entries):
            self._close()
        return self.failed

    def _write(self, entries: Sequence[Entry]) -> None:
        records = [(entry.head, entry.body) for entry in entries if entry.head is not None]
        if not records:
            return
        is_new = not self._exists
        pieces = [self._open()] if is_new else []
        if not is_new:
            self._open()
        offset = self._written or HEADER_BYTES
        for head, body in records:
            pieces += (form.pack_prefix(self._seed, offset, head, body), head, body)
            offset += form.record_size(head, body)
        descriptor = self._descriptor
        assert descriptor is not None  # noqa: S101 - opened above
        _write_all(descriptor, pieces)
        counts = self._owner.counts
        counts.log_records += len(records)
        counts.log_written_bytes += offset - self._written
        self._owner.grow(offset - self._written)
        self._written = offset
        if any(entry.kept is not None for entry in entries):
            started = time.perf_counter()
            sync_data(descriptor)
            if is_new:
                self._owner.folder.sync()
            counts.log_groups += 1
            counts.synced(time.perf_counter() - started)
            self._durable = offset

    def _open(self) -> bytes:
        """Open the file if it is not open; the header to write if it is new."""
        if self._descriptor is not None:
            return b""
        flags = os.O_WRONLY | getattr(os, "O_BINARY", 0)
        if self._exists:
            self._descriptor = os.open(self.path, flags)
            os.lseek(self._descriptor, self._written, os.SEEK_SET)
            return b""
        self._descriptor = os.open(self.path, flags | os.O_CREAT | os.O_EXCL, 0o666)
        self._exists = True
        return form.pack_header(Header(self._owner.folder.node, self._batch, time.time_ns()))

    def _close(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):  # what matters is synced, or has failed already
                os.close(self._descriptor)
            self._descriptor = None

    def cut(self) -> bool:
        """Cut the file at its last durable byte; False if even that fails."""
        if not self.path.exists():
            self._exists = False
            return True
        try:
            if self._durable:
                self._truncate(self._durable)
            else:
                self.path.unlink()
                self._owner.folder.sync()
                self._owner.grow(-self._written)
                self._written = 0
                self._exists = False
        except OSError:
            return False
        return True

    def _truncate(self, end: int) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | getattr(os, "O_BINARY", 0))
        try:
            os.ftruncate(descriptor, end)
            sync_file(descriptor)
        finally:
            os.close(descriptor)
        self._owner.grow(end - self._written)
        self._written = self._durable = end

    def _wait(self, head: bytes | None, body: bytes) -> StorageError | None:
        answers: list[StorageError | None] = []
        done = threading.Event()

        def kept(error: StorageError | None) -> None:
            answers.append(error)
            done.set()

        self._owner.put(Entry(self, head, body, kept))
        done.wait()
        return answers[0]


def _write_all(descriptor: int, pieces: Sequence[bytes]) -> None:
    """Write all of it, however little the system takes at a time."""
    if not hasattr(os, "writev"):  # Windows
        pieces = [b"".join(pieces)]
    for start in range(0, len(pieces), _PIECES):
        left: list[bytes | memoryview] = list(pieces[start : start + _PIECES])
        while left:
            if hasattr(os, "writev"):
                written = os.writev(descriptor, left)
            else:
                written = os.write(descriptor, left[0])
            left = _after(left, written)


def _after(pieces: Sequence[bytes | memoryview], written: int) -> list[bytes | memoryview]:
    """What of the pieces is left once their first ``written`` bytes are gone."""
    ends = itertools.accumulate(len(piece) for piece in pieces)
    for number, end in enumerate(ends):
        if end > written:
            begun = len(pieces[number]) - (end - written)
            return [memoryview(pieces[number])[begun:], *pieces[number + 1 :]]
    return []
