"""The rows of a request become files of Iceberg tables: stored, noted by receipts, then committed.

Knows the commit in plain Python (``catalogs.plain``) and how it is bounded where memory may vanish
at any moment. Loaded only where a catalog is configured. Must not know the runtime: how a request
is sent to the catalog is given.

A request is safe when its receipts are in the bucket; only then it is answered. The commit comes
behind the answer, and whatever is cut off is finished by the schedule. All Workers of one
bucket and folder are one node.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from otlp2parquet.catalogs.plain import (
    Commits,
    DataFile,
    Fetch,
    ObjectReceipts,
    PlainCatalog,
    Receipt,
    RestClient,
    RestOptions,
    TableOptions,
    TableShape,
    key_of_uri,
)
from otlp2parquet.catalogs.plain.commits import shared_node_of
from otlp2parquet.catalogs.receipts import key_of, node_of
from otlp2parquet.catalogs.reconciled import Report
from otlp2parquet.core.files import PlannedFile
from otlp2parquet.core.layout import CATALOG_LAYOUT
from otlp2parquet.errors import (
    CatalogError,
    NameTakenError,
    StorageError,
    StorageUnavailableError,
)
from otlp2parquet.platforms.cloudflare_worker.bucket import Bucket
from otlp2parquet.platforms.cloudflare_worker.settings import CatalogSettings
from otlp2parquet.platforms.cloudflare_worker.storing import Batches, Place, StoredFile, store

log = logging.getLogger(__name__)

SHAPE_SECS: Final = 3.0
"""How long a request waits to learn where its tables lie. Clients give up after ten seconds."""
RESTS_SECS: Final = 30.0
"""How long the catalog is not asked for that again where it did not say."""
RECEIPT_SECS: Final = 3.0
COMMIT_SECS: Final = 8.0
"""Behind the answer, where Cloudflare leaves a Worker 30 seconds."""
RECONCILE_SECS: Final = 25.0
REQUEST_SECS: Final = 5.0
"""The longest that one request to the catalog may take."""
COMMITS_AT_ONCE: Final = 4
"""Of one Worker's memory. More would be in each other's way; their receipts are left to the cron
trigger."""
LOST_SECS: Final = 60.0
"""A commit that began so long ago has vanished without an end: what is behind an answer may."""
MOST_RECEIPTS: Final = 300
"""That one run of the schedule takes. Each is read and removed, and Cloudflare counts what a Worker
asks of R2 in one run (1,000)."""


class WorkerCatalog:
    """The catalog of a Worker, for as long as its memory lives.

    Requests share what was learned, and nothing that one of them waits for.
    """

    def __init__(
        self,
        settings: CatalogSettings,
        prefix: str,
        fetch: Fetch,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        time_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._prefix = prefix
        # The bucket's URI and not its binding: that may have the same name in two Workers.
        self._node = shared_node_of(f"s3://{settings.bucket}/{prefix}")
        self._monotonic = monotonic
        self._time_ms = time_ms
        self._sleep = sleep
        options = RestOptions(
            settings.uri, settings.warehouse, settings.token, timeout_secs=REQUEST_SECS
        )
        self._client = RestClient(options, fetch)
        self._shapes: dict[str, TableShape] = {}
        self._asks_from = 0.0
        """When the catalog is asked again where a table lies."""
        self._running: dict[object, float] = {}
        """When each commit began."""

    def is_to_learn(self, tables: Iterable[str]) -> bool:
        """Whether the catalog is to be asked where tables lie, by ``learn``."""
        unknown = any(table not in self._shapes for table in tables)
        return unknown and self._monotonic() >= self._asks_from

    async def store(
        self, batches: list[Batches], batch_id: str, bucket: Bucket
    ) -> tuple[list[StoredFile], Commits]:
        """Store the rows of a request and the receipts for them; the files, and what commits them.

        Where tables lie that are not known by now is not asked any more. Empties ``batches``, and
        raises as ``storing.store``. Where the receipts cannot be kept, files stay: their receipts
        may be there all the same, and a table must not have files that are gone.
        """
        commits = self._commits(bucket)
        shapes = dict(self._shapes)

        def place_of(file: PlannedFile) -> Place:
            name = file.name(batch_id)
            if (shape := shapes.get(file.table)) is None:
                return Place(f"{self._prefix}/{name}".lstrip("/"))
            # The layout's first part stands for the table's own folder.
            below = name.partition("/")[2]
            return Place(f"{key_of_uri(shape.location)}/{below}", shape.field_ids)

        stored = await store(batches, batch_id, bucket, CATALOG_LAYOUT, place_of)
        by_table: dict[str, list[DataFile]] = {}
        for planned, place, encoded in stored:
            location = f"s3://{self._settings.bucket}/{place.path}"
            if (shape := shapes.get(planned.table)) is not None:
                location = shape.location + place.path.removeprefix(key_of_uri(shape.location))
            hour = int(planned.hour.timestamp())
            file = DataFile(location, encoded.rows, encoded.bytes, hour, encoded.columns)
            by_table.setdefault(planned.table, []).append(file)
        receipts = [
            commits.receipt(batch_id, table, files, shapes.get(table))
            for table, files in by_table.items()
        ]
        await self._keep(receipts, commits, bucket)
        return stored, commits

    async def commit(self, commits: Commits) -> None:
        """Commit what a request has stored, in bounded time; raises nothing."""
        now, this = self._monotonic(), object()
        self._running = {
            one: began for one, began in self._running.items() if now - began < LOST_SECS
        }
        if len(self._running) >= COMMITS_AT_ONCE:
            log.debug("receipts are left to the cron trigger: enough is being committed")
            return
        self._running[this] = now
        try:
            if not await commits.commit(COMMIT_SECS):
                status = commits.status()
                fields = {"receipts": status.receipts, "error": status.error}
                log.warning(
                    "files wait to become part of their tables; they are stored, and the cron "
                    "trigger commits them",
                    extra={"fields": fields},
                )
        except Exception:
            log.exception("a commit failed for an unforeseen reason, the cron trigger does it")
        finally:
            self._running.pop(this, None)

    async def reconcile(self, bucket: Bucket) -> Report:
        """Commit the receipts that were left, the oldest first; what was done."""
        return await self._commits(bucket).reconcile(RECONCILE_SECS)

    def _commits(self, bucket: Bucket) -> Commits:
        objects = BucketObjects(bucket)
        catalog = PlainCatalog(
            self._client,
            objects,
            TableOptions(namespace=self._settings.namespace, partition=self._settings.partition),
            bucket=self._settings.bucket,
            shapes=self._shapes,
            time_ms=self._time_ms,
        )
        receipts = OldestReceipts(objects, self._prefix, self._node)
        return Commits(
            catalog,
            receipts,
            node=self._node,
            monotonic=self._monotonic,
            time_ms=self._time_ms,
            sleep=self._sleep,
        )

    async def learn(self, tables: Iterable[str], bucket: Bucket) -> None:
        """Ask where the tables lie of which that is not known. Raises nothing of the catalog's."""
        if not self.is_to_learn(tables):
            return
        commits = self._commits(bucket)
        unknown = [table for table in sorted(tables) if table not in self._shapes]
        try:
            async with asyncio.timeout(SHAPE_SECS):
                asked = await asyncio.gather(*map(commits.shape, unknown), return_exceptions=True)
            for answer in asked:
                if isinstance(answer, BaseException):
                    raise answer
        except (CatalogError, StorageError, TimeoutError) as error:
            self._asks_from = self._monotonic() + RESTS_SECS
            log.warning(
                "the catalog does not say where tables lie; files go to where they would without "
                "one, and are committed from there",
                extra={"fields": {"error": str(error) or f"no answer within {SHAPE_SECS:g} s"}},
            )

    async def _keep(self, receipts: Sequence[Receipt], commits: Commits, bucket: Bucket) -> None:
        try:
            async with asyncio.timeout(RECEIPT_SECS):
                await commits.keep(receipts)
        except (StorageError, TimeoutError) as error:
            # Whoever is refused sends the rows again: as few of these as possible are to count.
            paths = [f"{self._prefix}/{receipt.path}".lstrip("/") for receipt in receipts]
            try:
                async with asyncio.timeout(RECEIPT_SECS):
                    await bucket.delete(paths)
            except (StorageError, TimeoutError):
                log.warning("receipts of a refused request may be left, its rows are then twice")
            message = "R2 did not take the receipt of the files, send the request again"
            raise StorageUnavailableError(message) from error


