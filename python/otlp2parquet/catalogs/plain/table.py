"""A table as it was loaded, and the one commit that it may be the base of, in plain Python.

Knows what a commit consists of: a manifest, a manifest list, one request; and the upkeep that some
of them do. Must not know when it is tried. What an attempt has written stays until it is certain
that the attempt came to nothing.

Only a first attempt does upkeep: it takes longer, and where several commit at a time, those who do
nothing else come through.
"""

import asyncio
import logging
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

from otlp2parquet.catalogs.columns import Json, ids_in, schema_of
from otlp2parquet.catalogs.loading import (
    TableFacts,
    TableOptions,
    named_properties,
    unnamed_properties,
)
from otlp2parquet.catalogs.plain import merging
from otlp2parquet.catalogs.plain.avro import AvroError, AvroFile, read_file
from otlp2parquet.catalogs.plain.history import Expiry, manifests_left_over, plan_expiry
from otlp2parquet.catalogs.plain.manifests import (
    LIST_SCHEMA,
    Manifest,
    ManifestTarget,
    listed_in,
    manifest_list_of,
    manifest_of,
)
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
from otlp2parquet.errors import (
    CatalogError,
    CatalogRefusedError,
    CatalogUnavailableError,
    StorageError,
)

log = logging.getLogger(__name__)

_SYNC_BYTES: Final = 16
_SNAPSHOT_BITS: Final = 63
_AT_ONCE: Final = 6
"""Objects that are asked for at a time: Cloudflare lets a Worker wait for as many answers."""


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
        options: TableOptions,
        now_ms: int,
        attempts: list[Attempt],
    ) -> None:
        self.identifier = identifier
        self.metadata = metadata
        self._client = client
        self._objects = objects
        self._name = name
        self._options = options
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
        is_first = not self._attempts
        await self._clear_attempts(keys, base)
        snapshot, written = await self.write_snapshot(receipts, merges=is_first)
        expiry = Expiry()
        if is_first and not self._options.manages_history:
            expiry = plan_expiry(self.metadata, self._options.keep_snapshots, self._now_ms)
        named = [{"action": "set-properties", "updates": named_properties(committed)}]
        if unnamed := unnamed_properties(committed):
            named.append({"action": "remove-properties", "removals": unnamed})
        attempt = Attempt(base, keys, written)
        self._attempts.append(attempt)
        await self._client.commit(
            self.identifier,
            [assert_uuid(self.metadata), assert_snapshot(self.metadata)],
            [*snapshot_updates(snapshot), *named, *expiry.updates],
        )
        self._attempts.remove(attempt)
        await self._remove_expired(expiry)

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
        self,
        receipts: Sequence[Receipt],
        further: Mapping[str, str] | None = None,
        *,
        merges: bool = False,
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Write what a snapshot with the files of receipts refers to; it, and what was written.

        ``further`` is said in its summary, too. ``merges`` lets small manifests become one.
        """
        facts, parent = self.facts, current_snapshot(self.metadata)
        target = ManifestTarget(facts.schema, facts.spec)
        number = 1 + secrets.randbits(_SNAPSHOT_BITS - 1)
        parent_id = None if parent is None else parent["snapshot-id"]
        sequence_number = int(self.metadata.get("last-sequence-number") or 0) + 1
        listed = None if parent is None else await self._list_of(parent)
        entries: list[Json] = []
        made = []
        if receipts:
            sync = secrets.token_bytes(_SYNC_BYTES)
            made.append(manifest_of(target, receipts, number, sequence_number, sync))
        if merges and parent and listed and self._is_to_be_looked_at(listed):
            with self._told(parent["manifest-list"]):
                entries = list(listed_in(listed))
            listed = None
            if found := await self._merged(target, entries, number, sequence_number):
                manifest, gone = found
                made.append(manifest)
                entries = [one for one in entries if one not in gone]
        folder = facts.properties.get("write.metadata.path") or f"{facts.location}/metadata"
        folder, commit, written = folder.rstrip("/"), uuid4(), []
        for index, manifest in enumerate(made):
            place = f"{folder}/{merging.OURS}{commit}-m{index}.avro"
            await self._create(place, manifest.content)
            written.append(place)
            entries.insert(index, {"manifest_path": place, **manifest.entry})
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

    async def _list_of(self, snapshot: Json) -> AvroFile:
        """The manifest list of a snapshot."""
        place = snapshot.get("manifest-list")
        if not place:
            raise CatalogRefusedError(
                f"the table {self.facts.title} has a snapshot without a manifest list, as format "
                "version 1 allows: expected one of version 2"
            )
        with self._told(place):
            return await self._read(place)

    @contextmanager
    def _told(self, place: str) -> Iterator[None]:
        """What is wrong with a manifest list is for people to mend."""
        try:
            yield
        except AvroError as error:
            raise CatalogRefusedError(f"the manifest list {place} is not read: {error}") from error

    async def _read(self, place: str) -> AvroFile:
        content = await self._objects.read(key_of_uri(place))
        if content is None:
            raise CatalogUnavailableError(f"found nothing at {place}, of which the table speaks")
        return read_file(content)

    # Upkeep ----------------------------------------------------------------------------------

    def _is_to_be_looked_at(self, manifest_list: AvroFile) -> bool:
        """Whether a list is to be taken apart: one of ours has a block for each commit since."""
        least = merging.least_to_merge(self.facts.properties)
        is_ours = manifest_list.schema == LIST_SCHEMA
        return least > 0 and (not is_ours or len(manifest_list.blocks) >= least)

    async def _merged(
        self, target: ManifestTarget, listed: Sequence[Json], number: int, sequence_number: int
    ) -> tuple[Manifest, Sequence[Json]] | None:
        """A manifest in place of small ones, and which those are; None where none is due."""
        chosen = merging.to_be_merged(target, self.facts.properties, listed)
        try:
            found = await self._read_all([one["manifest_path"] for one in chosen])
            pairs = [
                (entry, manifest)
                for entry, manifest in zip(chosen, found, strict=True)
                if merging.is_ours(target, manifest)
            ]
            if len(pairs) < 2:  # noqa: PLR2004 - one alone is as small as before
                return None
            sync = secrets.token_bytes(_SYNC_BYTES)
            made = merging.merged(target, pairs, number, sequence_number, sync)
        except (CatalogError, StorageError, ValueError, KeyError) as error:
            log.warning("small manifests of %s are not merged: %s", self.facts.title, error)
            return None
        return made, [entry for entry, _ in pairs]

    async def _read_all(self, places: Sequence[str]) -> list[AvroFile]:
        found: list[AvroFile] = []
        for start in range(0, len(places), _AT_ONCE):
            found += await asyncio.gather(*map(self._read, places[start : start + _AT_ONCE]))
        return found

    async def _remove_expired(self, expiry: Expiry) -> None:
        """Remove the metadata that only expired snapshots had. Raises nothing.

        The commit is done: what is left over harms nobody.
        """
        if expiry.survivor is None:
            return
        lists = [one["manifest-list"] for one in expiry.expired]
        try:
            survivor, *expired = await self._read_all([expiry.survivor["manifest-list"], *lists])
            here = urlsplit(self.metadata["location"]).netloc
            for place in (*manifests_left_over(expired, survivor), *lists):
                if urlsplit(place).netloc == here:
                    await self._objects.delete(key_of_uri(place))
        except (CatalogError, StorageError, ValueError, KeyError) as error:
            log.warning("metadata of %s is left over: %s", self.facts.title, error)

    # Objects ---------------------------------------------------------------------------------

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
