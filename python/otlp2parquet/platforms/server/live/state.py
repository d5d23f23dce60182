"""The numbers of a server as somebody who looks at it reads them, once a second.

Knows what others have counted. Nothing is counted here; rates are what came since the last reading.
For the event loop's thread.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from otlp2parquet.batches.ingest import Ingest
from otlp2parquet.platforms.export import ExportCounts
from otlp2parquet.platforms.server.live.rows import rfc3339
from otlp2parquet.version import __version__

_FIRST_ERROR: Final = 400


class ServerState:
    """Reads one server's numbers."""

    def __init__(
        self,
        counts: ExportCounts,
        ingest: Ingest,
        reasons: Callable[[], list[str]],
        *,
        mode: str,
        folder: str,
        monotonic: Callable[[], float] = time.monotonic,
        time_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._counts = counts
        self._ingest = ingest
        self._reasons = reasons
        self._mode = mode
        self._folder = folder
        self._monotonic = monotonic
        self._time_ns = time_ns
        self._started = monotonic()
        self._before: tuple[float, dict[str, int]] = (self._started, self._totals())

    def read(self) -> dict[str, Any]:
        """The numbers now."""
        now, totals = self._monotonic(), self._totals()
        status, reasons = self._ingest.status(), self._reasons()
        backlog = status.backlog
        return {
            "time": rfc3339(*divmod(self._time_ns(), 1000)),
            "version": __version__,
            "uptime_secs": round(now - self._started, 1),
            "folder": self._folder,
            "durability": self._mode,
            "batches": {
                "open_rows": status.open_rows,
                "waiting": backlog.batches,
                "resting": backlog.resting,
                "left": backlog.left,
                "last_error": backlog.last_error,
            },
            "memory": {"used_bytes": status.used_bytes, "limit_bytes": status.limit_bytes},
            "ready": not reasons,
            "reasons": reasons,
            "rates": self._rates(now, totals),
            "totals": {**totals, "records": dict(self._counts.accepted_records)},
            "files": self._files(),
            "oldest_unstored_secs": round(self._age_of(status.oldest), 1),
        }

    def _totals(self) -> dict[str, int]:
        answers, stored = self._counts.answers, self._ingest.counts
        refused = sum(count for (_, status), count in answers.items() if _is_refusal(status))
        # What has no signal and is no refusal is a browser that asked whether it may send.
        taken = sum(
            count
            for (signal, status), count in answers.items()
            if signal and not _is_refusal(status)
        )
        return {
            "requests": taken + refused,
            "rows": sum(self._counts.accepted_records.values()),
            "rejected": sum(self._counts.rejected_records.values()),
            "refused": refused,
            "files": stored.files_stored,
            "stored_rows": stored.rows_stored,
            "bytes": stored.bytes_stored,
        }

    def _rates(self, now: float, totals: dict[str, int]) -> dict[str, float]:
        then, before = self._before
        secs = now - then
        self._before = (now, totals)
        names = ("requests", "rows", "refused")
        if secs <= 0:
            return dict.fromkeys(names, 0.0)
        return {name: round((totals[name] - before[name]) / secs, 1) for name in names}

    def _files(self) -> list[dict[str, Any]]:
        now_ns = self._time_ns()
        return [
            {
                "table": file.table,
                "path": file.path,
                "rows": file.rows,
                "bytes": file.bytes,
                "time": datetime.fromtimestamp(now_ns / 1e9 - age_secs, UTC).strftime(
                    "%Y-%m-%dT%H:%M:%S.%fZ"
                ),
            }
            for file, age_secs in self._ingest.recent_files()
        ]

    def _age_of(self, batch_id: str) -> float:
        """Seconds since a batch opened: a UUIDv7 begins with that time in milliseconds."""
        if not batch_id:
            return 0.0
        return max(0.0, self._time_ns() / 1e9 - (UUID(batch_id).int >> 80) / 1e3)


def _is_refusal(status: str) -> bool:
    return int(status) >= _FIRST_ERROR if status.isdigit() else status != "OK"
