"""How much room the log has: its own limit, and that of its disk.

Knows two marks and the system's figures. Must not know what is done about them.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

SHORT_SHARE: Final = 0.8
"""From here on batches are closed early, so that their segments go."""

FULL_SHARE: Final = 0.9
"""From here on of the disk requests are refused: what else lives there needs room, too."""


WORTH_BYTES: Final = 16 << 20
"""A log below this is not what fills the disk: closing batches early would only cost files."""


def disk_share(path: Path) -> float:
    """The share of the disk that is in use, as ``df`` counts it."""
    usage = shutil.disk_usage(path)
    return usage.used / max(1, usage.used + usage.free)


class LogSpace:
    """The marks of one folder. ``look`` asks the system; the rest answers from memory."""

    def __init__(
        self, path: Path, max_bytes: int, share: Callable[[Path], float] = disk_share
    ) -> None:
        self._path = path
        self.max_bytes = max_bytes
        self._share = share
        self.disk_share = 0.0

    def look(self) -> None:
        """Ask how full the disk is; one that cannot say is taken for what it was."""
        try:
            self.disk_share = self._share(self._path)
        except OSError:
            return

    def refusal(self, log_bytes: int) -> str | None:
        """Why nothing more should come, None if there is room."""
        if log_bytes >= self.max_bytes:
            return (
                f"the log holds {log_bytes} bytes that are not stored yet, "
                f"and may hold {self.max_bytes}"
            )
        if self.disk_share >= FULL_SHARE:
            return f"the disk of the log is {self.disk_share:.0%} full"
        return None

    def is_short(self, log_bytes: int) -> bool:
        """Whether room should be made, and the log is large enough for that to make any."""
        if log_bytes >= SHORT_SHARE * self.max_bytes:
            return True
        return self.disk_share >= SHORT_SHARE and log_bytes >= WORTH_BYTES
