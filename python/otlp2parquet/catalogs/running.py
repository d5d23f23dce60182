"""Who does a committer's steps: a thread of a server, or whoever waits for them, in bounded time.

Knows threads and the committer. Must not know catalogs. The thread waits for a receipt or for the
time that the committer names, and nothing that a step meets can end it. At the end there is a last
bounded attempt.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from otlp2parquet.catalogs.awaiting import run_now
from otlp2parquet.catalogs.committer import CommitStatus, Committer
from otlp2parquet.catalogs.reconciled import reconciled

log = logging.getLogger(__name__)

LAST_SECS: Final = 5.0
"""How long the last attempt may take when the server is asked to stop."""
OLD_SECS: Final = 600.0
"""Past that age of the oldest receipt a line in the log says so, now and then."""


def commit_within(
    committer: Committer,
    secs: float,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Commit what waits, on this thread and in about ``secs``; whether nothing is left.

    For who may not work behind an answer, as a function of Lambda, which is frozen then. No step
    begins when the time is over; the one that runs has the time limits of its requests.
    """
    return not run_now(reconciled(committer, secs, monotonic, sleep, listed=False)).left


class CommitThread:
    """Runs ``committer`` between ``start`` and ``stop``.

    ``reach`` is called first, so that a catalog that cannot be reached is told at the start.
    """

    def __init__(
        self,
        committer: Committer,
        place: str,
        reach: Callable[[], None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
        time_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.committer = committer
        self.place = place
        self._reach = reach
        self._monotonic = monotonic
        self._time_ms = time_ms
        self._wake = threading.Event()
        self._is_stopping = False
        self._warned = monotonic()
        self._thread = threading.Thread(target=self._run, name="otlp2parquet-commit", daemon=True)
        committer.on_receipt = self._wake.set

    def start(self) -> None:
        """Begin to commit."""
        self._thread.start()

    def stop(self, secs: float = LAST_SECS) -> bool:
        """Commit what waits, within ``secs``; whether nothing is left."""
        self.committer.hurry()
        self._is_stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(secs)
        return not self.committer.status().receipts

    def oldest_secs(self) -> float:
        """The age of the oldest batch whose files are stored and in no table; 0 without one."""
        oldest = self.committer.status().oldest_ms
        return 0.0 if oldest is None else max(0.0, (self._time_ms() - oldest) / 1000)

    def status(self) -> CommitStatus:
        """See ``Committer.status``."""
        return self.committer.status()

    def _run(self) -> None:
        try:
            self._reach()
        except Exception as error:  # noqa: BLE001 - whatever it is, the server goes on
            log.warning(
                "the catalog does not answer as it should; telemetry is taken all the same, and "
                "becomes part of the tables when the catalog is well again",
                extra={"fields": {"catalog": self.place, "error": str(error)}},
            )
        while True:
            self._wake.clear()
            try:
                while self.committer.run_one():
                    self._warn_of_age()
                self._warn_of_age()
                pause = self.committer.secs_until_due()
            except Exception:
                log.exception("the committer failed once, it goes on")
                pause = 1.0
            if self._is_stopping:
                # What rests after a failure is left for the next start.
                return
            self._wake.wait(pause)

    def _warn_of_age(self) -> None:
        age = self.oldest_secs()
        if age < OLD_SECS or self._monotonic() - self._warned < OLD_SECS:
            return
        self._warned = self._monotonic()
        status = self.committer.status()
        log.warning(
            "files wait to become part of their tables; they are stored, and nothing is lost",
            extra={
                "fields": {
                    "catalog": self.place,
                    "receipts": status.receipts,
                    "oldest_secs": round(age),
                    "error": status.error,
                }
            },
        )
