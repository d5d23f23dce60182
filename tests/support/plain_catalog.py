"""What the plain client of a catalog is given in tests: HTTP by the standard library, and a disk.

``FileObjects`` has a file system for a bucket: the key of ``file:///a/b`` is ``a/b``, so that
pyiceberg reads the same tables. A process that ``dies`` does so at any call to the world outside.
"""

from __future__ import annotations

import asyncio
import json
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from otlp2parquet.catalogs.iceberg import IcebergCatalog
from otlp2parquet.catalogs.plain import (
    Commits,
    ObjectReceipts,
    PlainCatalog,
    RestClient,
    RestOptions,
    TableOptions,
)
from otlp2parquet.catalogs.plain.commits import shared_node_of
from otlp2parquet.catalogs.rest import LimitedRestCatalog
from tests.support.memory_store import KilledError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Mapping

    from tests.support.rest_catalog import RestCatalogServer


BUCKET = "bucket"
"""The folder that is the bucket of receipts, where none is named."""


class Life:
    """How long a process lives, and whether it waits for others between its calls.

    ``calls`` is how many changes of the world it outlives; an odd end is before a change, an even
    one right behind it. Without it, it lives on.
    """

    def __init__(self, ends_at: int | None = None, rng: random.Random | None = None) -> None:
        self.ends_at = ends_at
        self.moments = 0
        self._rng = rng

    async def moment(self) -> None:
        """Something may happen between two things that this process does."""
        self.moments += 1
        if self.ends_at is not None and self.moments >= self.ends_at:
            raise KilledError
        if self._rng is not None:
            for _ in range(self._rng.randrange(4)):
                await asyncio.sleep(0)


class FileObjects:
    """A bucket on this machine's disk."""

    def __init__(self, life: Life | None = None) -> None:
        self._life = Life() if life is None else life

    async def create(self, key: str, content: bytes) -> bool:
        """See ``Objects.create``."""
        await self._life.moment()
        is_made = _create(Path("/", key), content)
        await self._life.moment()
        return is_made

    async def read(self, key: str) -> bytes | None:
        """See ``Objects.read``."""
        await self._life.moment()
        return _read(Path("/", key))

    async def list(self, prefix: str) -> Iterable[str]:
        """See ``Objects.list``."""
        await self._life.moment()
        return _files_below(Path("/", prefix))

    async def delete(self, key: str) -> None:
        """See ``Objects.delete``."""
        await self._life.moment()
        _delete(Path("/", key))
        await self._life.moment()


def _create(path: Path, content: bytes) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        return False
    return True


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _files_below(folder: Path) -> list[str]:
    return [str(path)[1:] for path in sorted(folder.rglob("*")) if path.is_file()]


def _delete(path: Path) -> None:
    path.unlink(missing_ok=True)


async def fetch(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None
) -> tuple[int, bytes]:
    """See ``Fetch``."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=60)
    try:
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request(method, target, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read()
    except HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


def fetch_within(
    server: RestCatalogServer,
    life: Life | None = None,
    fault: Callable[[str, str], int] = lambda _method, _path: 0,
) -> Callable[..., object]:
    """``Fetch`` of a catalog in this process.

    ``fault`` gives the status that stands for the right answer: negative where the request has no
    effect, positive where it has one; 0 for the right answer itself.
    """
    life = Life() if life is None else life

    async def ask(
        method: str,
        url: str,
        _headers: Mapping[str, str],
        body: bytes | None,
    ) -> tuple[int, bytes]:
        await life.moment()
        path = unquote(urlsplit(url).path)
        wrong = fault(method, path)
        if wrong < 0:
            return -wrong, b"{}"
        status, answer = server.ask(method, path, json.loads(body or b"{}"))
        await life.moment()
        return (wrong, b"{}") if wrong else (status, json.dumps(answer).encode())

    return ask


def plain_catalog(
    server: RestCatalogServer,
    ask: object = fetch,
    life: Life | None = None,
    rest: dict[str, object] | None = None,
    **options: object,
) -> PlainCatalog:
    """The plain client of a catalog at a server."""
    uri = f"{server.uri}/iceberg" if server.nessie else server.uri
    client = RestClient(RestOptions(uri, **(rest or {})), ask)  # type: ignore[arg-type]
    return PlainCatalog(client, FileObjects(life), TableOptions(**options))  # type: ignore[arg-type]


def plain_commits(
    server: RestCatalogServer,
    ask: object = fetch,
    life: Life | None = None,
    bucket: str = BUCKET,
    keep_snapshots: int = 100,
    **options: object,
) -> Commits:
    """The commits of one request or schedule; receipts lie beside the catalog's tables."""
    catalog = plain_catalog(server, ask, life, keep_snapshots=keep_snapshots)
    receipts = ObjectReceipts(FileObjects(life), str(server.folder / bucket))
    named = {"node": shared_node_of(bucket), **options}
    return Commits(catalog, receipts, **named)  # type: ignore[arg-type]


def full_client(server: RestCatalogServer, **options: object) -> IcebergCatalog:
    """The server's client of the same catalog, which is pyiceberg's."""
    uri = f"{server.uri}/iceberg" if server.nessie else server.uri
    connect = partial(LimitedRestCatalog, "test", uri=uri)
    return IcebergCatalog(connect, TableOptions(**options))  # type: ignore[arg-type]
