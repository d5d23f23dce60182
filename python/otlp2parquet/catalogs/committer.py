"""The committer: what is stored becomes part of its table, once, however often it is tried.

Does the steps that ``schedule`` gives out. Knows receipts, and the catalog only by its protocol.
``run_one`` does the next step, and a thread only calls it again and again; ``step`` is the same for
clients that are awaited. Time comes from the caller: nothing here waits for a clock.

One attempt: load the table; pass by the receipts that it names; check that the others still exist
(one that does not was committed by somebody else, who has deleted it); append all their files; in
the same commit the table names their keys, and is asserted to be the one that was loaded. After a
conflict, or where nobody knows what became of an attempt, the next one begins from "load": so no
file is appended twice, and none is forgotten.

A key is no longer named once its receipt is gone for good: it was deleted, or was not found, after
the batch had left the log, which could have made it again.
"""

import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from otlp2parquet.catalogs.awaiting import run_now, settled
from otlp2parquet.catalogs.backlog import Backlog
from otlp2parquet.catalogs.forgetting import MOST_NODES, Forgetting
from otlp2parquet.catalogs.protocol import Catalog, LoadedTable, Receipts
from otlp2parquet.catalogs.receipts import Receipt, key_of
from otlp2parquet.catalogs.schedule import Action, Schedule, Step, TableProgress
from otlp2parquet.errors import (
    CatalogConflictError,
    CatalogError,
    CatalogRefusedError,
    OtlpError,
    StorageError,
)

log = logging.getLogger(__name__)

CONFLICT_FIRST_SECS: Final = 0.05
CONFLICT_LONGEST_SECS: Final = 5.0
RETRY_FIRST_SECS: Final = 1.0
RETRY_LONGEST_SECS: Final = 10.0
"""With the time that a request may hang: a catalog that is back has everything within a minute."""
PARKED_SECS: Final = 300.0
"""After a definite refusal: somebody has to mend something first."""
LOGGED_SECS: Final = 1.0
"""When a receipt is looked at again whose batch has not left the log yet."""
MOST_REMOVED: Final = 64
"""Receipts that one step removes, so that commits need not wait long for it."""
MOST_NAMED: Final = 16
"""Receipts that could be removed, of a table that names them: for more they are removed before it
names others. A process that ends within seconds, again and again, may come to commits alone."""
MOST_FILES: Final = 10_000
"""In one commit, so that its size is bounded after a long outage; one receipt may have more."""
MOST_HALVINGS: Final = MOST_FILES.bit_length()
"""After so many an attempt takes one receipt."""
CONFLICTS_PER_HALVING: Final = 3
"""In a row. Where attempts of any size meet others, smaller ones would only commit less: with three
the size holds while one attempt of five succeeds."""


@dataclass(slots=True)
class CommitCounts:
    """What a committer did since its start."""

    commits: int = 0
    files: int = 0
    rows: int = 0
    conflicts: int = 0
    failures: int = 0
    refusals: int = 0
    already: int = 0
    """Receipts whose files the table had when they were to be committed."""
    younger: int = 0
    """Receipts of other nodes, at the last look, that are left to their own servers."""
    unreadable: int = 0
    """Objects among the receipts that could not be read."""


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """What is not in its table yet."""

    receipts: int
    oldest_ms: int | None
    """When the oldest batch of them was opened, in ms since the epoch."""
    error: str
    """Why the table rests that failed last; empty if none does."""
    is_parked: bool
    """Whether a table was refused for good."""


