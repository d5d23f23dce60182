"""The thread of the view: it begins with the first watcher and ends with the last.

Knows threads. The work is in ``view``, step by step; between two steps the thread rests three times
as long as the step took, so that looking takes a quarter of a core at most, whatever is received.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from otlp2parquet.platforms.server.live.events import Refusal, Refused
from otlp2parquet.platforms.server.live.intake import Intake
from otlp2parquet.platforms.server.live.rows import Export, rfc3339
from otlp2parquet.platforms.server.live.view import View, Watcher

log = logging.getLogger(__name__)

REST_FACTOR: Final = 3
MAX_REST_SECS: Final = 1.0


class Session:
    """One view and its thread. All methods but ``run_one`` are for any thread, and do not wait."""

    def __init__(self, view: View, time_ns: Callable[[], int] = time.time_ns) -> None:
        self.intake = Intake()
        self._view = view
        self._time_ns = time_ns
        self._lock = threading.Lock()
        self._orders: list[Callable[[], None]] = []
        self._state = ""
        self._work = threading.Event()
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin the thread."""
        threading.Thread(target=self._run, name="otlp2parquet-live", daemon=True).start()

    # -- for other threads ------------------------------------------------------------------

    def put(self, export: Export) -> None:
        """An export was kept."""
        self.intake.put(export)
        self._work.set()

    def refuse(self, refusal: Refusal, count: int) -> None:
        """A request was refused, or ``count`` of its records were."""
        self.intake.refuse(refusal, count)
        self._work.set()

    def tell_state(self, state: str) -> None:
        """The numbers of the server, as an event."""
        self._order(lambda: setattr(self._view, "state", state))

    def join(self, watcher: Watcher) -> None:
        """Somebody looks from now on."""
        self._order(lambda: self._view.join(watcher))

    def want(self, watcher: Watcher) -> None:
        """A watcher is done with its last chunk."""
        self._order(lambda: setattr(watcher, "is_wanting", True))

    def leave(self, watcher: Watcher) -> None:
        """Somebody does not look any more."""
        self._order(lambda: self._view.leave(watcher))

    def finish(self, watcher: Watcher) -> None:
        """A watcher gets what has come until now, and then the end."""
        self._order(lambda: setattr(watcher, "is_last", True))

    def end(self) -> None:
        """Nobody looks any more: the thread ends by itself."""
        self._ended.set()
        self._work.set()

    def _order(self, order: Callable[[], None]) -> None:
        with self._lock:
            self._orders.append(order)
        self._work.set()

    # -- for the thread ---------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ended.is_set():
            self._work.wait()
            began = time.thread_time()
            try:
                self.run_one()
            except Exception:
                log.exception("the live view failed once, it goes on")
            took = time.thread_time() - began
            self._ended.wait(min(MAX_REST_SECS, REST_FACTOR * took))

    def run_one(self) -> None:
        """One step: obey, show some rows, give out what there is. Raises what went wrong."""
        self._work.clear()  # before it looks: what comes now sets it again
        with self._lock:
            orders, self._orders = self._orders, []
        for order in orders:
            order()
        view = self._view
        taken = self.intake.take(export=not view.is_decoding)
        for refusal, count in taken.refusals.items():
            view.refuse(Refused(rfc3339(*divmod(self._time_ns(), 1000)), refusal, count))
        if taken.export is not None:
            view.begin(taken.export)
        try:
            view.show()
        except Exception as error:  # noqa: BLE001 - the view of one export ends, and nothing else
            log.debug("an export is not shown: %s", type(error).__name__)
        view.lose(*taken.lost)
        if view.deliver() or view.is_decoding or not self.intake.is_empty:
            self._work.set()
