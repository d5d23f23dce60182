"""A table as it was loaded, and the one commit that it may be the base of, in plain Python.

Knows what a commit consists of: a manifest, a manifest list, one request. Must not know when it is
tried. The manifests of earlier commits are kept as they are ("fast append"); merging them and
expiring snapshots is left to the service, or to a server that writes to the same table. What an
attempt has written stays until it is certain that the attempt came to nothing.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from otlp2parquet.catalogs.columns import Json, ids_in, schema_of
from otlp2parquet.catalogs.loading import TableFacts, named_properties, unnamed_properties
from otlp2parquet.catalogs.plain.avro import AvroError, AvroFile, read_file
from otlp2parquet.catalogs.plain.manifests import ManifestTarget, manifest_list_of, manifest_of
from otlp2parquet.catalogs.plain.metadata import (
    assert_snapshot,
    assert_uuid,
    current_snapshot,
    facts_of,
    snapshot_updates,
    summary_of,
)
from otlp2parquet.catalogs.plain.protocol import Objects
from otlp2parquet.catalogs.plain.rest import RestClient
from otlp2parquet.catalogs.receipts import Receipt
from otlp2parquet.catalogs.shape import TableShape
from otlp2parquet.errors import CatalogRefusedError, CatalogUnavailableError

_SYNC_BYTES: Final = 16
_SNAPSHOT_BITS: Final = 63


@dataclass(frozen=True, slots=True)
class Attempt:
    """A commit of which it is not known that it arrived, and the objects that it has written."""

    base: int | None
    keys: frozenset[str]
    written: tuple[str, ...]


class PlainTable:
    """A ``LoadedTable`` whose calls are awaited."""

    def __init__(
        self,
        client: RestClient,
        objects: Objects,
        identifier: tuple[str, ...],
        name: str,
        metadata: Json,
        *,
        now_ms: int,
        attempts: list[Attempt],
    ) -> None:
        self.identifier = identifier
        self.metadata = metadata
        self._client = client
        self._objects = objects
        self._name = name
        self._now_ms = now_ms
        self._attempts = attempts

    @property
    def facts(self) -> TableFacts:
        """What the table says of itself."""
        return facts_of(self.metadata, ".".join(self.identifier))

    @property
    def shape(self) -> TableShape:
        """Where its files go, and with which field ids."""
        return self.facts.shape(self._name)

    def nodes(self) -> frozenset[str]:
        """See ``LoadedTable.nodes``."""
        return self.facts.nodes()

    def committed(self, node: str) -> frozenset[str]:
        """See ``LoadedTable.committed``."""
        return self.facts.committed(node)

    async def append(
        self, receipts: Sequence[Receipt], committed: Mapping[str, frozenset[str]]
    ) -> None:
        """See ``LoadedTable.append``."""
        self._check_ids(receipts)
        current = current_snapshot(self.metadata)
        base = None if current is None else current["snapshot-id"]
        keys = frozenset(receipt.key for receipt in receipts)
        await self._clear_attempts(keys, base)
        snapshot, written = await self.write_snapshot(receipts)
        named = [{"action": "set-properties", "updates": named_properties(committed)}]
        if unnamed := unnamed_properties(committed):
            named.append({"action": "remove-properties", "removals": unnamed})
        attempt = Attempt(base, keys, written)
        self._attempts.append(attempt)
        await self._client.commit(
            self.identifier,
            [assert_uuid(self.metadata), assert_snapshot(self.metadata)],
            [*snapshot_updates(snapshot), *named],
        )
        self._attempts.remove(attempt)

    def _check_ids(self, receipts: Sequence[Receipt]) -> None:
        ours, theirs = ids_in(schema_of(self._name), self._name), self.shape.field_ids
        for receipt in receipts:
            if (receipt.field_ids or ours) != theirs:
                raise CatalogRefusedError(
                    f"the files of the receipt {receipt.key} have other field ids than the table "
                    f"{self.facts.title}: expected the table's own, otlp2parquet reconcile writes "
                    "the files anew"
                )

    async def write_snapshot(
        self, receipts: Sequence[Receipt], further: Mapping[str, str] | None = None
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Write what a snapshot with the files of receipts refers to; it, and what was written.

        ``further`` is said in its summary, too.
        """
        facts, parent = self.facts, current_snapshot(self.metadata)
        target = ManifestTarget(facts.schema, facts.spec)
        number = 1 + secrets.randbits(_SNAPSHOT_BITS - 1)
        parent_id = None if parent is None else parent["snapshot-id"]
        sequence_number = int(self.metadata.get("last-sequence-number") or 0) + 1
        listed = await self._list_of(parent)
        folder = facts.properties.get("write.metadata.path") or f"{facts.location}/metadata"
        folder, commit = folder.rstrip("/"), uuid4()
        written, entries = [], []
        if receipts:
            sync = secrets.token_bytes(_SYNC_BYTES)
            manifest = manifest_of(target, receipts, number, sequence_number, sync)
            place = f"{folder}/{commit}-m0.avro"
            await self._create(place, manifest.content)
            written.append(place)
            entries.append({"manifest_path": place, **manifest.entry})
        place = f"{folder}/snap-{number}-0-{commit}.avro"
        sync = secrets.token_bytes(_SYNC_BYTES)
        content = manifest_list_of(
            entries,
            snapshot_id=number,
            parent_id=parent_id,
            sequence_number=sequence_number,
            sync=sync,
            parent=listed,
        )
        await self._create(place, content)
        written.append(place)
        files = [file for receipt in receipts for file in receipt.files]
        snapshot = {
            "snapshot-id": number,
            **({} if parent_id is None else {"parent-snapshot-id": parent_id}),
            "sequence-number": sequence_number,
            # Clocks differ, and time goes on in a table.
            "timestamp-ms": max(self._now_ms, int(self.metadata.get("last-updated-ms") or 0)),
            "manifest-list": place,
            "summary": summary_of(files, target.transforms, parent, further or {}),
            "schema-id": facts.schema["schema-id"],
        }
        return snapshot, tuple(written)

    async def _list_of(self, parent: Json | None) -> AvroFile | None:
        """The manifest list of a snapshot."""
        if parent is None:
            return None
        place = parent.get("manifest-list")
        if not place:
            raise CatalogRefusedError(
                f"the table {self.facts.title} has a snapshot without a manifest list, as format "
                "version 1 allows: expected one of version 2"
            )
        content = await self._objects.read(key_of_uri(place))
        if content is None:
            raise CatalogUnavailableError(f"found no manifest list at {place}")
        try:
            return read_file(content)
        except AvroError as error:
            raise CatalogRefusedError(f"the manifest list {place} is not read: {error}") from error

    async def _create(self, place: str, content: bytes) -> None:
        if not await self._objects.create(key_of_uri(place), content):
            raise CatalogUnavailableError(f"found an object at {place}, expected a free name")

    async def _clear_attempts(self, keys: frozenset[str], base: int | None) -> None:
        """Remove what earlier attempts have written that can never become part of the table.

        ``keys`` are of receipts that exist, and that the table did not name: an attempt that had
        one of them had not arrived. If the table has moved on, it cannot arrive any more.
        """
        mine = [one for one in self._attempts if one.keys & keys]
        self._attempts[:] = [one for one in mine if one.base == base]
        for attempt in mine:
            if attempt.base != base:
                for place in attempt.written:
                    await self._objects.delete(key_of_uri(place))


def key_of_uri(uri: str) -> str:
    """The key in its bucket of the object at a URI."""
    _, sign, rest = uri.partition("://")
    if not sign:
        raise CatalogRefusedError(f"found the place {uri[:300]}, expected the URI of an object")
    return rest.partition("/")[2]
