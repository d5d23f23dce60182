"""Upkeep in the path of a commit: old snapshots go, and the files that they alone had.

Knows Iceberg's snapshots and manifests. A file is removed only where nobody can need it: the
history is one line without tags and other branches, the commit that expired the snapshots was
acknowledged, and what the oldest snapshot that stays has is kept.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pyiceberg.io import FileIO
from pyiceberg.manifest import ManifestEntryStatus, ManifestFile
from pyiceberg.table import Table
from pyiceberg.table.refs import MAIN_BRANCH
from pyiceberg.table.snapshots import Snapshot, ancestors_of

from otlp2parquet.catalogs.keeping import most_that_stay

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Expiry:
    """Snapshots that a commit is to expire, the newest first, and the oldest that stays."""

    expired: tuple[Snapshot, ...] = ()
    survivor: Snapshot | None = None


def plan_expiry(table: Table, keep: int, now_ms: int) -> Expiry:
    """What the next commit may expire, so that with its own snapshot ``keep`` remain.

    Nothing where there are tags or branches, and where the table says so (``keeping``).
    """
    metadata = table.metadata
    if set(metadata.refs) - {MAIN_BRANCH}:
        return Expiry()
    line = list(ancestors_of(metadata.current_snapshot(), metadata))
    if len(line) != len(metadata.snapshots):
        return Expiry()  # some are on no line: somebody else's staged or rolled back ones
    made_ms = [one.timestamp_ms for one in line]
    stay = most_that_stay(table.properties, made_ms, keep, now_ms)
    if stay >= len(line):
        return Expiry()
    return Expiry(tuple(line[stay:]), line[stay - 1])


def remove_expired(io: FileIO, expiry: Expiry, current: Snapshot | None) -> int:
    """Remove the files that only expired snapshots had; how many.

    Raises nothing: what cannot be removed is left over, and harms nobody.
    """
    if not expiry.expired or expiry.survivor is None or current is None:
        return 0
    try:
        paths = _only_in_expired(io, expiry, current)
    except Exception as error:  # noqa: BLE001 - the commit is done, whatever this meets
        log.warning("files of expired snapshots are left over: %s", error)
        return 0
    count = 0
    for path in paths:
        try:
            io.delete(path)
            count += 1
        except Exception as error:  # noqa: BLE001 - as above
            log.debug("a file of an expired snapshot is left over: %s: %s", path, error)
    return count


def _only_in_expired(io: FileIO, expiry: Expiry, current: Snapshot) -> list[str]:
    survivor = expiry.survivor
    assert survivor is not None  # noqa: S101 - the caller has looked
    kept = {manifest.manifest_path: manifest for manifest in survivor.manifests(io)}
    gone: dict[str, ManifestFile] = {}
    for snapshot in expiry.expired:
        for manifest in snapshot.manifests(io):
            if manifest.manifest_path not in kept:
                gone[manifest.manifest_path] = manifest
    removed = {snapshot.snapshot_id for snapshot in expiry.expired} | {survivor.snapshot_id}
    data = _removed_files(io, [*gone.values(), *kept.values()], removed, current)
    lists = [snapshot.manifest_list for snapshot in expiry.expired]
    return [*data, *gone, *lists]


def _removed_files(
    io: FileIO, manifests: Sequence[ManifestFile], removed: set[int], current: Snapshot
) -> list[str]:
    """Data files that one of the snapshots ``removed`` took out of the table, as compaction does.

    An append takes none out, so that no manifest is read where nothing but appends happened.
    """
    telling = [one for one in manifests if one.deleted_files_count != 0 and _is_of(one, removed)]
    if not telling:
        return []
    paths = {
        entry.data_file.file_path
        for manifest in telling
        for entry in manifest.fetch_manifest_entry(io, discard_deleted=False)
        if entry.status == ManifestEntryStatus.DELETED and entry.snapshot_id in removed
    }
    # Rather read too much than remove a file that came back.
    return sorted(paths - set(_live_files(io, current.manifests(io))))


def _is_of(manifest: ManifestFile, snapshots: set[int]) -> bool:
    return manifest.added_snapshot_id in snapshots


def _live_files(io: FileIO, manifests: Iterable[ManifestFile]) -> Iterable[str]:
    for manifest in manifests:
        for entry in manifest.fetch_manifest_entry(io, discard_deleted=True):
            yield entry.data_file.file_path
