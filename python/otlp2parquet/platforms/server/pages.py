"""Pages about the server: whether it lives, whether it is ready, and what it has counted.

Knows the batches' state as numbers, and how a page is made of them. It must not know requests for
exports.
"""

from typing import Any, Final

from otlp2parquet.batches.ingest import Ingest
from otlp2parquet.catalogs.running import CommitThread
from otlp2parquet.core.otlp_http import Response
from otlp2parquet.platforms import health
from otlp2parquet.platforms.health import json_page, not_a_get
from otlp2parquet.platforms.server.metrics import CONTENT_TYPE, Metrics
from otlp2parquet.storage import StorageStatus

PATHS: Final = frozenset({health.PATH, "/ready", "/metrics"})


class Pages:
    """The pages of one server."""

    def __init__(
        self,
        ingest: Ingest,
        metrics: Metrics,
        mode: str,
        storage: StorageStatus | None = None,
        commits: CommitThread | None = None,
    ) -> None:
        self._ingest = ingest
        self._metrics = metrics
        self._mode = mode
        self._storage = storage
        self._commits = commits
        self.is_stopping = False
        """Whether the server is on its way out, and so not ready."""

    def page(self, method: str, path: str, *, to_stranger: bool = False) -> Response:
        """The page at ``path``, one of ``PATHS``.

        Who shows none of the tokens that are set learns whether the server is ready, and numbers:
        reasons of the storage have names of folders, buckets and services in them.
        """
        if method not in ("GET", "HEAD"):
            return not_a_get()
        if path == health.PATH:
            return health.health(method)
        if path == "/metrics":
            body = self._metrics.page()
            head = ((b"content-type", CONTENT_TYPE), (b"content-length", b"%d" % len(body)))
            return Response(200, head, body)
        return self._ready(to_stranger=to_stranger)

    def reasons(self) -> list[str]:
        """Why requests are not taken now; empty when they are."""
        reasons = []
        status = self._ingest.status()
        if self.is_stopping:
            reasons.append("the server is stopping")
        if status.used_bytes >= status.limit_bytes:
            reasons.append("the memory is full of rows that are not stored yet")
        refusal = self._ingest.refusal()
        if refusal is not None:
            reasons.append(refusal)
        return reasons

    def _ready(self, *, to_stranger: bool) -> Response:
        reasons, status = self.reasons(), self._ingest.status()
        page: dict[str, Any] = {"status": "not ready" if reasons else "ready"}
        page["reasons"] = reasons
        page["memory"] = {"used_bytes": status.used_bytes, "limit_bytes": status.limit_bytes}
        backlog = status.backlog
        page["batches"] = {
            "open_rows": status.open_rows,
            "waiting": backlog.batches,
            "resting": backlog.resting,
            "left": backlog.left,
        }
        if not to_stranger:
            page["batches"]["last_error"] = backlog.last_error
        if self._storage is not None and not to_stranger:
            # Not a reason to refuse: what is acknowledged is kept until the storage is well again.
            page["storage"] = {"root": self._storage.root, "trouble": self._storage.trouble}
        if self._commits is not None and not to_stranger:
            # Nor this: receipts are kept until the catalog is well again.
            waiting = self._commits.status()
            page["catalog"] = {
                "place": self._commits.place,
                # Without it the next two are of this process alone.
                "earlier_receipts_known": self._commits.committer.is_listed,
                "uncommitted_receipts": waiting.receipts,
                "oldest_uncommitted_secs": round(self._commits.oldest_secs(), 1),
                "trouble": waiting.error,
            }
        page["durability"] = self._mode
        page["replay"] = {"running": backlog.replays > 0, "batches": backlog.replays}
        page["log"] = {
            "bytes": status.log.bytes,
            "max_bytes": status.log.max_bytes,
            "disk_used": round(status.log.disk_share, 3),
        }
        return json_page(503 if reasons else 200, page)
