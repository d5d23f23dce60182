"""The commit in plain Python at a real Nessie over a real S3 server, in turn with pyiceberg's."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from obstore.exceptions import AlreadyExistsError
from obstore.exceptions import NotFoundError as ObjectNotFoundError

from otlp2parquet.catalogs.iceberg import IcebergCatalog
from otlp2parquet.catalogs.loading import TableOptions
from otlp2parquet.catalogs.nessie import iceberg_uri
from otlp2parquet.catalogs.plain import (
    Commits,
    ObjectReceipts,
    PlainCatalog,
    RestClient,
    RestOptions,
    key_of_uri,
    shared_node_of,
)
from otlp2parquet.catalogs.rest import LimitedRestCatalog
from tests.components.nessie import Nessie
from tests.components.s3 import BUCKET, KEY_ID, REGION, SECRET, Versitygw, s3_client
from tests.support.iceberg import commit, logs_receipt, traces_receipt
from tests.support.plain_catalog import fetch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from obstore.store import S3Store

    from otlp2parquet.catalogs.plain import Receipt


class S3Objects:
    """A real bucket."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    async def create(self, key: str, content: bytes) -> bool:
        """See ``Objects.create``."""
        try:
            await self._store.put_async(key, content, mode="create")
        except AlreadyExistsError:
            return False
        return True

    async def read(self, key: str) -> bytes | None:
        """See ``Objects.read``."""
        try:
            answer = await self._store.get_async(key)
        except (FileNotFoundError, ObjectNotFoundError):
            return None
        return bytes(await answer.bytes_async())

    async def list(self, prefix: str) -> Iterable[str]:
        """See ``Objects.list``."""
        return [one["path"] async for some in self._store.list(prefix) for one in some]

    async def delete(self, key: str) -> None:
        """See ``Objects.delete``."""
        await self._store.delete_async(key)


@pytest.fixture(scope="module")
def place(catalog_folders: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The addresses of the catalog and of S3."""
    folder = catalog_folders.mktemp("plain")
    with Versitygw(folder) as s3, Nessie(folder, s3.endpoint) as nessie:
        yield iceberg_uri(nessie.uri), s3.endpoint


def content_of(uri: str) -> bytes:
    """The bytes of a file on this machine."""
    return Path(uri.removeprefix("file://")).read_bytes()


async def upload(objects: S3Objects, receipt: Receipt, location: str) -> Receipt:
    """The receipt of files that lie below a table."""
    files = []
    for file in receipt.files:
        there = f"{location}/{receipt.batch_id}.parquet"
        assert await objects.create(key_of_uri(there), content_of(file.location))
        files.append(replace(file, location=there))
    return replace(receipt, files=tuple(files))


def test_both_clients_commit_to_nessie(tmp_path: Path, place: tuple[str, str]) -> None:
    """Tables are made in plain Python, with the ids that Nessie gives; then both commit in turn."""
    uri, endpoint = place
    objects = S3Objects(s3_client(endpoint))
    options = TableOptions(namespace=("edge",), manages_history=True)
    client = RestClient(RestOptions(uri), fetch)
    connect = partial(
        LimitedRestCatalog,
        "test",
        **{
            "uri": uri,
            "s3.access-key-id": KEY_ID,
            "s3.secret-access-key": SECRET,
            "s3.region": REGION,
            "s3.endpoint": endpoint,
        },
    )
    full = IcebergCatalog(connect, options)
    makers = {"otel_logs": logs_receipt, "otel_traces": traces_receipt}

    async def plainly(table: str, count: int) -> None:
        commits = Commits(
            PlainCatalog(client, objects, options, bucket=BUCKET),
            ObjectReceipts(objects, "edge"),
            node=shared_node_of(f"{BUCKET}/edge"),
        )
        shape = await commits.shape(table)
        stored = makers[table](tmp_path / f"{table}{count}", count, shape.field_ids)
        stored = await upload(objects, stored, shape.location)
        receipt = commits.receipt(stored.batch_id, table, stored.files, shape)
        await commits.keep([receipt])
        assert await commits.commit(60.0), commits.status()
        assert not await objects.list("edge/")

    async def fully(table: str, count: int) -> None:
        shape = full.load(table).shape
        stored = makers[table](tmp_path / f"{table}{count}", count, shape.field_ids)
        commit(full, await upload(objects, stored, shape.location))

    for table in makers:
        for count in range(1, 7):
            asyncio.run((plainly if count % 2 else fully)(table, count))
        loaded = full.load(table).table
        rows = loaded.scan().to_arrow()
        assert rows.num_rows == 21
        assert len(list(loaded.scan().plan_files())) == 6
        if table == "otel_traces":
            assert any(rows.column("EventsName").to_pylist())
