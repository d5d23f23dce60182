"""From settings, or from the URL that names a storage, to a store.

Knows which settings each kind of storage has, and which store it becomes. Must not know what is
written there. Stores over the network are loaded only where one is configured.
"""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otlp2parquet.config import StorageConfig
from otlp2parquet.durable import make_folder, reason_of, try_folder
from otlp2parquet.errors import ConfigError, StorageError
from otlp2parquet.stores import LocalStore, Store
from otlp2parquet.stores.location import Location, backend_of, is_url, parse_location

if TYPE_CHECKING:
    from otlp2parquet.stores.clients import Access

log = logging.getLogger(__name__)

PROBE: Final = ".otlp2parquet/probe"
"""A name that no object has: who asks for it learns whether the storage answers."""


def open_storage(config: StorageConfig) -> Store:
    """The configured store.

    A local folder is made now, so that no row is taken for a place that cannot be written; of
    others nothing is asked yet. Raises ``ConfigError``.
    """
    if config.backend == "fs":
        return _local(config.fs.path)
    if config.backend == "fsspec":
        return _fsspec(config.fsspec.url, config)
    return _bucket(location_of(config), config)


def open_existing(config: StorageConfig) -> Store:
    """The configured store, to be looked into: a local folder is not made.

    Raises ``ConfigError``, also for a folder that is not there.
    """
    if config.backend != "fs":
        return open_storage(config)
    if not config.fs.path.is_dir():
        raise ConfigError(f"there is no folder {config.fs.path}: expected one with files")
    return LocalStore(config.fs.path)


def location_of(config: StorageConfig) -> Location:
    """Where a configured bucket or container is."""
    if config.backend == "s3":
        s3 = config.s3
        return Location("s3", s3.bucket, s3.prefix.strip("/"), s3.endpoint, s3.region)
    if config.backend == "r2":
        r2 = config.r2
        account = "" if r2.endpoint else r2.account_id
        return Location("r2", r2.bucket, r2.prefix.strip("/"), r2.endpoint, account=account)
    if config.backend == "gcs":
        return Location("gcs", config.gcs.bucket, config.gcs.prefix.strip("/"), config.gcs.endpoint)
    azure = config.azure
    prefix = azure.prefix.strip("/")
    account = azure.account_name
    return Location("azure", azure.container, prefix, azure.endpoint, account=account)


def reach_storage(config: StorageConfig, root: str) -> Store | None:
    """The store of a plan of another time, by its root; None if it cannot be reached now."""
    if not is_url(root):
        path = Path(root)
        if not path.is_dir() or not os.access(path, os.W_OK | os.X_OK):
            return None
        return LocalStore(path)
    try:
        if backend_of(root) == "fsspec":
            # The setting may know a password that the root does not tell.
            ours = _fsspec(config.fsspec.url, config) if config.fsspec.url else None
            store = ours if ours is not None and ours.root == root else _fsspec(root, config)
        else:
            # Its region is no part of its name: that of the settings is as good a guess as any.
            location = parse_location(root)
            region = config.s3.region if location.backend == "s3" else ""
            store = _bucket(replace(location, region=region), config)
    except (ConfigError, ValueError):
        return None
    return None if trouble_of(store) else store


def store_at(config: StorageConfig, root: str) -> Store:
    """The store at another root, with the endpoint and the credentials of the settings.

    Raises ``ConfigError``.
    """
    if not is_url(root):
        return _local(Path(root))
    if backend_of(root) == "fsspec":
        return _fsspec(root, config)
    location = parse_location(root)
    backend = config.backend if location.backend == "s3" and config.backend == "r2" else ""
    if backend or location.backend == config.backend:
        ours = location_of(config)
        location = replace(
            location,
            backend=ours.backend,
            endpoint=ours.endpoint,
            region=ours.region,
            account=location.account or ours.account,
        )
    return _bucket(location, config)


def trouble_of(store: Store) -> str:
    """Why a store does not answer as it should; empty if it does. It asks for one object."""
    try:
        store.open(PROBE).close()
    except FileNotFoundError:
        return ""
    except StorageError as error:
        return str(error)
    return ""


class StorageStatus:
    """What is known of a storage while a server runs: its name, its trouble, what it was asked.

    ``files_stored`` counts what was stored since the start: a storage that takes files is well.
    """

    def __init__(self, store: Store, files_stored: Callable[[], int] = lambda: 0) -> None:
        self.root = store.root
        self._store = store
        self._files_stored = files_stored
        self._trouble = ""
        self._stored_then = 0

    def probe(self) -> None:
        """Ask the storage once; a warning says why it does not answer as it should.

        It keeps nobody from sending: what is acknowledged is kept, and stored later.
        """
        self._stored_then = self._files_stored()
        self._trouble = trouble_of(self._store)
        if self._trouble:
            log.warning(
                "the storage does not answer as it should; telemetry is taken all the same, and "
                "stored when the storage is well again",
                extra={"fields": {"storage": self.root, "error": self._trouble}},
            )

    @property
    def trouble(self) -> str:
        """Why the storage did not answer at the start; empty if it did, or has since."""
        return self._trouble if self._files_stored() == self._stored_then else ""

    @property
    def requests(self) -> Mapping[str, int]:
        """Requests by kind; none of a local folder."""
        counted = getattr(self._store, "requests", None)
        return {} if counted is None else dict(counted)


def check_folder(path: Path) -> None:
    """Raise ``ConfigError`` if it is no folder for files and cannot become one; changes nothing."""
    try:
        try_folder(path)
    except OSError as error:
        if path.is_dir():
            raise ConfigError(
                f"the folder {path} cannot be written, expected one that can (storage.fs.path)"
            ) from error
        raise _cannot_make(path, error) from error


def _cannot_make(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"cannot make the folder {path}: {reason_of(error)}, expected a folder that can be "
        "written (storage.fs.path)"
    )


def _local(path: Path) -> Store:
    check_folder(path)
    try:
        make_folder(path)
    except OSError as error:
        raise _cannot_make(path, error) from error
    return LocalStore(path)


def _fsspec(url: str, config: StorageConfig) -> Store:
    from otlp2parquet.stores.fsspec import FsspecStore  # noqa: PLC0415 - an extra

    return FsspecStore(url, config.timeout_secs)


def _bucket(location: Location, config: StorageConfig) -> Store:
    from otlp2parquet.stores.clients import Access, open_store  # noqa: PLC0415 - of 20 MB

    access = Access(timeout_secs=config.timeout_secs, ca_file=config.ca_file)
    return open_store(location, _keys(location.backend, access, config))


def _keys(backend: str, access: "Access", config: StorageConfig) -> "Access":
    """What the settings say of credentials."""
    if backend == "s3":
        return replace(access, path_style=config.s3.path_style)
    if backend == "r2":
        key_id, secret = config.r2.access_key_id, config.r2.secret_access_key
        return replace(access, key_id=key_id, secret=secret)
    if backend == "gcs":
        return replace(access, secret=config.gcs.service_account_key)
    return replace(access, secret=config.azure.account_key)
