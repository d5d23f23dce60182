"""Old snapshots go with a commit, and behind it the files of metadata that they alone had.

Knows which snapshots of a table's metadata a commit may expire, and whose manifests are left over.
Must not know how objects are removed. Data files are never removed here: only snapshots that took
none out of the table are passed over. Where something else rewrites a table's files, what expires
the snapshots before that is its own business.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from otlp2parquet.catalogs.columns import Json
from otlp2parquet.catalogs.keeping import most_that_stay
from otlp2parquet.catalogs.plain.avro import AvroFile
from otlp2parquet.catalogs.plain.manifests import listed_in
from otlp2parquet.catalogs.plain.metadata import MAIN, current_snapshot

MOST_EXPIRED: Final = 10
"""By one commit: of each, the list of manifests is read."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """Snapshots that a commit expires, the newest first, and the oldest that stays."""

    expired: tuple[Json, ...] = ()
    survivor: Json | None = None

    @property
    def updates(self) -> list[dict[str, Any]]:
        """What expires them."""
        ids = [one["snapshot-id"] for one in self.expired]
        return [{"action": "remove-snapshots", "snapshot-ids": ids}] if ids else []


def plan_expiry(metadata: Json, keep: int, now_ms: int) -> Expiry:
    """What the next commit expires, so that with its own snapshot ``keep`` remain: the oldest.

    Nothing where there are tags or branches, and where the table says so (``keeping``).
    """
    snapshots = metadata.get("snapshots") or ()
    if set(metadata.get("refs") or ()) - {MAIN}:
        return Expiry()
    line = list(_line(metadata, snapshots))
    if len(line) != len(snapshots):
        return Expiry()  # some are on no line: somebody else's staged or rolled back ones
    properties: Mapping[str, str] = metadata.get("properties") or {}
    made_ms = [one["timestamp-ms"] for one in line]
    stay = most_that_stay(properties, made_ms, keep, now_ms)
    expired: list[Json] = []
    survivor = None
    while len(line) > stay and len(expired) < MOST_EXPIRED and _appends(line[-2]):
        expired.insert(0, line.pop())
        survivor = line[-1]
    return Expiry(tuple(expired), survivor)


def _line(metadata: Json, snapshots: Iterable[Json]) -> Iterator[Json]:
    """The current snapshot, what it was made from, and so on."""
    by_id = {one["snapshot-id"]: one for one in snapshots}
    one = current_snapshot(metadata)
    while one is not None:
        yield by_id.pop(one["snapshot-id"])
        one = by_id.get(one.get("parent-snapshot-id"))


def _appends(snapshot: Json) -> bool:
    """Whether a snapshot has all files that the one before it had."""
    return (snapshot.get("summary") or {}).get("operation") == "append"


def manifests_left_over(expired: Sequence[AvroFile], survivor: AvroFile) -> list[str]:
    """The manifests that only expired lists have."""
    kept: set[str] | None = None
    left: dict[str, None] = {}
    for one in expired:
        # Behind those of a commit that merged nothing the parent's blocks stand as they were.
        are_there = survivor.blocks[len(survivor.blocks) - len(one.blocks) :] == one.blocks
        if are_there and one.schema == survivor.schema and one.codec == survivor.codec:
            continue
        if kept is None:
            kept = set(_paths(survivor))
        left.update(dict.fromkeys(path for path in _paths(one) if path not in kept))
    return list(left)


def _paths(manifest_list: AvroFile) -> list[str]:
    return [entry["manifest_path"] for entry in listed_in(manifest_list)]
