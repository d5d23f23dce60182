"""One segment of the log: the requests of one batch, then its plan, then what is stored.

Knows its file and its bytes. Must not know batches, nor when a group is complete. ``commit``,
``cut`` and ``check`` belong to the log's thread; the rest is called by whoever has the batch.

A descriptor on which a write or a sync failed is never used again: the system may have dropped
the very bytes, and would call the next sync a success. The file is cut at the last offset known
to be durable, by another descriptor, and nothing beyond it is ever read.
"""

import contextlib
import errno
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from otlp2parquet.batches.log import record as form
from otlp2parquet.batches.log.disk import Descriptor
from otlp2parquet.batches.log.protocol import SegmentGoneError, UnreadableLogError
from otlp2parquet.batches.log.record import (
    HEADER_BYTES,
    Damage,
    Header,
    Record,
    UnknownRecordError,
)
from otlp2parquet.batches.plan import Plan, pack_plan, pack_receipt, read_plan, read_receipt
from otlp2parquet.batches.request import Acknowledge, Request
from otlp2parquet.durable import reason_of
from otlp2parquet.errors import LogError, OtlpError, StorageError
from otlp2parquet.writers.protocol import StoredFile

if TYPE_CHECKING:
    from otlp2parquet.batches.log.group_commit import GroupCommit

log = logging.getLogger(__name__)


class Order(Enum):
    """What the log's thread is to do with an entry."""

    WRITE = 1
    """Write the record; with an ``acknowledge`` the group is synced before it is called."""
    CLOSE = 2
    """No request follows."""
    CHECK = 3
    """See whether the file still has its name."""
    LET_GO = 4
    """Few requests follow, if any: the file need not be held open any more."""
    PROBE = 5
    """See whether the disk takes bytes again (of no segment)."""
    LOOK = 6
    """See how full the disk is, and whether what could not be removed can be (of no segment)."""


class Entry(NamedTuple):
    """Something for the log's thread."""

    order: Order
    segment: "Segment | None" = None
    head: bytes = b""
    body: bytes = b""
    acknowledge: Acknowledge | None = None


class _State(Enum):
    """What is known of the file."""

    ABSENT = 1
    """There is none yet: nothing was written, or nothing of it was durable."""
    WHOLE = 2
    """It ends where the last record does."""
    UNCUT = 3
    """Behind the last durable record there is something that must go before more is written."""
    GONE = 4
    """Its name leads elsewhere: only the descriptor that is still open leads to its bytes."""
    REMOVED = 5
    """The batch is done. What comes behind that, a late note, must not make it anew."""


