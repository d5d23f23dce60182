"""Lives of functions: environments without end, none of which lasts, over one catalog and storage.

In the world of ``commits``. An environment answers a few requests, converts objects of which
several environments may be told, and goes: at its end, at a call, or in the middle of a commit that
arrives later. What it has promised must be in its table exactly once, and what a table names must
not grow with the number of environments.
"""

from __future__ import annotations

import json
import random
import uuid
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from otlp2parquet.batch_id import uuid_text
from otlp2parquet.catalogs.committer import Committer
from otlp2parquet.catalogs.receipt_folder import ReceiptFinisher, ReceiptFolder
from otlp2parquet.catalogs.shared_node import SharedFinisher, SharedNode
from otlp2parquet.core.files import PlannedFile
from otlp2parquet.errors import OtlpError
from otlp2parquet.platforms.aws_lambda.claims import Claim, is_retired
from otlp2parquet.platforms.aws_lambda.object_events import ObjectReference
from otlp2parquet.writers.protocol import StoredFile
from tests.simulation.commits import (
    TABLES,
    CrashError,
    Process,
    ScriptedCatalog,
    ScriptedStore,
    World,
    has_ended,
)

if TYPE_CHECKING:
    from collections.abc import Callable

EPOCH_SECS = 1_800_000_000.0
"""When the world begins: batches have times."""
INVOCATION_SECS = 900.0
"""After so long AWS ends whatever runs."""


class Functions:
    """One environment after another; what lasts is what they leave in the world."""

    def __init__(self, world: World, environments: int, most_steps: int = 12) -> None:
        self.world = world
        self.left = environments
        self._most_steps = most_steps
        self._objects: list[ObjectReference] = []
        """Objects of which an event will come, or come again."""
        self._told = 0
        self.process = Process("function")
        self.process.is_alive = False

    def turn(self) -> None:
        """A step of the environment; when it has gone another one is made."""
        if not self.process.is_alive:
            if self.left or self._objects:
                self.left -= self.left > 0
                self._start()
            return
        process = self.process
        if self._steps <= 0 or self.world.now - self._begun > INVOCATION_SECS:
            process.is_alive = False  # what is not committed is left to the schedule
            return
        self._steps -= 1
        try:
            self._act()
        except CrashError:
            process.is_alive = False
        except OtlpError:
            pass

    @property
    def is_idle(self) -> bool:
        """Whether no environment and no event is left."""
        return not self.left and not self.process.is_alive and not self._objects

    def _start(self) -> None:
        world = self.world
        self.process = process = Process("function")
        self._begun = world.now
        self._steps = world.random.randint(1, self._most_steps)
        self._store = ScriptedStore(world, process)
        self._shared = shared_by(world, self._store)
        self._folder = ReceiptFolder(self._store)
        self.committer = Committer(
            ScriptedCatalog(world, process),
            self._folder,
            self._shared.node,
            interval_secs=0.001,
            may_return=self._shared.may_return,
            is_retired=self._shared.is_retired,
            lists=False,
            monotonic=lambda: world.now,
            time_ms=partial(time_ms, world),
            jitter=world.random.random,
        )
        receipts = ReceiptFinisher(self._folder, self._shared.node, self.committer.add)
        self._finisher = SharedFinisher(receipts, self._shared)
        self._unfinished: list[tuple[str, list[tuple[PlannedFile, StoredFile]]]] = []

    def _act(self) -> None:
        chance = self.world.random.random()
        if self._unfinished and chance < 0.1:
            self._try_again()
        elif chance < 0.3:
            self._request()
        elif chance < 0.4 or (self._objects and chance < 0.5):
            self._object()
        else:
            self.committer.run_one()

    def _request(self) -> None:
        world = self.world
        milliseconds = time_ms(world).to_bytes(6, "big")
        batch_id = uuid_text(milliseconds + world.random.randbytes(10), version=7)
        files = files_of(world, batch_id, world.random.sample(TABLES, world.random.choice((1, 2))))
        self._unfinished.append((batch_id, files))
        self._try_again()

    def _try_again(self) -> None:
        """Finish a batch; one that fails is finished later, behind an answer that says so."""
        batch_id, files = self._unfinished.pop(0)
        try:
            self._finish(self._finisher.finish, batch_id, files)
        except OtlpError:
            self._unfinished.append((batch_id, files))

    def _object(self) -> None:
        """Convert an object as ``objects`` does; its event comes again until it is done."""
        world = self.world
        if self._objects and world.random.random() < 0.7:
            reference = world.random.choice(self._objects)
        else:
            if world.is_ending:
                return
            self._told += 1
            reference = ObjectReference("captures", f"{self._told}.pb", "", "etag", 1, 0)
            self._objects.append(reference)
        claim = Claim(self._store, reference, lambda: EPOCH_SECS + world.now)
        finisher = ReceiptFinisher(self._folder, claim.node, self.committer.add)
        with claim.held() as is_held:
            if is_held:
                batch_id = uuid_text(uuid.UUID(claim.node).bytes[::-1], version=8)
                claim.hold()
                self._finish(finisher.finish, batch_id, files_of(world, batch_id, TABLES))
                claim.hold()
                claim.done()
        if world.random.random() < 0.7:  # else it is delivered once more
            self._objects = [one for one in self._objects if one != reference]

    def _finish(
        self,
        finish: Callable[[str, str, list[tuple[PlannedFile, StoredFile]]], None],
        batch_id: str,
        files: list[tuple[PlannedFile, StoredFile]],
    ) -> None:
        """Make receipts; what they name is promised when that is done."""
        world, process = self.world, self.process
        paths = {(planned.table, f"s3://bucket/{stored.path}") for planned, stored in files}
        world.possible |= {path for _, path in paths}
        finish(batch_id, ScriptedStore.root, files)
        if has_ended(process):
            raise CrashError
        # Also where it was too old for receipts: then it was promised to nobody.
        if self._shared.may_be_made(batch_id):
            for table, path in paths:
                world.expected[table].add(path)


