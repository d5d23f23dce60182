"""Lives of committers: a scripted catalog and storage, several writers, seeded faults, a ledger.

Runs ``otlp2parquet.catalogs`` without threads, real catalogs or clocks. Whenever an actor calls the
catalog or the storage, others may take their turns first, within that call: so anything may happen
between any two calls. A call may fail with or without its effect, its effect may come later, and
the process may end there. Afterwards faults stop, and the ledger must be even: every file in its
table exactly once, every receipt gone, nothing waiting.

The catalog has only the newest state of a table, as Nessie shows it: whatever older snapshots
said is expired at once.
"""

from __future__ import annotations

import io
import random
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO

from otlp2parquet.batch_id import uuid_text
from otlp2parquet.catalogs.backlog import OTHERS_SECS
from otlp2parquet.catalogs.committer import Committer
from otlp2parquet.catalogs.receipt_folder import ReceiptFinisher, ReceiptFolder
from otlp2parquet.catalogs.receipts import FOLDER
from otlp2parquet.core.files import PlannedFile
from otlp2parquet.errors import (
    CatalogConflictError,
    CatalogRefusedError,
    CatalogUnavailableError,
    NameTakenError,
    OtlpError,
    StorageRefusedError,
    StorageUnavailableError,
)
from otlp2parquet.stores import StoredObject
from otlp2parquet.writers.protocol import StoredFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Protocol

    from otlp2parquet.catalogs.receipts import Receipt

TABLES = ("otel_logs", "otel_traces")
_DEPTH = 3
"""How deep turns within turns go."""


if TYPE_CHECKING:

    class Actor(Protocol):
        """Whoever takes turns."""

        def turn(self) -> None:
            """One step."""

        @property
        def is_idle(self) -> bool:
            """Whether it owes nothing."""


class CrashError(BaseException):
    """The process ends here."""


@dataclass
class TableState:
    """What the catalog has of one table."""

    version: int = 0
    files: list[str] = field(default_factory=list)
    named: dict[str, frozenset[str]] = field(default_factory=dict)


@dataclass
class LateCommit:
    """A commit whose request is still on its way."""

    table: str
    base: int
    files: list[str]
    named: Mapping[str, frozenset[str]]


class World:
    """Everything that outlives a process, and the clock."""

    def __init__(self, seed: int, *, faults: float = 0.15, crashes: float = 0.02) -> None:
        self.random = random.Random(seed)
        self.faults = faults
        self.crashes = crashes
        self.now = 0.0
        self.objects: dict[str, bytes] = {}
        self.tables = {name: TableState() for name in TABLES}
        self.late: list[LateCommit] = []
        self.actors: list[Actor] = []
        self.expected: dict[str, set[str]] = {name: set() for name in TABLES}
        self.possible: set[str] = set()
        """Files that may be in their table: whoever made them has promised nothing."""
        self.problems: list[str] = []
        self.trace: list[str] = []
        self.most_named = 0
        self.most_nodes = 0
        self.is_away = False
        """Whether the catalog cannot be reached."""
        self.pace = 3.0
        """Seconds between two turns, at most."""
        self.is_ending = False
        """Whether nothing new is begun."""
        self._depth = 0

    # -- what may happen at a call ------------------------------------------------------------

    def interrupt(self, process: Process, what: str) -> None:
        """Others take their turns, and the process may end."""
        if has_ended(process):
            raise CrashError
        self.trace.append(f"{process.name}: {what}")
        if self._depth < _DEPTH:
            self._depth += 1
            try:
                while self.random.random() < 0.35:
                    self.random.choice(self.actors).turn()
            finally:
                self._depth -= 1
        if self.late and self.random.random() < 0.3:
            self.land(self.late.pop(self.random.randrange(len(self.late))))
        if has_ended(process):
            raise CrashError  # within a turn of another
        if self.random.random() < self.crashes:
            process.is_alive = False
            self.trace.append(f"{process.name}: ends")
            raise CrashError

    def fails(self) -> bool:
        """Whether this call fails."""
        return self.random.random() < self.faults

    # -- the catalog's side of a commit -------------------------------------------------------

    def land(self, commit: LateCommit) -> bool:
        """Apply a commit if the table is still the one that it asserts."""
        state = self.tables[commit.table]
        if state.version != commit.base:
            return False
        state.version += 1
        state.files += commit.files
        state.named.update(commit.named)
        state.named = {node: keys for node, keys in state.named.items() if keys}
        self.most_named = max(self.most_named, *(len(keys) for keys in state.named.values()))
        self.most_nodes = max(self.most_nodes, len(state.named))
        return True

    def run(self, turns: int) -> None:
        """Let actors take so many turns, then stop all faults and let everything end."""
        for _ in range(turns):
            self.random.choice(self.actors).turn()
            self.now += self.random.random() * self.pace
        self.is_ending = True
        self.faults = self.crashes = 0.0
        self.is_away = False
        self.settle()

    def settle(self) -> None:
        """Without faults, everything ends within a bounded number of turns."""
        for _ in range(3000):
            self.now += 5.0
            for actor in self.actors:
                actor.turn()
            while self.late:
                self.land(self.late.pop())
            if self._is_over():
                break
        else:
            self.problems.append("something is stuck")
        self._check()

    def _is_over(self) -> bool:
        idle = all(actor.is_idle for actor in self.actors)
        return idle and not any(path.startswith(FOLDER) for path in self.objects)

    def _check(self) -> None:
        for name, state in self.tables.items():
            counted = Counter(state.files)
            expected = self.expected[name]
            if doubled := [path for path, count in counted.items() if count > 1]:
                self.problems.append(f"{name} has twice: {doubled[:3]}")
            if lost := expected - set(counted):
                self.problems.append(f"{name} has not: {sorted(lost)[:3]}")
            if strange := set(counted) - expected - self.possible:
                self.problems.append(f"{name} has of nobody: {sorted(strange)[:3]}")


