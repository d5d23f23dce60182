"""A storage that outlives processes, and the writer that a process has for it.

A storage is a mapping from names to files by root; a name is created only if it is absent. Some
fold case, as Windows and macOS do. A write may hang, fail, succeed without an answer, or succeed
long after its writer was told that it failed. Whose a file in the way is decides the product's
own ``is_the_file``; the rows of a file are the ids that are in the record batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otlp2parquet.core.files import FoundFile, is_the_file
from otlp2parquet.errors import (
    NameTakenError,
    StorageRefusedError,
    StorageUnavailableError,
)
from otlp2parquet.writers.protocol import StoredFile
from tests.simulation.requests import belongs, ids_in, place_of, service_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otlp2parquet.core.files import PlannedFile
    from otlp2parquet.writers.protocol import ArrowArrayExportable, Existing
    from tests.simulation.faults import Faults, Rule
    from tests.simulation.scheduler import Scheduler

UNAVAILABLE: Final = "unavailable"
REFUSED: Final = "refused"
DEFECT: Final = "defect"
"""An exception that no storage raises: a defect of the writer, or memory that ran out."""

UNANSWERED: Final = "unanswered"
LATE: Final = "late"
FOREIGN: Final = "foreign"


@dataclass(slots=True)
class Stored:
    """A file in a storage. ``batch_id`` is ``None`` for one that is somebody else's."""

    name: str
    batch_id: str | None
    part: int
    table: str
    rows: tuple[str, ...]


class Storage:
    """One root."""

    def __init__(self, root: str, *, folds: bool = False) -> None:
        self.root = root
        self.folds = folds
        self.files: dict[str, Stored] = {}
        self.late: list[tuple[float, Stored]] = []
        """Files that appear at a time, whatever became of their writer."""
        self.misplaced: list[str] = []
        """What was stored where it does not belong."""

    def key(self, name: str) -> str:
        """What the storage takes a name for."""
        return name.lower() if self.folds else name

    def find(self, name: str, now: float) -> Stored | None:
        """The file of this name."""
        self.settle(now)
        return self.files.get(self.key(name))

    def create(self, file: Stored) -> bool:
        """Create a file if its name is free."""
        key = self.key(file.name)
        if key in self.files:
            return False
        self.files[key] = file
        return True

    def settle(self, now: float) -> None:
        """Let appear what was written late."""
        if self.late:
            due = [file for time, file in self.late if time <= now]
            self.late = [(time, file) for time, file in self.late if time > now]
            for file in due:
                self.create(file)


class SimulatedWriter:
    """One life's writer for a root."""

    def __init__(self, storage: Storage, scheduler: Scheduler, faults: Faults) -> None:
        self._storage = storage
        self._scheduler = scheduler
        self._faults = faults
        self._at_work: set[str] = set()
        self.late_after_failure: set[str] = set()
        """Ids of rows whose file may appear although its writer was told that it failed."""

    @property
    def root(self) -> str:
        """As ``OtlpWriter.root``."""
        return self._storage.root

    def store(
        self,
        file: PlannedFile,
        batches: Sequence[ArrowArrayExportable],
        batch_id: str,
        *,
        existing: Existing = "refuse",
    ) -> StoredFile:
        """As ``OtlpWriter.store``."""
        name = file.name(batch_id)
        if name in self._at_work:
            raise AssertionError(f"{name} is written by two at once")
        self._at_work.add(name)
        try:
            return self._store(file, name, tuple(ids_in(batches, file.table)), batch_id, existing)
        finally:
            self._at_work.discard(name)

    def take_back(self, file: PlannedFile, batch_id: str) -> None:
        """As ``OtlpWriter.take_back``."""
        name = file.name(batch_id)
        rule = self._call("take back", name)
        if rule is not None:
            self._fail(rule.kind)
        found = self._storage.find(name, self._scheduler.now)
        if found is not None and found.batch_id == batch_id and found.part == file.part:
            del self._storage.files[self._storage.key(name)]

    # -- inside -----------------------------------------------------------------------------

    def _store(
        self,
        file: PlannedFile,
        name: str,
        rows: tuple[str, ...],
        batch_id: str,
        existing: Existing,
    ) -> StoredFile:
        if not rows:
            raise ValueError("no rows to store")
        storage, made = self._storage, Stored(name, batch_id, file.part, file.table, rows)
        check_place(storage, file, made)
        rule = self._call("store", name)
        kind = None if rule is None else rule.kind
        if kind == FOREIGN:
            storage.create(Stored(name, None, 0, "", ()))
        elif kind == UNANSWERED:
            storage.create(made)
            raise StorageUnavailableError(f"{name}: no answer")
        elif rule is not None and kind == LATE:
            self.late_after_failure.update(rows)
            storage.late.append((self._scheduler.now + rule.secs, made))
            raise StorageUnavailableError(f"{name}: no answer yet")
        elif kind is not None:
            self._fail(kind)
        there = storage.find(name, self._scheduler.now)
        if there is None:
            self._scheduler.point("creates", name)
            storage.settle(self._scheduler.now)
            if storage.create(made):
                self._scheduler.point("created", name)
                return StoredFile(name, len(rows), 100 * len(rows))
            there = storage.find(name, self._scheduler.now)
        assert there is not None
        found = FoundFile(there.table, there.batch_id, there.part, len(there.rows))
        counts = {len(rows), file.rows}
        whole = existing == "whole"
        if existing != "refuse" and is_the_file(
            found, batch_id, file.part, {0} if whole else counts, or_more=whole
        ):
            return StoredFile(name, len(there.rows), 100 * len(there.rows), was_there=True)
        raise NameTakenError(name)

    def _call(self, call: str, name: str) -> Rule | None:
        scheduler = self._scheduler
        scheduler.point(call, name)
        rule = self._faults.next(call, f"{self.root}/{name}", scheduler.now)
        if rule is None:
            return None
        scheduler.note(f"fault {rule.kind}", name)
        if rule.secs and rule.kind != LATE:
            scheduler.block("the storage", scheduler.now + rule.secs)
        return None if rule.kind == "hang" else rule

    def _fail(self, kind: str) -> None:
        if kind == REFUSED:
            raise StorageRefusedError(f"{self.root} refuses")
        if kind == DEFECT:
            raise MemoryError
        raise StorageUnavailableError(f"{self.root} is away")


def check_place(storage: Storage, file: PlannedFile, made: Stored) -> None:
    """Every row belongs here, and they are clustered by service as planned, then in order."""
    hour = int(file.hour.timestamp())
    for row in made.rows:
        if not belongs(row, file.table, file.services, hour):
            storage.misplaced.append(f"{row} in {made.name}")
    services = [str(service) for service in file.services]
    order = [services.index(service_of(row)) for row in made.rows if service_of(row) in services]
    if order != sorted(order):
        storage.misplaced.append(f"the services in {made.name}: {made.rows}")
    last: dict[tuple[str, str], tuple[int, ...]] = {}
    for row in made.rows:
        request, place = place_of(row)
        if place <= last.get((request, service_of(row)), ()):
            storage.misplaced.append(f"the order in {made.name}: {made.rows}")
        last[request, service_of(row)] = place
