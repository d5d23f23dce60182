"""What a 200 promises: the log of the configured mode, and what an earlier process has left.

Joins configuration, folder and log. It must not know requests.
"""

import logging
from collections.abc import Sequence

from otlp2parquet.batches.counts import Counts
from otlp2parquet.batches.ingestion import Batches
from otlp2parquet.batches.log import Log, NoLog
from otlp2parquet.batches.log_folder import SUFFIX, LogFolder, check_versions
from otlp2parquet.batches.log_segment import Segment
from otlp2parquet.batches.log_space import LogSpace
from otlp2parquet.batches.segment_log import SegmentLog
from otlp2parquet.config import Config
from otlp2parquet.errors import ConfigError

log = logging.getLogger(__name__)


def open_log(config: Config, counts: Counts) -> tuple[Log, Sequence[Segment]]:
    """The log for new requests, and the segments of an earlier process.

    Those are replayed in every mode: they are acknowledged. Raises ``ConfigError`` when the
    folder is another process's, or holds what this version cannot read.
    """
    mode, path = config.durability.mode, config.log_path
    if mode == "fsync":
        segments = _segment_log(config, counts)
        return segments, segments.left_over()
    nothing = NoLog(until_stored=mode == "stored")
    if not any(path.glob(f"*{SUFFIX}")):
        return nothing, ()
    try:
        left_over = _segment_log(config, counts).left_over()
    except ConfigError as error:
        log.warning("what is in the log is not replayed: %s", error)
        left_over = []
    return nothing, left_over


def _segment_log(config: Config, counts: Counts) -> SegmentLog:
    folder = LogFolder.claim(config.log_path)
    try:
        check_versions(folder.segments())
    except BaseException:
        folder.release()
        raise
    return SegmentLog(folder, LogSpace(folder.path, config.durability.max_bytes), counts)


def replay(batches: Batches, left_over: Sequence[Segment]) -> None:
    """Begin to store what an earlier process has left."""
    if left_over:
        size = sum(segment.size for segment in left_over)
        log.info(
            "replaying what an earlier process has left in the log",
            extra={"fields": {"batches": len(left_over), "bytes": size}},
        )
    batches.replay([(segment.batch_id, segment) for segment in left_over])


def promise(config: Config) -> str:
    """What the start line says of the mode and its price."""
    mode = config.durability.mode
    if mode == "fsync":
        return (
            f"durability is fsync: what is acknowledged is on the disk, in the log at "
            f"{config.log_path.absolute()}, and outlives a crash, kill -9 and a power cut; it can "
            "be lost only with that disk"
        )
    if mode == "stored":
        return (
            "durability is stored: what is acknowledged is in files; it can be lost only with "
            "the storage"
        )
    return (
        "durability is memory: rows that are not in a file yet are lost if the process is "
        "killed or crashes, not if it is stopped"
    )