class Process:
    """Lives until it crashes; what it holds in memory goes with it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_alive = True


def has_ended(process: Process) -> bool:
    """Whether it has crashed."""
    return not process.is_alive


class ScriptedStore:
    """A process's ``Store``."""

    root = "s3://bucket"

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process

    def create(self, path: str, fill: Callable[[BinaryIO], None]) -> int:
        """As ``Store.create``; an answer may be lost."""
        world = self._world
        self._before("create", path)
        if path in world.objects:
            raise NameTakenError(path)
        sink = io.BytesIO()
        fill(sink)
        world.objects[path] = sink.getvalue()
        self._after("create")
        return len(sink.getvalue())

    def open(self, path: str) -> BinaryIO:
        """As ``Store.open``."""
        self._before("open", path)
        if path not in self._world.objects:
            raise FileNotFoundError(path)
        return io.BytesIO(self._world.objects[path])

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """As ``Store.list``."""
        self._before("list", prefix)
        for path, data in list(self._world.objects.items()):
            if path.startswith(f"{prefix}/"):
                yield StoredObject(path, len(data))

    def delete(self, path: str) -> None:
        """As ``Store.delete``; an answer may be lost."""
        self._before("delete", path)
        self._world.objects.pop(path, None)
        self._after("delete")

    def _before(self, what: str, path: str) -> None:
        self._world.interrupt(self._process, f"{what} {path}")
        if self._world.fails():
            kind = self._world.random.choice((StorageUnavailableError, StorageRefusedError))
            raise kind(f"the storage cannot {what}")

    def _after(self, what: str) -> None:
        self._world.interrupt(self._process, f"{what} is done")
        if self._world.fails():
            raise StorageUnavailableError(f"the answer to {what} is lost")


class ScriptedTable:
    """A loaded table."""

    def __init__(self, world: World, process: Process, name: str) -> None:
        state = world.tables[name]
        self._world = world
        self._process = process
        self._name = name
        self._base = state.version
        self._named = dict(state.named)

    def nodes(self) -> frozenset[str]:
        """As ``LoadedTable.nodes``."""
        return frozenset(self._named)

    def committed(self, node: str) -> frozenset[str]:
        """As ``LoadedTable.committed``."""
        return self._named.get(node, frozenset())

    def append(self, receipts: Sequence[Receipt], committed: Mapping[str, frozenset[str]]) -> None:
        """As ``LoadedTable.append``, with everything that may become of a request."""
        world = self._world
        world.interrupt(self._process, f"append {self._name} on {self._base}")
        files = [file.location for receipt in receipts for file in receipt.files]
        commit = LateCommit(self._name, self._base, files, committed)
        if world.is_away:
            raise CatalogUnavailableError("the catalog is away")
        if world.fails():
            kind = world.random.choice(("refused", "throttled", "before", "late"))
            if kind == "refused":
                raise CatalogRefusedError("not allowed")
            if kind == "late":
                world.late.append(commit)
            raise CatalogUnavailableError(f"it is not known what became of it: {kind}")
        if not world.land(commit):
            raise CatalogConflictError("another snapshot")
        world.interrupt(self._process, f"append {self._name} is done")
        if world.fails():
            raise CatalogUnavailableError("the answer is lost")


