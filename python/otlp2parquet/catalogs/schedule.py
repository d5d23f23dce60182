"""Which step of committing comes next: tables and their receipts as states, nothing that acts.

Knows receipts on their way into tables as data. Must not know threads, catalogs or clocks, and
holds no lock: its owner does, for every call.

A receipt: WAITING -> COMMITTED -> deleted, which ends it.
           WAITING -> gone (another process has committed and deleted it)
A table:   at most one attempt at a time takes all its waiting receipts. One that failed rests
           until it is due, and so does every table for the interval between commits.
The rest:  receipts that are there are looked for in portions. Each is committed and removed before
           the next one is looked for, so who is killed has got on, and reads nothing twice.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from otlp2parquet.catalogs.receipts import Receipt, opened_ms


class Action(Enum):
    """What a step does."""

    LIST = auto()
    """Look which receipts earlier processes have left, a portion of them."""
    COMMIT = auto()
    """One attempt to commit what waits for a table."""
    DELETE = auto()
    """Remove receipts whose files a table has."""


@dataclass(eq=False, slots=True)
class TableProgress:
    """One table, and the receipts that it has yet to take or that have yet to go."""

    name: str
    waiting: dict[str, Receipt] = field(default_factory=dict)
    """By path."""
    committed: dict[str, Receipt] = field(default_factory=dict)
    due: float = 0.0
    """Nothing is committed before."""
    delete_due: float = 0.0
    rounds: int = 0
    """Attempts that failed since the last one that did not."""
    conflicts: int = 0
    """Attempts that others were faster than, as above: they say nothing of the catalog's health."""
    halvings: int = 0
    """How often the files of an attempt are halved: once more when others were faster several times
    in a row, once less when one succeeds. What takes longer than others leave between their commits
    would never succeed, and a backlog would grow for ever."""
    removed: set[str] = field(default_factory=set)
    """Keys of the node's own receipts that were removed after their batch had left the log, which
    are gone for good, and that the table still names."""
    error: str = ""
    is_parked: bool = False
    """Whether the last attempt was refused for good."""
    is_busy: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """The next thing to do. Its state is taken: nobody else is given the same."""

    action: Action
    table: TableProgress | None = None


class Schedule:
    """The receipts that are not gone, and what may be done for them now."""

    def __init__(self) -> None:
        self.tables: dict[str, TableProgress] = {}
        self.is_listed = False
        """Whether it is known what earlier processes have left."""
        self.list_due = -math.inf
        self.list_rounds = 0
        self.is_listing = False

    def add(self, receipt: Receipt) -> None:
        """A receipt is there; one that is known changes nothing."""
        table = self.tables.setdefault(receipt.table, TableProgress(receipt.table))
        if receipt.path not in table.committed:
            table.waiting.setdefault(receipt.path, receipt)

    def next(self, now: float) -> Step | None:
        """Take the next step that is due."""
        due = [
            step
            for step in self._steps()
            if step[0] <= now and (step[2] is None or not step[2].is_busy)
        ]
        if not due:
            return None
        _, _, table, action = min(due, key=_order)
        if table is None:
            self.is_listing = True
        else:
            table.is_busy = True
        return Step(action, table)

    def _steps(self) -> Iterator[tuple[float, str, TableProgress | None, Action]]:
        """All that there is to do, each with the time from which it may be done."""
        if not self.is_listed and not self.is_listing:
            yield self.list_due, "", None, Action.LIST
        for table in self.tables.values():
            if table.waiting:
                yield table.due, table.name, table, Action.COMMIT
            if table.committed:
                yield table.delete_due, table.name, table, Action.DELETE

    def next_due(self) -> float | None:
        """When the next step is due that is not due now; None if there is none."""
        return min((due for due, *_ in self._steps()), default=None)

    def waiting(self) -> Iterator[Receipt]:
        """All receipts that no table has, as far as is known."""
        for table in self.tables.values():
            yield from table.waiting.values()

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest batch was opened that a table has not, in ms since the epoch."""
        opened = (opened_ms(receipt.batch_id) for receipt in self.waiting())
        return min((moment for moment in opened if moment is not None), default=None)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to be done, as far as is known."""
        pending = any(table.waiting or table.committed for table in self.tables.values())
        return self.is_listed and not pending


def _order(step: tuple[float, str, TableProgress | None, Action]) -> tuple[bool, float, str]:
    """What has been due for longest comes first: neither a table nor a removal is starved.

    The first portion comes before all of that, and every other one behind it.
    """
    due, name, table, _ = step
    return table is None and due > -math.inf, due, name
