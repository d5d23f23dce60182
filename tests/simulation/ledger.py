"""What was sent, what its senders were told, and whether what is stored agrees with it.

The rules:

- a row whose request was acknowledged is stored exactly once;
- a row whose request was refused is stored nowhere;
- a row whose request was never answered is stored at most once;
- before the log forgets a batch, whoever finishes it is told of each of its files;
- nothing else is stored, and every row lies in a file of its table, service and hour.

The exceptions, each of which a request has to be given by name (``excuse``, ``may_be_there``):

- in the mode ``memory`` a process that does not live until all is stored loses what it held;
- who damages or removes bytes of the log loses the requests that those bytes were, and so does
  who starts a decoder that does not read them;
- a refused request may be stored if the disk failed under it and the process ended before the
  log could be cut: its bytes are in the segment, and nobody is left who knows that they must go;
- a refused request may be stored if the storage said that it failed and did it nevertheless,
  after the file was taken back;
- who damages the plan of a batch, or where it says that its files will go, may find its rows under
  two names, if the settings have changed;
- a row may be in two storages if the process ended before the log knew that the file was stored
  in the one, and that one could not be reached when the batch was replayed.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.simulation.requests import Export
    from tests.simulation.storage import Storage

Place = tuple[str, str]
"""A root and a name."""

Answer = Literal["none", "acknowledged", "refused"]


@dataclass(slots=True, eq=False)
class Attempt:
    """One sending of one request, and what became of it."""

    client: int
    name: str
    export: Export
    life: int
    mode: str
    answer: Answer = "none"
    reason: str = ""
    excused: str = ""
    """Why rows may be missing although they were acknowledged."""
    may_be_there: str = ""
    """Why rows may be stored although they were refused."""

    def excuse(self, reason: str) -> None:
        """It may be lost."""
        self.excused = self.excused or reason


@dataclass(slots=True)
class Ledger:
    """All attempts of a seed."""

    attempts: list[Attempt] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    finished: set[str] = field(default_factory=set)
    """The names of files that a finisher was told of."""
    without_note: set[tuple[str, str]] = field(default_factory=set)
    """Files, by root and name, that were not noted in the log when their process ended."""
    unreached: set[str] = field(default_factory=set)
    """Roots that a replay could not reach."""
    damaged_plans: set[str] = field(default_factory=set)
    """Batches, by id, whose plan or destination was damaged in the log."""

    def open(self, client: int, number: int, export: Export, life: int, mode: str) -> Attempt:
        """A request is sent now."""
        attempt = Attempt(client, f"request {client}.{number}", export, life, mode)
        self.attempts.append(attempt)
        return attempt

    def find(self, what: str) -> None:
        """Something that must not be."""
        if what not in self.findings:
            self.findings.append(what)

    def acknowledged(self, life: int) -> Iterator[Attempt]:
        """The requests of a life that were acknowledged."""
        for attempt in self.attempts:
            if attempt.life == life and attempt.answer == "acknowledged":
                yield attempt

    def judge(self, storages: Iterable[Storage], *, final: bool) -> None:
        """Compare with what is stored; what is not stored yet is lost only at the end."""
        places: dict[str, list[Place]] = defaultdict(list)
        for storage in storages:
            for misplaced in storage.misplaced:
                self.find(f"misplaced: {misplaced}")
            for file in storage.files.values():
                for row in file.rows:
                    places[row].append((storage.root, file.name))
        for attempt in self.attempts:
            for row in attempt.export.ids:
                self._judge(attempt, row, places.pop(row, []), final=final)
        for row, where in places.items():
            self.find(f"unknown: {row} in {where}")

    def _judge(self, attempt: Attempt, row: str, places: list[Place], *, final: bool) -> None:
        whose = f"{row} of {attempt.name}, {attempt.answer} in the mode {attempt.mode}"
        may_be_twice = bool(places) and all(self._was_misled(name) for _, name in places)
        if len(places) > 1 and not may_be_twice and not self._may_be_in_both(places):
            self.find(f"doubled: {whose}, is in {sorted(places)}")
        elif places and attempt.answer == "refused" and not attempt.may_be_there:
            self.find(f"refused and stored: {whose} ({attempt.reason}), is in {places[0]}")
        elif (
            places
            and final
            and attempt.answer == "acknowledged"
            and attempt.mode != "memory"
            and not (attempt.excused or may_be_twice)
        ):
            if places[0][1] not in self.finished:
                self.find(f"not finished: {whose}, is in {places[0]}")
        elif not places and final and attempt.answer == "acknowledged" and not attempt.excused:
            self.find(f"lost: {whose}")

    def _was_misled(self, name: str) -> bool:
        """Whether a replay could not know under which name the rows of this file were to lie."""
        return any(batch in name for batch in self.damaged_plans)

    def _may_be_in_both(self, places: list[Place]) -> bool:
        """Whether a replay could not know that the row is stored already."""
        roots = {root for root, _ in places}
        unknown = any(place in self.without_note and place[0] in self.unreached for place in places)
        return len(roots) == len(places) and unknown