class ScriptedCatalog:
    """A process's ``Catalog``."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process

    def load(self, table: str) -> ScriptedTable:
        """As ``Catalog.load``."""
        self._world.interrupt(self._process, f"load {table}")
        if self._world.is_away or self._world.fails():
            raise CatalogUnavailableError("the catalog cannot be reached")
        return ScriptedTable(self._world, self._process, table)


class Node:
    """A server: its log, which outlives its processes, and a committer in each of them."""

    def __init__(self, world: World, number: int, batches: int) -> None:
        self.world = world
        self.node = str(uuid.UUID(int=number + 1, version=4))
        self.logged: dict[str, list[tuple[PlannedFile, StoredFile]]] = {}
        self._left = batches
        self._start()

    def _start(self) -> None:
        self.process = Process(f"node {self.node[-1]}")
        store = ScriptedStore(self.world, self.process)
        folder = ReceiptFolder(store)
        self.committer = Committer(
            ScriptedCatalog(self.world, self.process),
            folder,
            self.node,
            is_logged=self.logged.__contains__,
            logged=lambda: list(self.logged),
            monotonic=lambda: self.world.now,
            time_ms=lambda: int(self.world.now * 1000),
            jitter=self.world.random.random,
        )
        self.finisher = ReceiptFinisher(folder, self.node, self.committer.add)
        self._finishing = False

    def turn(self) -> None:
        """One step of its threads; after a crash another process begins."""
        if not self.process.is_alive:
            if self.world.random.random() < 0.5:
                self._start()
            return
        process = self.process
        try:
            if self._left and self.world.random.random() < 0.3:
                self._left -= 1
                self._log_a_batch()
            elif self.logged and not self._finishing and self.world.random.random() < 0.6:
                self._finish_a_batch()
            else:
                self.committer.run_one()
        except CrashError:
            process.is_alive = False

    def _log_a_batch(self) -> None:
        world = self.world
        milliseconds = int(world.now * 1000).to_bytes(6, "big")
        batch_id = uuid_text(milliseconds + world.random.randbytes(10), version=7)
        files = []
        for table in world.random.sample(TABLES, world.random.choice((1, 2))):
            for part in range(world.random.choice((1, 2))):
                planned = PlannedFile(f"{table}/hour=1", part, table, datetime.now(UTC), {"s": 1})
                stored = StoredFile(planned.name(batch_id), 1, 100, {}, location="")
                files.append((planned, stored))
                world.expected[table].add(f"s3://bucket/{stored.path}")
        self.logged[batch_id] = files

    def _finish_a_batch(self) -> None:
        # A turn within this one may be another process's: this one keeps to its own.
        process = self.process
        batch_id = self.world.random.choice(list(self.logged))
        self._finishing = True
        try:
            self.finisher.finish(batch_id, ScriptedStore.root, self.logged[batch_id])
            self.world.interrupt(process, "the log forgets a batch")
            self.logged.pop(batch_id, None)
        except OtlpError:
            pass  # it is tried again
        finally:
            if self.process is process:
                self._finishing = False

    @property
    def is_idle(self) -> bool:
        """Whether it owes nothing."""
        return self.process.is_alive and not self.logged and self.committer.is_idle


class Reconciler:
    """``otlp2parquet reconcile``, started now and then; it may have a server's node id."""

    def __init__(self, world: World, near: Node) -> None:
        self.world = world
        self._near = near
        self._started = 0
        self.process = Process("reconcile")
        self.process.is_alive = False

    def turn(self) -> None:
        """One step, or a start."""
        world = self.world
        if not self.process.is_alive:
            if world.random.random() < 0.1:
                self._start()
            return
        process = self.process
        try:
            if not self.committer.run_one() and world.random.random() < 0.3:
                process.is_alive = False
        except CrashError:
            process.is_alive = False

    @property
    def is_idle(self) -> bool:
        """It owes nothing of its own: whether receipts are left is looked at."""
        return True

    def _start(self) -> None:
        world = self.world
        self.process = Process("reconcile")
        beside = world.random.random() < 0.5
        node = self._near.node if beside else str(uuid.UUID(int=99, version=4))
        offset = int(OTHERS_SECS * 1000) if world.random.random() < 0.7 else 0
        self.committer = Committer(
            ScriptedCatalog(world, self.process),
            ReceiptFolder(ScriptedStore(world, self.process)),
            node,
            is_logged=self._near.logged.__contains__,
            logged=lambda: list(self._near.logged),
            forgets=False,
            all_nodes=True,
            monotonic=lambda: world.now,
            # Clocks differ: even the youngest receipts of others are taken sometimes.
            time_ms=lambda: int(world.now * 1000) + offset,
            jitter=world.random.random,
        )


def live(seed: int, *, nodes: int = 3, batches: int = 6, turns: int = 300) -> World:
    """One life; ``problems`` are what the ledger found."""
    world = World(seed, faults=random.Random(seed).choice((0.0, 0.1, 0.3)))
    made = [Node(world, number, batches) for number in range(nodes)]
    world.actors = [*made, Reconciler(world, made[0])]
    world.run(turns)
    return world
