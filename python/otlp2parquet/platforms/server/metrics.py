"""The page /metrics: what happened since the start, for Prometheus.

Knows the numbers that others count and the exposition format. Nothing is counted here: numbers
are read when somebody asks, so that a request costs a few additions.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final
from uuid import UUID

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from otlp2parquet.batches.counts import SYNC_SECS, Counts
from otlp2parquet.batches.ingest import Ingest, Status
from otlp2parquet.catalogs.running import CommitThread
from otlp2parquet.platforms.export import ExportCounts
from otlp2parquet.storage import StorageStatus
from otlp2parquet.version import __version__

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"


class Metrics(Collector):
    """One server's numbers, in a registry of its own."""

    def __init__(
        self,
        requests: ExportCounts,
        ingest: Ingest,
        mode: str,
        *,
        storage: StorageStatus | None = None,
        time_ns: Callable[[], int] = time.time_ns,
        commits: CommitThread | None = None,
    ) -> None:
        self._requests = requests
        self._ingest = ingest
        self._mode = mode
        self._storage = storage
        self._time_ns = time_ns
        self._commits = commits
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def page(self) -> bytes:
        """The page's text."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """All metrics, as prometheus-client asks for them."""
        yield _gauge("info", "Which version runs, and in which durability mode.", 1,
                     version=__version__, mode=self._mode)  # fmt: skip
        yield from self._of_requests()
        yield from self._of_batches(self._ingest.status())
        yield from _of_storage(self._ingest.counts)
        if self._storage is not None:
            yield _counters("storage_requests", "Requests to the storage over the network.",
                            "kind", self._storage.requests.items())  # fmt: skip
        yield from _of_log(self._ingest.counts)
        if self._commits is not None:
            yield from _of_commits(self._commits)

    def _of_requests(self) -> Iterator[Metric]:
        seen = self._requests
        answers = CounterMetricFamily(
            "otlp2parquet_requests", "Requests answered.", labels=("signal", "code")
        )
        for key, count in sorted(seen.answers.items()):
            answers.add_metric(key, count)
        yield answers
        yield _counters("refused_requests", "Requests answered with 503.", "reason",
                        seen.refused.items())  # fmt: skip
        yield _counters("received_bytes", "Bytes of bodies that were read.", "signal",
                        seen.received_bytes.items())  # fmt: skip
        yield _counters("accepted_records", "Log records, spans and data points acknowledged.",
                        "signal", seen.accepted_records.items())  # fmt: skip
        yield _counters("rejected_records", "Records that cannot be stored unchanged.", "signal",
                        seen.rejected_records.items())  # fmt: skip

    def _of_batches(self, status: Status) -> Iterator[Metric]:
        yield _gauge("open_rows", "Rows in the open batch.", status.open_rows)
        yield _gauge("waiting_batches", "Closed batches not stored yet.", status.backlog.batches)
        yield _gauge("resting_batches", "Batches that failed and are tried again later.",
                     status.backlog.resting)  # fmt: skip
        yield _gauge("left_batches", "Batches that another version has to store.",
                     status.backlog.left)  # fmt: skip
        yield _gauge("waiting_replays", "Batches of an earlier process not stored yet.",
                     status.backlog.replays)  # fmt: skip
        yield _gauge("oldest_unstored_seconds", "Age of the oldest batch that is not stored.",
                     self._age_of(status.oldest))  # fmt: skip
        yield _gauge("memory_bytes", "Memory in use of the budget.", status.used_bytes)
        yield _gauge("memory_limit_bytes", "The memory budget.", status.limit_bytes)
        yield _gauge("log_bytes", "Bytes in the log.", status.log.bytes)
        yield _gauge("log_limit_bytes", "What the log may hold.", status.log.max_bytes)
        yield _gauge("log_disk_used_ratio", "Share of the log's disk that is in use.",
                     status.log.disk_share)  # fmt: skip

    def _age_of(self, batch_id: str) -> float:
        """Seconds since a batch opened: a UUIDv7 begins with that time in milliseconds."""
        if not batch_id:
            return 0.0
        opened_ms = UUID(batch_id).int >> 80
        return max(0.0, self._time_ns() / 1e9 - opened_ms / 1e3)


def _of_storage(counts: Counts) -> Iterator[Metric]:
    yield _counters("closed_batches", "Batches closed.", "reason", counts.batches_closed.items())
    yield _counter("stored_batches", "Batches stored.", counts.batches_stored)
    yield _counter("stored_files", "Files stored.", counts.files_stored)
    yield _counter("stored_rows", "Rows stored.", counts.rows_stored)
    yield _counter("stored_bytes", "Bytes of files stored.", counts.bytes_stored)
    yield _counter("storage_failures", "Steps of storing that failed.", counts.storage_failures)
    yield _counter("taken_names", "Files stored under another name because theirs was taken.",
                   counts.names_taken)  # fmt: skip
    yield _counter("lost_batches", "Batches whose log was removed before they were stored.",
                   counts.batches_lost)  # fmt: skip
    yield _counter("replayed_batches", "Batches of an earlier process stored.",
                   counts.batches_replayed)  # fmt: skip
    yield _counter("replay_differences", "Files whose rows are not those of their plan.",
                   counts.replay_differences)  # fmt: skip


def _of_commits(commits: CommitThread) -> Iterator[Metric]:
    counts = commits.committer.counts
    yield _gauge("earlier_receipts_known",
                 "1 when it is known which receipts earlier processes have left, 0 before.",
                 int(commits.committer.is_listed))  # fmt: skip
    yield _gauge("uncommitted_receipts", "Receipts of stored files that are in no table yet.",
                 commits.status().receipts)  # fmt: skip
    yield _gauge("oldest_uncommitted_seconds",
                 "Age of the oldest batch whose files are stored and in no table yet.",
                 commits.oldest_secs())  # fmt: skip
    yield _counter("commits", "Snapshots made in tables.", counts.commits)
    yield _counter("committed_files", "Files that became part of tables.", counts.files)
    yield _counter("committed_rows", "Rows that became part of tables.", counts.rows)
    yield _counter("commit_conflicts", "Commits that others were faster than.", counts.conflicts)
    yield _counter("commit_failures", "Steps of committing that failed.", counts.failures)
    yield _counter("commit_refusals", "Commits that the catalog refused for good.",
                   counts.refusals)  # fmt: skip
    yield _counter("unreadable_receipts", "Receipts that could not be read.", counts.unreadable)


def _of_log(counts: Counts) -> Iterator[Metric]:
    yield _counter("log_records", "Records written to the log.", counts.log_records)
    yield _counter("log_written_bytes", "Bytes written to the log.", counts.log_written_bytes)
    yield _counter("log_failures", "Groups of requests that the log could not keep.",
                   counts.log_failures)  # fmt: skip
    yield _counter("log_torn_tails", "Segments that ended within a record.", counts.torn_tails)
    yield _counter("log_damaged_records", "Damaged parts of segments put in quarantine.",
                   counts.damaged_records)  # fmt: skip
    syncs = HistogramMetricFamily("otlp2parquet_log_sync_seconds", "Duration of syncs of the log.")
    total = 0
    buckets = []
    bounds = [*(str(bound) for bound in SYNC_SECS), "+Inf"]
    for bound, count in zip(bounds, counts.sync_buckets, strict=True):
        total += count
        buckets.append((bound, float(total)))
    syncs.add_metric((), buckets, counts.sync_secs)
    yield syncs


def _gauge(name: str, meaning: str, value: float, **labels: str) -> Metric:
    metric = GaugeMetricFamily(f"otlp2parquet_{name}", meaning, labels=tuple(labels))
    metric.add_metric(tuple(labels.values()), value)
    return metric


def _counter(name: str, meaning: str, value: float) -> Metric:
    return CounterMetricFamily(f"otlp2parquet_{name}", meaning, value=value)


def _counters(name: str, meaning: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    metric = CounterMetricFamily(f"otlp2parquet_{name}", meaning, labels=(label,))
    for key, value in sorted(values):
        metric.add_metric((key,), value)
    return metric