class Schedule:
    """The function's own ``reconcile``: it has the node that all environments share."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.process = Process("schedule")
        self.process.is_alive = False
        self._is_at_it = False

    def turn(self) -> None:
        """One step, or a start."""
        world = self.world
        if not self.process.is_alive:
            if world.random.random() < 0.1:
                self._start()
            return
        if self._is_at_it:  # a turn within its own step
            return
        process, self._is_at_it = self.process, True
        try:
            if not self.committer.run_one() and world.random.random() < 0.3:
                process.is_alive = False
        except CrashError:
            process.is_alive = False
        finally:
            self._is_at_it = False

    @property
    def is_idle(self) -> bool:
        """It owes nothing of its own."""
        return True

    def _start(self) -> None:
        world = self.world
        self.process = Process("schedule")
        store = ScriptedStore(world, self.process)
        shared = shared_by(world, store)
        self.committer = Committer(
            ScriptedCatalog(world, self.process),
            ReceiptFolder(store),
            shared.node,
            interval_secs=0.0,
            may_return=shared.may_return,
            is_retired=shared.is_retired,
            all_nodes=True,
            monotonic=lambda: world.now,
            time_ms=partial(time_ms, world),
            jitter=world.random.random,
        )


def shared_by(world: World, store: ScriptedStore) -> SharedNode:
    """The node of all environments."""
    retired = partial(is_retired, store, now=lambda: EPOCH_SECS + world.now)
    return SharedNode(ScriptedStore.root, retired, partial(time_ms, world))


def time_ms(world: World) -> int:
    """The world's time, in ms since the epoch."""
    return int((EPOCH_SECS + world.now) * 1000)


def files_of(
    world: World, batch_id: str, tables: tuple[str, ...] | list[str]
) -> list[tuple[PlannedFile, StoredFile]]:
    """Files of a batch, one for each table."""
    del world
    files = []
    for table in tables:
        planned = PlannedFile(f"{table}/hour=1", 0, table, datetime.now(UTC), {"s": 1})
        files.append((planned, StoredFile(planned.name(batch_id), 1, 100, {}, location="")))
    return files


def live(seed: int, *, environments: int = 8, turns: int = 400) -> tuple[World, list[Functions]]:
    """One life; ``problems`` are what the ledger found."""
    world = World(seed, faults=random.Random(seed).choice((0.02, 0.05, 0.2)), crashes=0.01)
    functions = [Functions(world, environments, most_steps=40) for _ in range(3)]
    world.actors = [*functions, Schedule(world)]
    world.pace = world.random.choice((3.0, 60.0, 600.0))
    world.run(turns)
    return world, functions


def done_objects(world: World) -> int:
    """How many objects are done."""
    return sum(
        path.endswith("/done") and json.loads(data)["at"] > 0
        for path, data in world.objects.items()
    )
