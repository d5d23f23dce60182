"""The stores that keep what every store promises: see ``test_contract``.

Some need a server, which is started when the first test asks for it and ends with the session.
Those that take long to get or to start are tried with ``--stores`` (``make stores``) only.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

import obstore.store
import pytest

from otlp2parquet.stores import LocalStore
from otlp2parquet.stores.clients import Access, open_store
from otlp2parquet.stores.fsspec import FsspecStore
from otlp2parquet.stores.location import Location
from otlp2parquet.stores.obstore import ObstoreStore
from tests.components.azurite import ACCOUNT, ACCOUNT_KEY, CONTAINER, Azurite
from tests.components.gcs import FakeGcs
from tests.components.s3 import BUCKET, CREDENTIALS, KEY_ID, SECRET, Minio, Versitygw
from tests.support.stores import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from otlp2parquet.stores import Store
    from tests.components.process import RunningProcess


Server = TypeVar("Server", bound="RunningProcess")


class Servers:
    """Each server that was asked for, until the session ends."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._running: dict[str, RunningProcess] = {}

    def get(self, name: str, start: Callable[[Path], Server]) -> Server:
        """The server of this name, started if it is not running."""
        if name not in self._running:
            folder = self._folder / name
            folder.mkdir()
            self._running[name] = self._stack.enter_context(start(folder))
        return self._running[name]  # type: ignore[return-value]


def local(tmp_path: Path, _: Servers) -> Store:
    """A folder that is not there yet."""
    return LocalStore(tmp_path / "root")


def memory(_: Path, __: Servers) -> Store:
    """The double that other tests use."""
    return MemoryStore()


def obstore_memory(_: Path, __: Servers) -> Store:
    """The store for buckets, over a bucket that obstore keeps in memory."""
    client = obstore.store.MemoryStore()
    return ObstoreStore(client, client, "memory:///")


def fsspec_memory(_: Path, __: Servers) -> Store:
    """The one memory that fsspec has, in a part of its own."""
    return FsspecStore(f"memory://{uuid4().hex}")


def fsspec_local(tmp_path: Path, _: Servers) -> Store:
    """A file system that moves files: it stands for sftp, smb, hdfs and the like."""
    return FsspecStore(f"file://{tmp_path}/root", auto_mkdir=True)


def s3_versitygw(_: Path, servers: Servers) -> Store:
    """A real S3 server, which checks signatures."""
    endpoint = servers.get("versitygw", Versitygw).endpoint
    return open_store(Location("s3", BUCKET, uuid4().hex, endpoint))


def s3_minio(_: Path, servers: Servers) -> Store:
    """A second S3 server."""
    endpoint = servers.get("minio", Minio).endpoint
    return open_store(Location("s3", BUCKET, uuid4().hex, endpoint))


def r2_form(_: Path, servers: Servers) -> Store:
    """R2 as it is configured, keys and region of its own, at an S3 server."""
    server = servers.get("r2", lambda folder: Versitygw(folder, region="auto"))
    location = Location("r2", BUCKET, uuid4().hex, server.endpoint)
    return open_store(location, Access(key_id=KEY_ID, secret=SECRET))


def azure_azurite(_: Path, servers: Servers) -> Store:
    """Microsoft's own emulator of Azure Blob Storage."""
    endpoint = servers.get("azurite", Azurite).endpoint
    location = Location("azure", CONTAINER, uuid4().hex, endpoint, account=ACCOUNT)
    return open_store(location, Access(secret=ACCOUNT_KEY))


def gcs_fake(_: Path, servers: Servers) -> Store:
    """An emulator of Google Cloud Storage, with its XML interface before it."""
    endpoint = servers.get("gcs", FakeGcs).endpoint
    return open_store(Location("gcs", BUCKET, uuid4().hex, endpoint))


def fsspec_s3fs(_: Path, servers: Servers) -> Store:
    """S3 by the second way."""
    return FsspecStore(
        f"s3://{BUCKET}/{uuid4().hex}",
        key=KEY_ID,
        secret=SECRET,
        endpoint_url=servers.get("versitygw", Versitygw).endpoint,
    )


EMPTY_STORES: dict[str, Callable[[Path, Servers], Store]] = {
    "local": local,
    "memory": memory,
    "obstore-memory": obstore_memory,
    "fsspec-memory": fsspec_memory,
    "fsspec-local": fsspec_local,
    "fsspec-s3fs": fsspec_s3fs,
    "s3-versitygw": s3_versitygw,
    "r2-form": r2_form,
    "s3-minio": s3_minio,
    "azure-azurite": azure_azurite,
    "gcs-fake": gcs_fake,
}
"""How to make each store, empty. A further store is tested by being added here."""

SLOW_TO_GET = frozenset({"s3-minio", "azure-azurite", "gcs-fake"})


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers of storages, and their credentials in the environment."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        yield Servers(tmp_path_factory.mktemp("servers"), stack)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for a store is a test of each kind."""
    if "store" in metafunc.fixturenames:
        without = set() if metafunc.config.getoption("--stores") else SLOW_TO_GET
        metafunc.parametrize("store", sorted(set(EMPTY_STORES) - without), indirect=True)


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path, servers: Servers) -> Store:
    """An empty store of each kind in turn."""
    return EMPTY_STORES[request.param](tmp_path, servers)
