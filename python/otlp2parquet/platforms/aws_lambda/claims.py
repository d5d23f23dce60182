"""Who converts a version of an object, and whether that is done: claims in the storage.

Knows names of objects and times. Must not know conversions. What there is lies below
``.otlp2parquet/objects/<node of the version>/``:

    1, 2, …   claims, each until a time. Who has the last one has the version, and holds it for
              longer by the next number; whoever finds its time over takes that number, too. A
              number can be made once, so exactly one of them gets it.
    1.end     a claim that was given up
    done      all files are stored, and their receipts made

The claims are removed once ``done`` is there, so their numbers can be made again: whoever has made
one looks for ``done`` behind that.

A claim ends soon: an invocation that ran out of memory cannot give it up, and AWS sends its event
again after a minute, and after two more. Exactness does not need that claims hold: two invocations
at one version make the same files and the same receipts. It needs that a table names these
until nobody makes them any more, so the version has a node of its own, which is retired when it has
been done for longer than a claim lasts.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Final

from otlp2parquet.batch_id import uuid_text
from otlp2parquet.errors import NameTakenError, StorageUnavailableError
from otlp2parquet.platforms.aws_lambda.object_events import ObjectReference
from otlp2parquet.stores import Store, writing

log = logging.getLogger(__name__)

FOLDER: Final = ".otlp2parquet/objects"
CLAIM_SECS: Final = 45.0
"""Shorter than the minute after which AWS sends an event again that failed."""
HOLD_SECS: Final = 30.0
"""What is left of a claim when something is begun that nobody else should do at the same time."""
RETIRED_SECS: Final = 120.0
"""How long a version has been done when nobody makes a receipt of it any more."""
_DONE: Final = "done"
_END: Final = ".end"


def node_of_object(reference: ObjectReference) -> str:
    """The node for the receipts of a version of an object, whoever makes them."""
    return uuid_text(sha256(reference.identity.encode()).digest()[:16], 8)


def is_retired(store: Store, node: str, now: Callable[[], float] = time.time) -> bool:
    """Whether a node is that of a version of an object of which no receipt will be made again.

    Raises the storage's errors.
    """
    if node[14:15] != "8":  # the version of a UUID
        return False
    try:
        with store.open(f"{FOLDER}/{node}/{_DONE}") as file:
            at = float(json.loads(file.read())["at"])
    except FileNotFoundError:
        return False
    return now() - at > RETIRED_SECS


class Claim:
    """The claim of one version of an object. ``now`` is in seconds since the epoch."""

    def __init__(
        self, store: Store, reference: ObjectReference, now: Callable[[], float] = time.time
    ) -> None:
        self.node = node_of_object(reference)
        self._store = store
        self._folder = f"{FOLDER}/{self.node}"
        self._reference = reference
        self._now = now
        self._number = 0
        """Of the claim that is held."""
        self._until = 0.0

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Hold the version; False if it is done.

        Whoever fails gives it up at once; whoever is killed, when the time of the claim is over.
        Raises ``StorageUnavailableError`` while another one holds it.
        """
        if not self._take():
            yield False
            return
        try:
            yield True
        except BaseException:
            self.give_up()
            raise

    def hold(self) -> None:
        """Hold it for a while longer, where it is soon over.

        Raises ``StorageUnavailableError`` where another one has it by now.
        """
        if self._until - self._now() >= HOLD_SECS:
            return
        try:
            is_held = self._make(self._number + 1)
        except NameTakenError:
            is_held = False
        if not is_held:
            raise StorageUnavailableError(f"another invocation has taken over {self._reference}")

    def give_up(self) -> None:
        """Give the claim up before its time is over."""
        self._create(f"{self._number}{_END}", {})

    def done(self) -> None:
        """It is converted: remember it, and no more who has done it."""
        told = {"object": str(self._reference), "version": self._reference.version}
        try:
            self._create(_DONE, {**told, "at": self._now()})
        except NameTakenError:
            log.debug("another invocation was done with an object first: %s", self._reference)
        for one in list(self._store.list(self._folder)):
            if not one.path.endswith(f"/{_DONE}"):
                self._store.delete(one.path)

    def _take(self) -> bool:
        while True:
            names = {one.path.rpartition("/")[2] for one in self._store.list(self._folder)}
            if _DONE in names:
                return False
            last = max((int(name) for name in names if name.isdigit()), default=0)
            if last and f"{last}{_END}" not in names:
                left = self._time_left(last)
                if left > 0:
                    raise StorageUnavailableError(
                        f"another invocation is at {self._reference}, for {left:.0f} s more at most"
                    )
            try:
                return self._make(last + 1)
            except NameTakenError:
                continue  # another one was faster: look again

    def _make(self, number: int) -> bool:
        """Make a claim; False if the version is done by now, whose claims were removed.

        Raises ``NameTakenError`` where another one has made it.
        """
        until = self._now() + CLAIM_SECS
        self._create(str(number), {"until": until})
        if self._is_done():
            self._store.delete(f"{self._folder}/{number}")
            return False
        self._number, self._until = number, until
        return True

    def _is_done(self) -> bool:
        try:
            self._store.open(f"{self._folder}/{_DONE}").close()
        except FileNotFoundError:
            return False
        return True

    def _time_left(self, number: int) -> float:
        try:
            with self._store.open(f"{self._folder}/{number}") as file:
                claim: dict[str, Any] = json.loads(file.read())
        except FileNotFoundError:
            return 0.0  # removed this moment: its owner is done, which the next look tells
        return float(claim["until"]) - self._now()

    def _create(self, name: str, content: dict[str, object]) -> None:
        self._store.create(f"{self._folder}/{name}", writing(json.dumps(content).encode()))