class Segment:
    """The segment of one batch. It has a file from the first group on."""

    rereads: Final = True
    waits_for_storage: Final = False

    def __init__(
        self,
        owner: "GroupCommit",
        batch: UUID,
        path: Path,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self.batch_id = str(batch)
        self.path = path
        self.plan: Plan | None = None
        self.destination: Plan | None = None
        self.receipts: dict[str, StoredFile] = {}
        self._owner = owner
        self._disk = owner.folder.disk
        self._batch = batch
        self._seed = form.seed_of(batch)
        self._on_failure = on_failure
        self._state = _State.ABSENT
        self._takes_requests = self._holds_open = True
        self._adopted = False
        self._refused: StorageError | None = None
        self._descriptor: Descriptor | None = None
        self._written = self._durable = 0

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self._written

    # -- a batch's side ---------------------------------------------------------------------

    def append(self, shard: int, request: Request, acknowledge: Acknowledge | None) -> None:
        """Queue a request; ``acknowledge`` is called once it is on the disk, or is not."""
        head = form.request_head(shard, request)
        self._owner.put(Entry(Order.WRITE, self, head, request.payload, acknowledge))

    def let_go(self) -> None:
        """Queue that the file need not be held open."""
        with contextlib.suppress(StorageError):  # the log is closed: so is the file
            self._owner.put(Entry(Order.LET_GO, self))

    def finish(self) -> bool:
        """Wait for the last sync; False when one failed, be it an earlier one."""
        error = self._wait(Order.CLOSE)
        return error is None and self._refused is None

    def fix(self, plan: Plan) -> None:
        """Write the plan and wait for its sync.

        If it cannot be written the batch is stored without: waiting for room on this disk would
        wait for the very file that takes it. The plan then holds as long as this process, and a
        replay makes the same one. But not where the segment leads to another storage: a replay
        would store there what is stored here already, so this is a ``LogError``.
        """
        recorded = self.plan or self.destination
        error = self._wait(Order.WRITE, form.other_head(form.PLAN), pack_plan(plan))
        if error is not None and recorded is not None and recorded.root != plan.root:
            msg = f"the log cannot take down that a batch goes to another storage: {error}"
            raise LogError(msg) from error
        if error is not None:
            log.warning(
                "the plan could not be written, the batch is stored without",
                extra={"fields": {"batch": self.batch_id, "error": str(error)}},
            )
        self.plan = plan

    def note(self, receipt: StoredFile) -> None:
        """Note a stored file. Nobody waits for it: a note that is lost costs a look at a file."""
        self.receipts[receipt.path] = receipt
        head, body = form.other_head(form.STORED), pack_receipt(receipt)
        with contextlib.suppress(StorageError):  # the log is closed: nothing is noted any more
            self._owner.put(Entry(Order.WRITE, self, head, body))

    def remove(self) -> None:
        """Remove the file, durably; what cannot be removed now is tried again later."""
        self._wait(Order.CLOSE)
        self._owner.remove(self)

    def unlink(self) -> None:
        """Take the file away. Raises ``OSError``; then it is still there."""
        if self._state is _State.GONE:
            # The folder may have come back with it.
            descriptor = self._descriptor
            has_name = descriptor is not None and self._disk.leads_to(self.path, descriptor)
        else:
            has_name = self._state not in (_State.ABSENT, _State.REMOVED)
        if has_name:
            self._disk.unlink(self.path)
            self._owner.folder.sync()
        self._let_go()
        self._owner.grow(-self._written)
        self._state, self._written, self._durable = _State.REMOVED, 0, 0

    def refuse(self, error: StorageError) -> None:
        """Never: what is in a segment may be acknowledged."""
        raise AssertionError(error)

    def _wait(self, order: Order, head: bytes = b"", body: bytes = b"") -> StorageError | None:
        answers: list[StorageError | None] = []
        done = threading.Event()

        def acknowledge(error: StorageError | None) -> None:
            answers.append(error)
            done.set()

        self._owner.put(Entry(order, self, head, body, acknowledge))
        done.wait()
        return answers[0]

    # -- reading ----------------------------------------------------------------------------

    def adopt(self) -> None:
        """Take the file that an earlier process has left, up to its last byte.

        A file that cannot be looked at now can perhaps be read later.
        """
        self._adopted = True
        self._takes_requests = self._holds_open = False
        self._state = _State.WHOLE
        try:
            size = self._disk.size(self.path)
        except OSError as error:
            log.error(  # noqa: TRY400 - the reason is in the line
                "a segment cannot be looked at, it will be tried again",
                extra={"fields": {"batch": self.batch_id, "error": reason_of(error)}},
            )
            return
        self._resize(size)

    def is_there(self) -> bool:
        """As ``BatchLog.is_there``; of a file that is not written yet the writing will tell."""
        if self._state is _State.ABSENT:
            return True
        if self._state in (_State.GONE, _State.REMOVED):
            return self._descriptor is not None
        try:
            return self._disk.exists(self.path)
        except OSError:
            return False

    def read(self) -> Iterator[Record]:
        """The requests that are durable, in order; damage is counted, set aside and skipped."""
        if self._state in (_State.ABSENT, _State.REMOVED):
            return
        try:
            yield from self._read()
        except UnknownRecordError as error:
            raise UnreadableLogError(f"cannot read {self.path}: {error}") from error
        except FileNotFoundError as error:
            if self._owner.folder.is_there():
                raise SegmentGoneError(f"{self.path} is gone") from error
            raise StorageError(f"cannot read {self.path}: {reason_of(error)}") from error
        except OSError as error:
            raise StorageError(f"cannot read {self.path}: {reason_of(error)}") from error

    def _read(self) -> Iterator[Record]:
        kept_open = self._descriptor if self._state is _State.GONE else None
        source = self._disk.open(self.path, write=False) if kept_open is None else kept_open
        try:
            if self._adopted:
                self._read_header(source)
            torn: Damage | None = None
            for found in form.scan(self._read_at(source), self._durable, self._batch):
                if isinstance(found, Damage):
                    torn = found if found.torn else None
                    if not found.torn:
                        self._set_aside(found.offset, found.end, source)
                elif found.kind == form.REQUEST:
                    yield found
                else:
                    self._take_note(found)
            if self._adopted and torn is not None:
                self._drop_tail(torn)
        finally:
            if kept_open is None:
                self._disk.close(source)

    def _read_header(self, source: Descriptor) -> None:
        if not self._written:
            self._resize(self._disk.size(self.path))  # it could not be looked at before
        if form.read_header(self._disk.read(source, 0, HEADER_BYTES)) is not None:
            return
        if self._durable >= HEADER_BYTES:  # the records say all that the header said
            self._set_aside(0, HEADER_BYTES, source)
        else:
            self._drop_tail(Damage(0, self._durable, torn=True))

    def _read_at(self, source: Descriptor) -> form.ReadAt:
        def read(offset: int, count: int) -> bytes:
            return self._disk.read(source, offset, count)

        return read

    def set_aside(self, record: Record, error: OtlpError) -> None:
        """Copy a request that can no longer be decoded to quarantine."""
        log.error(
            "a request in the log can no longer be decoded",
            extra={"fields": {"batch": self.batch_id, "error": str(error)}},
        )
        try:
            source = self._disk.open(self.path, write=False)
            try:
                self._set_aside(record.offset, record.end, source)
            finally:
                self._disk.close(source)
        except OSError as trouble:
            reason = reason_of(trouble)
            raise StorageError(f"cannot put a part of {self.path} aside: {reason}") from trouble

    def _take_note(self, record: Record) -> None:
        try:
            if record.kind == form.STORED:
                receipt = read_receipt(record.body)
                self.receipts.setdefault(receipt.path, receipt)
            elif record.kind == form.PLAN:
                self.plan = read_plan(record.body)
            else:
                self.destination = read_plan(record.body)
        except ValueError as error:
            raise UnreadableLogError(f"cannot read {self.path}: {error}") from error

    def _drop_tail(self, torn: Damage) -> None:
        if torn.offset >= torn.end:
            return
        self._owner.counts.add(torn_tails=1)
        log.warning(
            "a torn record at the end of a segment is left out, it was never acknowledged",
            extra={"fields": {"batch": self.batch_id, "bytes": torn.end - torn.offset}},
        )
        # Nothing is cut here: whoever writes next does it, and reading needs it not.
        self._durable = torn.offset
        self._state = _State.UNCUT

    def _set_aside(self, offset: int, end: int, source: Descriptor) -> None:
        if self._owner.folder.quarantine(self.path.name, source, offset, end):
            self._owner.counts.add(damaged_records=1)
            log.error(
                "a damaged part of a segment was copied to quarantine and skipped",
                extra={"fields": {"batch": self.batch_id, "offset": offset, "bytes": end - offset}},
            )

    # -- the log's thread -------------------------------------------------------------------

    @property
    def holds_open(self) -> bool:
        """Whether more requests are expected, so that the file is kept open."""
        return self._holds_open

    def commit(self, entries: Sequence[Entry]) -> StorageError | None:
        """Do what the entries order, with one sync; why that is not kept, if it is not."""
        writes: list[Entry] = []
        orders: set[Order] = set()
        is_awaited = False
        for entry in entries:
            if entry.order is Order.WRITE:
                writes.append(entry)
            else:
                orders.add(entry.order)
            is_awaited |= entry.acknowledge is not None
        error = self._refused if self._takes_requests else None
        is_lost = self._state is _State.GONE and not self._takes_requests
        if writes and (is_lost or self._state is _State.REMOVED):
            # A plan or a note of a batch whose file was removed: that the log fails is told.
            error = LogError(f"{self.path} was removed")
        if error is None:
            try:
                # Before the writes: behind their sync no failure may refuse what is durable.
                # Nor is the file let go without it: one whose name is gone can only be read by the
                # descriptor that is still open.
                if orders:
                    self._check()
                if writes:
                    self._write(writes, is_awaited=is_awaited)
            except OSError as trouble:
                error = self._fail(trouble)
        if Order.CLOSE in orders:
            self._takes_requests = self._holds_open = False
        if Order.LET_GO in orders:
            self._holds_open = False
        if not self._holds_open and self._state is not _State.GONE:
            self._let_go()
        return error

    def _fail(self, trouble: OSError) -> StorageError:
        if self._state is not _State.GONE:
            self._let_go()
            if self._state is _State.WHOLE:
                self._state = _State.UNCUT
        error = self._owner.failed(self, trouble)
        if self._takes_requests:
            self._refused = error
            self._on_failure()
        return error

    def _write(self, writes: Sequence[Entry], *, is_awaited: bool) -> None:
        self.cut()
        if self._state is _State.GONE:  # as the cut has found
            raise FileNotFoundError(errno.ENOENT, "the segment was removed")
        records = [(entry.head, entry.body) for entry in writes]
        pieces: list[bytes] = []
        is_new = self._state is _State.ABSENT
        start = offset = self._written
        if is_new:
            self._descriptor = self._disk.create(self.path)
            # From here on a failure leaves bytes that must go.
            self._state, start, offset = _State.WHOLE, 0, HEADER_BYTES
            header = Header(self._owner.folder.node, self._batch, time.time_ns())
            pieces.append(form.pack_header(header))
            destination = self._owner.destination
            records.insert(0, (form.other_head(form.DESTINATION), pack_plan(destination)))
        elif self._descriptor is None:
            self._descriptor = self._disk.open(self.path, write=True)
        descriptor = self._descriptor
        assert descriptor is not None  # noqa: S101 - opened above
        for head, body in records:
            pieces += (form.pack_prefix(self._seed, offset, head, body), head, body)
            offset += form.record_size(head, body)
        self._disk.write(descriptor, start, pieces)
        self._owner.counts.logged(len(writes), offset - start)
        self._resize(offset, durable=self._durable)
        if is_awaited:
            self._sync(descriptor, is_new=is_new)

    def _sync(self, descriptor: Descriptor, *, is_new: bool) -> None:
        started = time.perf_counter()
        self._disk.sync(descriptor)
        if is_new:
            self._owner.folder.sync()
        self._owner.counts.synced(time.perf_counter() - started)
        self._check()
        self._durable = self._written

    def _check(self) -> None:
        """A file without its name is found by nobody: what is in it is not kept."""
        descriptor = self._descriptor
        if descriptor is None or self._state is not _State.WHOLE:
            return
        if not self._disk.leads_to(self.path, descriptor):
            self._state = _State.GONE
            raise FileNotFoundError(errno.ENOENT, "the segment was removed")

    def cut(self) -> None:
        """Cut the file behind its last durable record. Raises ``OSError``."""
        if self._state is not _State.UNCUT:
            return
        if not self._disk.exists(self.path):
            self._state = _State.GONE if self._durable else _State.ABSENT
            self._resize(self._durable)
        elif self._durable:
            descriptor = self._disk.open(self.path, write=True)
            try:
                self._disk.truncate(descriptor, self._durable)
            finally:
                self._disk.close(descriptor)
            self._resize(self._durable)
            self._state = _State.WHOLE
        else:
            self._disk.unlink(self.path)
            self._owner.folder.sync()
            self._resize(0)
            self._state = _State.ABSENT

    def _resize(self, written: int, *, durable: int | None = None) -> None:
        self._owner.grow(written - self._written)
        self._written = written
        self._durable = written if durable is None else durable

    def _let_go(self) -> None:
        if self._descriptor is not None:
            self._disk.close(self._descriptor)
            self._descriptor = None