class Committer:
    """Commits the receipts of ``node``, with ``all_nodes`` also old ones of others.

    ``is_logged`` says whether the log still has a batch of the node: then its receipt could be
    made again. ``forgets`` is for the one process that makes the node's receipts, and for several
    where ``may_return`` holds for every batch whose receipt any of them may still make; without it
    that is ``is_logged``. ``is_retired`` says of another node whether its receipts can never be
    made again. Without ``lists`` only receipts that it is told of are committed.
    """

    def __init__(
        self,
        catalog: Catalog,
        receipts: Receipts,
        node: str,
        *,
        interval_secs: float = 10.0,
        is_logged: Callable[[str], bool] = lambda _: False,
        may_return: Callable[[str], bool] | None = None,
        is_retired: Callable[[str], Awaitable[bool] | bool] | None = None,
        logged: Callable[[], Iterable[str]] = tuple,
        forgets: bool = True,
        all_nodes: bool = False,
        lists: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
        time_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.node = node
        self.counts = CommitCounts()
        self._catalog = catalog
        self._receipts = receipts
        self._interval = interval_secs
        self._is_logged = is_logged
        self._logged = logged
        self._forgetting = Forgetting(
            receipts,
            node,
            may_return=is_logged if may_return is None else may_return,
            is_retired=is_retired,
            forgets=forgets,
            lists=lists,
            jitter=jitter,
        )
        self._all_nodes = all_nodes
        self._monotonic = monotonic
        self._time_ms = time_ms
        self._jitter = jitter
        self._lock = threading.Lock()
        """Guards the schedule, and the state of every table in it."""
        self._schedule = Schedule()
        self._schedule.is_listed = not lists
        self._error = ""
        self._logged_before: set[str] | None = None if lists else set()
        """Batches that were in the log when the receipts were listed; None before."""
        self._backlog: Backlog | None = None
        """The look at what receipts there are that is on its way, and what the log had then."""
        self._logged_then: set[str] = set()
        self._unreadable: set[str] = set()
        """Keys of receipts that could not be read: another version may still commit them."""
        self._hurry = False
        self.on_receipt: Callable[[], None] = lambda: None
        """Called when there is something to do, without any lock held."""

    def add(self, receipt: Receipt) -> None:
        """A receipt is kept. Does not wait."""
        with self._lock:
            self._schedule.add(receipt)
        self.on_receipt()

    def hurry(self) -> None:
        """From now on nothing rests before it is tried; what failed rests as ever."""
        with self._lock:
            for table in self._schedule.tables.values():
                table.due = min(table.due, self._monotonic())
            self._hurry = True

    def withdraw(self) -> int:
        """Remove the receipts that no table has, and give their number.

        For who has nowhere to keep them: whoever sent the rows is told to send them again. Their
        files stay, in no table. For clients that answer at once.
        """
        return run_now(self._withdraw())

    async def _withdraw(self) -> int:
        with self._lock:
            waiting = list(self._schedule.waiting())
            for table in self._schedule.tables.values():
                table.waiting.clear()
        for receipt in waiting:
            await settled(self._receipts.delete(receipt))
        return len(waiting)

    def list_again(self) -> None:
        """Look once more which receipts there are."""
        with self._lock:
            self._backlog = None
            self._schedule.is_listed = False

    def status(self) -> CommitStatus:
        """What is not in its table yet."""
        with self._lock:
            waiting = sum(1 for _ in self._schedule.waiting())
            in_trouble = [table for table in self._schedule.tables.values() if table.error]
            listing = self._schedule.list_rounds > 0
            return CommitStatus(
                waiting,
                self._schedule.oldest_ms,
                self._error if in_trouble or listing else "",
                any(table.is_parked for table in in_trouble),
            )

    @property
    def is_listed(self) -> bool:
        """Whether it is known what earlier processes have left."""
        with self._lock:
            return self._schedule.is_listed

    def waiting(self) -> dict[str, int]:
        """How many receipts wait for each table."""
        with self._lock:
            tables = self._schedule.tables.values()
            return {table.name: len(table.waiting) for table in tables if table.waiting}

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to be done, as far as is known."""
        with self._lock:
            return self._schedule.is_idle

    def secs_until_due(self) -> float | None:
        """How long there is nothing to do; None: until a receipt comes."""
        with self._lock:
            due = self._schedule.next_due()
        return None if due is None else max(0.0, due - self._monotonic())

    def run_one(self) -> bool:
        """Do the next step; False if none is due. For clients that answer at once."""
        return run_now(self.step())

    async def step(self) -> bool:
        """Do the next step; False if none is due. Several may be on their way at once."""
        with self._lock:
            step = self._schedule.next(self._monotonic())
        if step is None:
            return False
        try:
            await self._do(step)
        except Exception as error:  # noqa: BLE001 - whatever it is, receipts are kept and tried again
            self._failed(step, error)
        finally:
            with self._lock:
                if step.table is not None:
                    step.table.is_busy = False
                else:
                    self._schedule.is_listing = False
        return True

    async def _do(self, step: Step) -> None:
        if step.action is Action.LIST:
            await self._list()
        elif step.table is not None:
            act = self._commit if step.action is Action.COMMIT else self._delete
            await act(step.table)

    # -- receipts that are there ------------------------------------------------------------

    async def _list(self) -> None:
        if self._backlog is None:
            # Before the listing: what was not in the log then makes no receipt behind it.
            self._logged_then = set(self._logged())
            self._backlog = Backlog(
                self._receipts,
                self.node,
                all_nodes=self._all_nodes,
                monotonic=self._monotonic,
                now_ms=self._time_ms(),
            )
        backlog = self._backlog
        with self._lock:
            known = {
                path
                for table in self._schedule.tables.values()
                for path in (*table.waiting, *table.committed)
            }
        try:
            found = await backlog.portion(known)
        except BaseException:
            self._backlog = None
            raise
        finally:
            self._unreadable |= backlog.unreadable
            self.counts.younger = backlog.younger
            self.counts.unreadable = len(self._unreadable)
        with self._lock:
            for receipt in found:
                self._schedule.add(receipt)
            self._schedule.list_rounds = 0
            self._schedule.list_due = self._monotonic()
            if not backlog.is_over:
                return
            self._schedule.is_listed = True
            self._backlog = None
            if self._logged_before is None:
                self._logged_before = self._logged_then

    # -- receipts become part of their table ------------------------------------------------

    async def _commit(self, progress: TableProgress) -> None:
        with self._lock:
            waiting = list(progress.waiting.values())
        table = await settled(self._catalog.load(progress.name))
        named = {node: table.committed(node) for node in {one.node for one in waiting}}
        there = [receipt for receipt in waiting if receipt.key in named[receipt.node]]
        self._took(progress, there, already=True)
        await self._delete_first(progress)
        left = [receipt for receipt in waiting if receipt.key not in named[receipt.node]]
        files = min(sum(len(receipt.files) for receipt in left), MOST_FILES)
        rest = _first_files(left, files >> progress.halvings, MOST_NODES)
        candidates = await self._candidates(table, named) if rest else {}
        with self._lock:
            # No longer named: the commit that forgot them is in the table that was loaded.
            progress.removed &= table.committed(self.node)
            removed = frozenset(progress.removed)
        doubtful = candidates | {self.node: candidates.get(self.node, frozenset()) - removed}
        # Behind "load": what exists now and was not named then is in no table as it was loaded.
        present = await self._forgetting.present(progress.name, rest, doubtful)
        gone = [receipt for receipt in rest if receipt.path not in present]
        with self._lock:
            for receipt in gone:
                progress.waiting.pop(receipt.path, None)
        chosen = [one for one in rest if one.path in present]
        if chosen:
            forgotten = self._forgettable(progress, candidates, present)
            names = {
                node: (table.committed(node) - forgotten.get(node, frozenset()))
                | {receipt.key for receipt in chosen if receipt.node == node}
                for node in {*forgotten, *(one.node for one in chosen)}
            }
            await settled(table.append(chosen, names))
            self._took(progress, chosen, already=False)
        with self._lock:
            was_parked, progress.is_parked = progress.is_parked, False
            progress.rounds = progress.conflicts = 0
            progress.halvings = max(0, progress.halvings - 1)
            progress.error = ""
            is_over = not self._hurry and len(rest) == len(left)
            pause = self._interval if is_over else 0.0
            progress.due = self._monotonic() + pause
        if was_parked:
            log.info("the catalog takes files again", extra={"fields": {"table": progress.name}})

    async def _candidates(
        self, table: LoadedTable, waiting: Iterable[str]
    ) -> dict[str, frozenset[str]]:
        """The keys, by node, whose receipts cannot be made again."""
        found = await self._forgetting.candidates(table, waiting)
        # Until it is known what an earlier process has left, it may be the receipt of any of them.
        logged = self._logged_before
        own = found.pop(self.node, frozenset())
        if logged is not None and own:
            found[self.node] = frozenset(key for key in own if _batch_of(key) not in logged)
        return found

    def _forgettable(
        self,
        progress: TableProgress,
        candidates: Mapping[str, frozenset[str]],
        present: set[str],
    ) -> dict[str, frozenset[str]]:
        """Of the candidates, those whose receipts are gone, by node.

        ``present`` are the paths of receipts that existed after the table was loaded.
        """
        with self._lock:
            known = {one.key for one in (*progress.waiting.values(), *progress.committed.values())}
        kept = known | self._unreadable | {key_of(path) for path in present}
        forgotten = {node: keys - kept for node, keys in candidates.items()}
        return {node: keys for node, keys in forgotten.items() if keys}

    def _took(self, progress: TableProgress, receipts: list[Receipt], *, already: bool) -> None:
        """The table has the files of these receipts."""
        with self._lock:
            now = self._monotonic()
            progress.delete_due = min(progress.delete_due, now) if progress.committed else now
            for receipt in receipts:
                if progress.waiting.pop(receipt.path, None) is not None:
                    progress.committed[receipt.path] = receipt
        if already:
            self.counts.already += len(receipts)
            return
        files = [file for receipt in receipts for file in receipt.files]
        rows = sum(file.rows for file in files)
        self.counts.commits += 1
        self.counts.files += len(files)
        self.counts.rows += rows
        fields = {"table": progress.name, "batches": len(receipts), "files": len(files)}
        log.info("committed", extra={"fields": {**fields, "rows": rows}})

    async def _delete_first(self, progress: TableProgress) -> None:
        """Remove many before a commit. A storage that refuses it holds up no commit."""
        with self._lock:
            few = len(progress.committed) <= MOST_NAMED
            if few or progress.delete_due > self._monotonic():
                return
        free = self._removable(progress)
        if len(free) <= MOST_NAMED:
            return
        try:
            await self._remove(progress, free)
        except Exception as error:  # noqa: BLE001 - as in a step of its own
            self._failed(Step(Action.DELETE, progress), error)

    async def _delete(self, progress: TableProgress) -> None:
        await self._remove(progress, self._removable(progress))

    async def _remove(self, progress: TableProgress, free: list[Receipt]) -> None:
        for receipt in free[:MOST_REMOVED]:
            await settled(self._receipts.delete(receipt))
            with self._lock:
                progress.committed.pop(receipt.path, None)
                if receipt.node == self.node:
                    progress.removed.add(receipt.key)
                if self._logged_before is not None:
                    self._logged_before.discard(receipt.batch_id)
        with self._lock:
            pause = 0.0 if len(free) > MOST_REMOVED else LOGGED_SECS
            progress.delete_due = self._monotonic() + pause

    def _removable(self, progress: TableProgress) -> list[Receipt]:
        """Receipts whose files the table has, and that the log cannot make again."""
        with self._lock:
            committed = list(progress.committed.values())
        return [
            receipt
            for receipt in committed
            if receipt.node != self.node or not self._is_logged(receipt.batch_id)
        ]

    # -- what goes wrong --------------------------------------------------------------------

    def _failed(self, step: Step, error: Exception) -> None:
        reason = str(error) or type(error).__name__
        is_conflict = isinstance(error, CatalogConflictError)
        is_refusal = isinstance(error, CatalogRefusedError)
        self.counts.conflicts += is_conflict
        self.counts.refusals += is_refusal
        self.counts.failures += not is_conflict and not is_refusal
        with self._lock:
            now = self._monotonic()
            if step.table is None:
                self._schedule.list_rounds += 1
                rounds = self._schedule.list_rounds
                pause = self._pause(rounds, error)
                self._schedule.list_due = now + pause
                self._error = reason
            elif step.action is Action.DELETE:
                pause, rounds = RETRY_LONGEST_SECS, 1
                step.table.delete_due = now + self._jittered(pause)
            else:
                if is_conflict:
                    step.table.conflicts += 1
                    rounds = step.table.conflicts
                    if rounds % CONFLICTS_PER_HALVING == 0:
                        step.table.halvings = min(step.table.halvings + 1, MOST_HALVINGS)
                else:
                    step.table.rounds += 1
                    rounds = step.table.rounds
                    self._error = step.table.error = reason
                pause = self._pause(rounds, error)
                step.table.due = now + pause
                step.table.is_parked = is_refusal
        if is_conflict:
            log.debug("somebody else was faster, it is done again: %s", reason)
            return
        log.warning(
            _text_of(step, is_refusal=is_refusal),
            extra={
                "fields": {
                    "table": step.table.name if step.table is not None else "",
                    "attempt": rounds,
                    "retry_secs": round(pause, 1),
                    "error": reason,
                }
            },
            # An environment's trouble explains itself; anything else may be a defect.
            exc_info=None if isinstance(error, CatalogError | StorageError | OtlpError) else error,
        )

    def _pause(self, rounds: int, error: Exception) -> float:
        """How long it is until the next attempt."""
        if isinstance(error, CatalogRefusedError):
            return self._jittered(PARKED_SECS)
        if isinstance(error, CatalogConflictError):
            longest = min(CONFLICT_FIRST_SECS * 2.0 ** min(rounds, 16), CONFLICT_LONGEST_SECS)
            # From nothing on: who lost a race should not lose the next one to the same winner.
            return longest * self._jitter()
        return self._jittered(
            min(RETRY_FIRST_SECS * 2.0 ** min(rounds - 1, 16), RETRY_LONGEST_SECS)
        )

    def _jittered(self, pause: float) -> float:
        return pause * (0.75 + 0.5 * self._jitter())


def _batch_of(key: str) -> str:
    """The batch of the receipt with this key."""
    return key.partition(".")[0]


def _first_files(receipts: list[Receipt], most: int, most_nodes: int) -> list[Receipt]:
    """The oldest receipts that have so many files together, of so many nodes; one at least."""
    chosen: list[Receipt] = []
    nodes: set[str] = set()
    count = 0
    for receipt in sorted(receipts, key=lambda one: one.batch_id):
        count += len(receipt.files)
        nodes.add(receipt.node)
        if chosen and (count > most or len(nodes) > most_nodes):
            break
        chosen.append(receipt)
    return chosen


def _text_of(step: Step, *, is_refusal: bool) -> str:
    if step.action is Action.LIST:
        return "receipts of an earlier time cannot be looked for, it will be tried again"
    if step.action is Action.DELETE:
        return "a receipt whose files are committed cannot be removed, it will be tried again"
    if is_refusal:
        return (
            "the catalog refuses files; they are stored, their receipts are kept, and it is tried "
            "again now and then"
        )
    return "the catalog took nothing; files are stored, receipts are kept, it will be tried again"
