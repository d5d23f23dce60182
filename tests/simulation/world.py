"""What outlives a process: its disk, the storages, the ledger, and the time.

Knows where the log lies and what its files look like from outside: names and bytes. It must not
know the process.
"""

from __future__ import annotations

import random
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.simulation.ledger import Attempt, Ledger
from tests.simulation.medium import File, Folder, Medium
from tests.simulation.script import ROOTS
from tests.simulation.storage import Storage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation.script import Event, Script

LOG: Final = Path("/disk/log")
_ASIDE: Final = Path("/disk/aside")
_SUFFIX: Final = ".segment"
_BEFORE: Final = 200
"""Bytes of a record before its payload: whoever hits them hits the record."""

EPOCH: Final = 1_767_225_600


class World:
    """All of it for one seed."""

    def __init__(self, script: Script) -> None:
        self.dice = random.Random(script.seed ^ 0x5EED)
        self.medium = Medium()
        self.medium.make_folder(LOG.parent)
        self.storages = {root: Storage(root, folds=script.folds) for root in ROOTS}
        self.ledger = Ledger()
        self.now = 1000.0
        self.life = 0
        self._ids = 0
        self.bare: list[Attempt] = []
        """Requests of the open batch whose segment was taken away: only the process has them."""

        self.was_log_moved = False
        """In this life: what is to be cut there may come back uncut."""

    def process_ends(self) -> None:
        """Remember which files no note in the log speaks of: nobody will know of them.

        Called once it is settled what the disk holds.
        """
        segments = {batch: bytes(file.content) for batch, file in self.segments()}
        for storage in self.storages.values():
            late = [file for _, file in storage.late]
            for file in (*storage.files.values(), *late):
                segment = segments.get(file.batch_id or "")
                if segment is not None and file.name.encode() not in segment:
                    self.ledger.without_note.add((storage.root, file.name))

    def new_id(self) -> str:
        """A batch id: a UUIDv7 of the simulated time and a number."""
        self._ids += 1
        milliseconds = int((EPOCH + self.now) * 1000) + self._ids
        octets = bytearray(milliseconds.to_bytes(6, "big") + self._ids.to_bytes(10, "big"))
        octets[6] = 0x70 | (octets[6] & 0x0F)
        octets[8] = 0x80 | (octets[8] & 0x3F)
        return str(uuid.UUID(bytes=bytes(octets)))

    # -- what is in the log -----------------------------------------------------------------

    def segments(self, folder: Path = LOG) -> Iterator[tuple[str, File]]:
        """Segments by batch id, as a process sees them."""
        try:
            names = self.medium.folder(folder).names
        except (FileNotFoundError, NotADirectoryError):
            return
        for name, node in names.items():
            if name.endswith(_SUFFIX) and isinstance(node, File):
                yield name.removesuffix(_SUFFIX), node

    def is_safe(self, attempt: Attempt) -> bool:
        """Whether the request would outlive a power cut now: in a file, or in the log."""
        return self.is_stored(attempt) or self._is_logged(attempt)

    def is_stored(self, attempt: Attempt) -> bool:
        """Whether all of its rows are in files."""
        wanted = set(attempt.export.ids)
        for storage in self.storages.values():
            for file in storage.files.values():
                wanted.difference_update(file.rows)
        return not wanted

    def _is_logged(self, attempt: Attempt) -> bool:
        folder: File | Folder | None = self.medium.top
        for part in LOG.parts[1:]:
            folder = folder.safe.get(part) if isinstance(folder, Folder) else None
        if not isinstance(folder, Folder):
            return False
        payload = attempt.export.payload
        return any(
            payload in node.safe
            for name, node in folder.safe.items()
            if isinstance(node, File) and name.endswith(_SUFFIX)
        )

    def in_segments(self, attempt: Attempt) -> bool:
        """Whether the request's bytes are in a segment, whether safe or not."""
        payload = attempt.export.payload
        for folder in (LOG, _ASIDE):
            for _, file in self.segments(folder):
                if payload in file.content or payload in file.safe:
                    return True
        return False

    # -- what people do to the log ----------------------------------------------------------

    def happen(self, event: Event, open_batch: str) -> None:
        """Something that a person does; ``open_batch`` is the one that takes requests now."""
        medium = self.medium
        if event in ("remove log", "move log"):
            self.was_log_moved = True
            self._take_away(open_batch)
            if medium_has(medium, LOG):
                if event == "remove log" or medium_has(medium, _ASIDE):
                    medium.remove(LOG)
                else:
                    medium.move(LOG, _ASIDE)
        elif event == "restore log":
            if medium_has(medium, _ASIDE) and not medium_has(medium, LOG):
                medium.move(_ASIDE, LOG)
        elif event == "make log":
            medium.make_folder(LOG)
        elif event == "full disk":
            medium.capacity = medium.used + self.dice.choice((0, 10, 300, 3000))
        elif event == "damage":
            self._damage()

    def _take_away(self, open_batch: str) -> None:
        for batch, file in self.segments():
            for attempt in self.ledger.attempts:
                if attempt.export.payload not in file.content:
                    continue
                if attempt.answer != "acknowledged":
                    # It may come back with the folder.
                    attempt.may_be_there = "its segment was taken away before it was cut"
                if attempt.answer != "refused" and batch == open_batch:
                    self.bare.append(attempt)
                elif attempt.answer != "refused":
                    attempt.excuse("its segment was taken away")

    def _damage(self) -> None:
        segments = [(batch, file) for batch, file in self.segments() if file.content]
        if not segments:
            return
        dice = self.dice
        batch, file = dice.choice(segments)
        start = dice.randrange(len(file.content))
        end = min(len(file.content), start + dice.choice((1, 1, 4, 40, 400)))
        before = bytes(file.content)
        for content in (file.content, file.safe):
            for place in range(start, min(end, len(content))):
                content[place] ^= dice.randrange(1, 256)
        if any(_overlap(start, end, *plan) for plan in _places(before, b'{"root"', b"}")):
            # Also for requests that have yet to come into this segment.
            self.ledger.damaged_plans.add(batch)
        for attempt in self.ledger.attempts:
            payload = attempt.export.payload
            if any(_overlap(start, end, *place) for place in _places(before, payload)):
                attempt.excuse("its bytes were damaged")


def _places(content: bytes, begin: bytes, stop: bytes = b"") -> Iterator[tuple[int, int]]:
    """Where records lie whose bodies begin so, and end so if they end otherwise."""
    place = content.find(begin)
    while place >= 0:
        end = place + len(begin)
        if stop:
            end = content.find(stop, end) + len(stop)
        yield place - _BEFORE, end
        place = content.find(begin, place + 1)


def _overlap(start: int, end: int, first: int, last: int) -> bool:
    return start < last and end > first


def medium_has(medium: Medium, path: Path) -> bool:
    """Whether there is such a file or folder."""
    try:
        medium.find(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
