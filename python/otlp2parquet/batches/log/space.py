"""How much room the log has: its own limit, and that of its disk.

Knows marks and the system's figures. Must not know what is done about them. A disk counts as full
by the smaller of a share and an absolute amount: a tenth of 4 TB is room enough.
"""

from pathlib import Path
from typing import Final

from otlp2parquet.batches.log.disk import Disk
from otlp2parquet.batches.log.protocol import Usage

SHORT_SHARE: Final = 0.2
"""Below this share of the disk, and below ``SHORT_BYTES``, batches are closed early."""
SHORT_BYTES: Final = 8 << 30

FULL_SHARE: Final = 0.1
"""Below this share of the disk, and below ``FULL_BYTES``, requests are refused: what else lives
there needs room, too."""
FULL_BYTES: Final = 4 << 30

SHORT_OF_LIMIT: Final = 0.8
"""From this share of the log's own limit on batches are closed early, so that segments go."""

WORTH_BYTES: Final = 16 << 20
"""A log below this is not what fills the disk: closing batches early would only cost files."""

_UNKNOWN: Final = 1 << 62


class LogSpace:
    """The marks of one folder. ``look`` asks the system; the rest answers from memory."""

    def __init__(self, disk: Disk, path: Path, max_bytes: int) -> None:
        self._disk = disk
        self._path = path
        self.max_bytes = max_bytes
        self._used = 0
        self._free = _UNKNOWN

    def look(self) -> bool:
        """Ask how full the disk is; one that cannot say is taken for what it was.

        Of a folder that is gone nothing is known, so requests come: the log finds out by the next
        one that it has to make the folder again. False says that it is gone.
        """
        try:
            self._used, self._free = self._disk.space(self._path)
        except FileNotFoundError:
            self._used, self._free = 0, _UNKNOWN
            return False
        except OSError:
            pass
        return True

    def usage(self, log_bytes: int) -> Usage:
        """What the log takes of what it may take, and the share of the disk that is in use."""
        return Usage(log_bytes, self.max_bytes, self._used / max(1, self._used + self._free))

    def refusal(self, log_bytes: int) -> str | None:
        """Why nothing more should come, None if there is room."""
        if log_bytes >= self.max_bytes:
            return (
                f"the log holds {log_bytes} bytes that are not stored yet, "
                f"and may hold {self.max_bytes}"
            )
        if self._is_below(FULL_SHARE, FULL_BYTES):
            share = self.usage(log_bytes).disk_share
            return f"the disk of the log is {share:.0%} full, {self._free >> 20} MiB are free"
        return None

    def is_short(self, log_bytes: int) -> bool:
        """Whether room should be made, and the log is large enough for that to make any."""
        if log_bytes >= SHORT_OF_LIMIT * self.max_bytes:
            return True
        return log_bytes >= WORTH_BYTES and self._is_below(SHORT_SHARE, SHORT_BYTES)

    def _is_below(self, share: float, count: int) -> bool:
        return self._free <= min(share * (self._used + self._free), count)
