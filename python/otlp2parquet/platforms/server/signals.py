"""Signals: SIGTERM and SIGINT stop the server, SIGHUP stops it or has it read its files again.

SIGUSR1 has it store what is open. Once a stop has begun, SIGHUP and SIGUSR1 change nothing: all is
being stored, and nothing is read any more.

Knows the ``signal`` module and how asyncio and signals meet. It must not know what a stop, a
reload or a flush does.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable

log = logging.getLogger(__name__)


def on_signals(
    stop: asyncio.Event,
    reload: Callable[[], None],
    flush: Callable[[], None],
    *,
    survives: bool,
) -> None:
    """From now on signals set ``stop`` or call ``reload`` or ``flush``, on the loop's thread.

    SIGHUP means that the terminal is gone, where the process was started from one: then it stops,
    as on SIGTERM. Elsewhere it is how service managers ask for a reload. Where it is ignored (by
    nohup) it stays so. ``survives`` is whether what is not stored outlives the process.
    """
    loop = asyncio.get_running_loop()

    def stopping() -> None:
        if stop.is_set():
            price = "the log is kept" if survives else "rows may be lost"
            log.error("stopped at once by a second signal, %s", price)
            logging.shutdown()
            os._exit(1)
        _begin_to_stop(stop)

    def hung_up() -> None:
        # The shell tells its jobs as well as the system does, so this one may come twice: it is
        # nobody's impatience.
        if not stop.is_set():
            _begin_to_stop(stop)

    _handle(loop, signal.SIGTERM, stopping)
    _handle(loop, signal.SIGINT, stopping)

    def unless_stopping(action: Callable[[], None]) -> Callable[[], None]:
        return lambda: None if stop.is_set() else action()

    if sys.platform != "win32":
        _handle(loop, signal.SIGUSR1, unless_stopping(flush))
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        _handle(loop, signal.SIGHUP, hung_up if has_terminal() else unless_stopping(reload))
    signal.set_wakeup_fd(signal.set_wakeup_fd(-1), warn_on_full_buffer=False)


def _begin_to_stop(stop: asyncio.Event) -> None:
    log.info("stopping: requests in progress are answered, then all rows are stored")
    stop.set()


def _handle(
    loop: asyncio.AbstractEventLoop, number: signal.Signals, action: Callable[[], None]
) -> None:
    with contextlib.suppress(NotImplementedError):  # Windows
        # A signal wakes the loop, by a byte in the pipe by which threads wake it, too.
        loop.add_signal_handler(number, lambda: None)
    # Under load that pipe can be full, and the byte, by which asyncio knows the signal, be
    # lost. The interpreter does not lose it, and a full pipe is a loop that is awake.
    signal.signal(number, lambda *_: loop.call_soon_threadsafe(action))


def has_terminal() -> bool:
    """Whether the process belongs to a terminal: it was started from one, wherever it writes to."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
