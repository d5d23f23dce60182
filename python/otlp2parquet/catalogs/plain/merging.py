"""Small manifests of a table become one, so that a commit costs the same however many there were.

Knows which manifests of a list are merged, and how the entries of ours are carried over. Must not
know where they lie. Those of other writers are kept as they are, and so is what is large enough:
like is merged with like (the files of some dozen manifests, then of some dozen of those), so that
each file is carried over twice, and not with every merge.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from otlp2parquet.catalogs.columns import Json
from otlp2parquet.catalogs.loading import MANIFEST_BYTES, MANIFESTS
from otlp2parquet.catalogs.plain.avro import AvroFile
from otlp2parquet.catalogs.plain.manifests import (
    EXISTING,
    Manifest,
    ManifestTarget,
    entry_schema_of,
    pack_manifest,
)

OURS: Final = "otlp2parquet-"
"""Begins the names of our manifests, so that those of others are not read in vain."""
SMALL_FILES: Final = 32
"""A manifest of fewer files is merged with others of fewer."""
MIDDLE_FILES: Final = 1024
"""One of fewer is merged with others between the two; more are not merged again."""
MOST_FILES: Final = 4096
"""Are carried over by one merge: a fraction of a millisecond each, in plain Python."""
MOST_MANIFESTS: Final = 64
"""Are read by one merge."""

_DELETED: Final = 2
_SUMMED: Final = ("added_files_count", "existing_files_count")


def least_to_merge(properties: Mapping[str, str]) -> int:
    """So many manifests of one kind are merged; 0: none ever are, as the table has it."""
    # "Controls whether to automatically merge manifests on writes", and true where it is not said
    if properties.get("commit.manifest-merge.enabled", "true").lower() == "false":
        return 0
    return max(2, _number(properties, "commit.manifest.min-count-to-merge", MANIFESTS))


def _number(properties: Mapping[str, str], name: str, otherwise: int) -> int:
    said = properties.get(name, "")
    return int(said) if said.isdecimal() else otherwise


def to_be_merged(
    target: ManifestTarget, properties: Mapping[str, str], listed: Sequence[Json]
) -> list[Json]:
    """Which manifests of a list are to become one, the oldest first; none if there are too few.

    ``listed`` has the newest first, as our lists do.
    """
    least = least_to_merge(properties)
    target_bytes = _number(properties, "commit.manifest.target-size-bytes", MANIFEST_BYTES)
    # The rarer ones first: there are enough small ones at nearly every look.
    for fewest, most in ((SMALL_FILES, MIDDLE_FILES), (0, SMALL_FILES)):
        alike = [
            one
            for one in listed
            if _may_be_merged(target, one)
            and one["manifest_length"] < target_bytes
            and fewest <= files_in(one) < most
        ]
        if least and len(alike) >= least:
            return list(_first(alike[::-1]))
    return []


def _may_be_merged(target: ManifestTarget, entry: Json) -> bool:
    """Whether a manifest is of ours, of data files that are there, in the partitions of today."""
    return (
        entry["manifest_path"].rpartition("/")[2].startswith(OURS)
        and entry["content"] == 0
        and entry["partition_spec_id"] == target.spec["spec-id"]
        and entry["deleted_files_count"] == 0
        and entry["key_metadata"] is None
        and len(entry["partitions"] or ()) == len(target.spec["fields"])
    )


def files_in(entry: Json) -> int:
    """How many data files a manifest lists that are there."""
    return sum(entry[name] or 0 for name in _SUMMED)


def _first(entries: Sequence[Json]) -> Iterator[Json]:
    count = 0
    for number, entry in enumerate(entries[:MOST_MANIFESTS]):
        count += files_in(entry)
        if number > 1 and count > MOST_FILES:
            return
        yield entry


def is_ours(target: ManifestTarget, manifest: AvroFile) -> bool:
    """Whether a manifest has all that ours have today, and nothing else."""
    return bool(manifest.schema == entry_schema_of(target))


def merged(
    target: ManifestTarget,
    manifests: Sequence[tuple[Json, AvroFile]],
    snapshot_id: int,
    sequence_number: int,
    sync: bytes,
) -> Manifest:
    """One manifest of ours with all files of others, given with what their list says of them."""
    rows = [row for entry, manifest in manifests for row in _carried_over(entry, manifest)]
    said = {
        "sequence_number": sequence_number,
        "min_sequence_number": min(
            (row["sequence_number"] for row in rows), default=sequence_number
        ),
        "added_snapshot_id": snapshot_id,
        "added_files_count": 0,
        "existing_files_count": len(rows),
        "added_rows_count": 0,
        "existing_rows_count": sum(row["data_file"]["record_count"] for row in rows),
        "partitions": list(_summaries([entry["partitions"] for entry, _ in manifests])),
    }
    return pack_manifest(target, rows, said, sync)


def _carried_over(entry: Json, manifest: AvroFile) -> Iterator[dict[str, Any]]:
    """The files of a manifest as files that were there before, with what they inherited."""
    for row in manifest.rows():
        if row["status"] == _DELETED:
            continue
        row["status"] = EXISTING
        if row["snapshot_id"] is None:
            row["snapshot_id"] = entry["added_snapshot_id"]
        # "When reading v2 manifests, null sequence numbers are replaced with the manifest's".
        for name in ("sequence_number", "file_sequence_number"):
            if row[name] is None:
                row[name] = entry["sequence_number"]
        yield row


def _summaries(manifests: Sequence[Sequence[Json]]) -> Iterator[dict[str, Any]]:
    """What is to be said of each field of the partition, from what each manifest says of it."""
    for fields in zip(*manifests, strict=True):
        lower = [_whole(one["lower_bound"]) for one in fields if one["lower_bound"] is not None]
        upper = [_whole(one["upper_bound"]) for one in fields if one["upper_bound"] is not None]
        yield {
            "contains_null": any(one["contains_null"] for one in fields),
            "contains_nan": False,
            "lower_bound": struct.pack("<i", min(lower)) if lower else None,
            "upper_bound": struct.pack("<i", max(upper)) if upper else None,
        }


def _whole(bound: bytes) -> int:
    number: int = struct.unpack("<i", bound)[0]
    return number
