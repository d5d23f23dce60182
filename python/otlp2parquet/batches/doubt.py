"""Storages that are in doubt: which batch asks each of them next, and who waits for the answer.

Knows batches on their way as data. Must not know steps, threads or clocks; the lock of who owns
the schedule is held for every call.

A storage that failed a batch is in doubt until it takes a file. Meanwhile one batch after another
is the probe, which may be read again; the others whose rows have left memory wait for the end of
the doubt. So an outage costs one reading and one attempt at a time, however much waits. A batch
that comes meanwhile is the probe if no other is being tried; else its rows are left to the log.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Final

from otlp2parquet.batches.states import FileState, StoringBatch

LONGEST_PROBE_SECS: Final = 60.0
"""After which another batch is the probe: one file that hangs says nothing of the others."""


@dataclass(slots=True)
class _Doubt:
    """A storage that failed, and took no file since."""

    probe: StoringBatch
    until: float
    """When another batch is the probe, if this one has come to no end."""
    rounds: int = 0
    """How often a probe has failed."""
    failed: StoringBatch | None = None
    """The one that failed last: still the probe, if there was no other."""


class Doubts:
    """The storages that are in doubt, by their root, for ``batches``.

    ``look_at`` is told of a batch for which there may be a step now, ``rest`` of one that has to
    wait until a time.
    """

    def __init__(
        self,
        batches: Mapping[int, StoringBatch],
        look_at: Callable[[StoringBatch], None],
        rest: Callable[[StoringBatch, float], object],
    ) -> None:
        self._batches = batches
        self._look_at = look_at
        self._rest = rest
        self._doubts: dict[str, _Doubt] = {}
        self._proven: set[str] = set()
        # Those that were found to wait for the end of a doubt. Nobody looks at them meanwhile.
        self._gated: dict[int, StoringBatch] = {}
        self._hurries = False

    # -- what became of a batch --------------------------------------------------------------

    def claim(self, batch: StoringBatch, root: str) -> bool:
        """Whether it may ask the storage of an earlier time at ``root``.

        Until that has taken a file one batch alone may: a storage that hangs takes its threads,
        and not those of all batches that are meant for it.
        """
        batch.root = root
        # It says nothing of the storage that it is not meant for.
        self._pass_on(batch, but=root)
        if root in self._proven:
            return True
        return self._doubts.setdefault(root, _Doubt(batch, inf)).probe is batch

    def disclaim(self, root: str) -> None:
        """Nothing goes to the storage at ``root``: it cannot be reached."""
        if self._doubts.pop(root, None) is not None:
            self._open_gates()

    def failed(self, batch: StoringBatch, due: float, *, is_first: bool = True) -> None:
        """It was not stored: its storage is in doubt, and another batch asks it at ``due``.

        ``is_first`` is false for further files of the same attempt. As long as one batch alone has
        failed that may be its own matter: another one asks at once, so that one bad file holds up
        nobody else.
        """
        root = batch.root
        self._proven.discard(root)
        doubt = self._doubts.setdefault(root, _Doubt(batch, due + LONGEST_PROBE_SECS))
        if doubt.probe is not batch:
            return
        is_its_own = doubt.failed is None or doubt.failed is batch
        doubt.failed = batch
        doubt.rounds += is_first
        doubt.probe = self._next_probe(batch, root)
        if doubt.until < inf:
            doubt.until = due + LONGEST_PROBE_SECS
        if doubt.probe is not batch:
            if not is_its_own:
                self._rest(doubt.probe, due)
            self._look_again(doubt.probe)

    def succeeded(self, batch: StoringBatch) -> None:
        """Its storage took a file."""
        self._proven.add(batch.root)
        self.disclaim(batch.root)

    def blocked(self, batch: StoringBatch) -> None:
        """It cannot be stored now for a reason of its own: it is no good as a probe."""
        self._pass_on(batch)

    def ended(self, batch: StoringBatch) -> None:
        """Nothing more is done for it."""
        self.stops_waiting(batch)
        self._pass_on(batch)

    # -- what may be done --------------------------------------------------------------------

    def rounds(self, batch: StoringBatch) -> int:
        """How often it was sent to rest, or its storage has failed a probe in turn."""
        doubt = self._doubts.get(batch.root)
        return max(batch.rounds, doubt.rounds if doubt is not None and doubt.probe is batch else 0)

    def gates(self, batch: StoringBatch) -> bool:
        """Whether it waits for the end of a doubt, and is not the one that may end it.

        Where the probe rests because it failed when there was no other, this one asks in its place.
        """
        doubt = self._doubts.get(batch.root)
        if doubt is None or doubt.probe is batch or batch.due is not None:
            return False
        if self._hurries and not batch.rereads:
            return False
        if not batch.has_left_memory:
            return False
        probe = doubt.probe
        if probe is doubt.failed and probe.due is not None and not probe.threads:
            doubt.probe = batch
            return False
        return True

    def lets_probe(self, batch: StoringBatch) -> bool:
        """Whether a batch with its rows in memory is to be tried, though its storage is in doubt.

        Who cannot be read again is; another one is the probe if nobody is being tried just now.
        """
        doubt = self._doubts.get(batch.root)
        if doubt is None or doubt.probe is batch or not batch.rereads:
            return True
        root = batch.root
        if doubt.probe.threads or any(
            one.count(FileState.WRITING) for one in self._batches.values() if one.root == root
        ):
            return False
        before, doubt.probe = doubt.probe, batch
        self._look_at(before)
        return True

    def wait(self, batch: StoringBatch) -> None:
        """It was found to wait for the end of a doubt: it is looked at when that ends."""
        self._gated[batch.order] = batch

    def stops_waiting(self, batch: StoringBatch) -> None:
        """It is looked at: it may be found to wait anew."""
        self._gated.pop(batch.order, None)

    @property
    def waiting(self) -> int:
        """Batches that were found to wait for the end of a doubt."""
        return len(self._gated)

    def wake(self, now: float, *, hurry: bool) -> None:
        """Let another batch ask where one takes too long.

        Who hurries has no time for a probe that hangs: another one asks. What only memory has is
        lost with the process: from now on each such batch asks for itself.
        """
        if hurry:
            self._hurries = True
            self._open_gates()
        for root, doubt in list(self._doubts.items()):
            if now >= doubt.until or (hurry and doubt.until < inf):
                doubt.probe = self._next_probe(doubt.probe, root)
                doubt.until = now + LONGEST_PROBE_SECS
                self._look_again(doubt.probe)

    # -- the probe ---------------------------------------------------------------------------

    def _pass_on(self, batch: StoringBatch, *, but: str | None = None) -> None:
        """If it is the probe of a storage, another one is now, or there is no doubt any more."""
        for root, doubt in list(self._doubts.items()):
            if doubt.probe is not batch or root == but:
                continue
            doubt.probe = self._next_probe(batch, root)
            if doubt.probe is batch:
                self.disclaim(root)
            else:
                self._look_again(doubt.probe)

    def _next_probe(self, batch: StoringBatch, root: str) -> StoringBatch:
        """The next batch behind ``batch``, in turn, that waits for the storage at ``root``."""
        waiting = [
            one
            for one in self._batches.values()
            if one.root == root and not one.threads and one.has_left_memory
        ]
        behind = [one for one in waiting if one.order > batch.order]
        return next(iter(behind or waiting), batch)

    def _open_gates(self) -> None:
        for one in list(self._gated.values()):
            self._look_again(one)

    def _look_again(self, batch: StoringBatch) -> None:
        self.stops_waiting(batch)
        self._look_at(batch)