class BucketObjects:
    """The bucket of the binding, as the plain commit wants it."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def create(self, key: str, content: bytes) -> bool:
        """See ``Objects.create``."""
        kind = "application/json" if key.endswith(".json") else "application/octet-stream"
        try:
            await self._bucket.create(key, content, kind)
        except NameTakenError:
            return False
        return True

    async def read(self, key: str) -> bytes | None:
        """See ``Objects.read``."""
        return await self._bucket.read(key)

    async def list(self, prefix: str) -> Iterable[str]:
        """See ``Objects.list``."""
        return await self._bucket.list(prefix)

    async def delete(self, key: str) -> None:
        """See ``Objects.delete``."""
        await self._bucket.delete([key])


class OldestReceipts(ObjectReceipts):
    """The receipts, of which the oldest come first where all are asked for, and not too many.

    Those of ``own``, the node of the Workers, come before others.
    """

    def __init__(self, objects: BucketObjects, prefix: str, own: str) -> None:
        super().__init__(objects, prefix)
        self._own = own

    async def list(self, node: str = "", table: str = "") -> Iterable[str]:
        """See ``Receipts.list``."""
        paths = await super().list(node, table)
        if node:
            return paths
        # Those of the Workers first: no others may keep them waiting.
        paths = sorted(paths, key=lambda path: (node_of(path) != self._own, key_of(path)))
        return paths[:MOST_RECEIPTS]
