"""From settings to a catalog: which family it is, and what all families share.

Knows the settings and pyiceberg's properties. Must not know tables. A family is one module; it is
loaded only where it is configured, and so is pyiceberg.
"""

import importlib
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from otlp2parquet.config import Config
from otlp2parquet.errors import ConfigError

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

log = logging.getLogger(__name__)

NAME: Final = "otlp2parquet"
"""What pyiceberg calls the catalog; an ``sql`` catalog keeps its tables under it."""

EXTRA: Final = "pip install 'otlp2parquet[iceberg]'"


@dataclass(frozen=True, slots=True)
class Connection:
    """How one catalog is reached."""

    place: str
    """What names it in messages and beside the log: no secret is in it."""
    properties: Mapping[str, str]
    make: Callable[..., "Catalog"]
    """Called with the name and the properties."""
    manages_history: bool = False
    stages_tables: bool = True
    notes: tuple[str, ...] = field(default=())
    """What is worth a line in the log at the start."""


def connection_of(config: Config) -> Connection:
    """How the configured catalog is reached. Nothing is asked of it yet.

    Raises ``ConfigError`` where the packages for it are not installed.
    """
    try:
        family = importlib.import_module(f"otlp2parquet.catalogs.{config.catalog_type}")
    except ImportError as error:
        raise ConfigError(
            f"a catalog of the kind {config.catalog_type} needs packages that are not installed "
            f"({error.name or error}): expected what {EXTRA} installs (catalog.type)"
        ) from error
    made: Connection = family.connection(config)
    return made


def properties_of(config: Config, own: Mapping[str, str]) -> dict[str, str]:
    """All properties for pyiceberg: of files, of the catalog itself, then what the settings add."""
    given = {**file_properties(config), **own, **config.iceberg.further_properties}
    return {name: value for name, value in given.items() if value}


def file_properties(config: Config) -> dict[str, str]:
    """How pyiceberg reaches the storage, for metadata; credentials as its own tools find them.

    Where the catalog hands out credentials for a table, they precede: of S3 and R2.
    """
    storage = config.storage
    if storage.backend == "s3":
        s3 = storage.s3
        timeout = str(storage.timeout_secs)
        return {
            "s3.endpoint": s3.endpoint or aws_endpoint("S3"),
            "s3.region": s3.region or os.environ.get("AWS_REGION", "us-east-1"),
            "s3.force-virtual-addressing": "" if s3.path_style else "true",
            "s3.connect-timeout": timeout,
            "s3.request-timeout": timeout,
        }
    if storage.backend == "r2":
        r2 = storage.r2
        return {
            "s3.endpoint": r2.endpoint or f"https://{r2.account_id}.r2.cloudflarestorage.com",
            "s3.region": "auto",
            "s3.access-key-id": r2.access_key_id,
            "s3.secret-access-key": r2.secret_access_key,
        }
    if storage.backend in ("gcs", "azure"):
        # pyiceberg's own ways want another package, or know no account's key.
        from otlp2parquet.catalogs.file_io import properties_for  # noqa: PLC0415 - pyiceberg

        return properties_for(storage)
    return {}


def aws_endpoint(service: str) -> str:
    """The endpoint of a service of AWS that the environment names, if it does."""
    own = os.environ.get(f"AWS_ENDPOINT_URL_{service}", "")
    return own or os.environ.get("AWS_ENDPOINT_URL", "")


def storage_uri(config: Config, path: str) -> str:
    """The URI of a folder in the storage, where a catalog has no place of its own for tables."""
    from otlp2parquet.storage import location_of  # noqa: PLC0415 - only where it is needed
    from otlp2parquet.stores.location import object_uri  # noqa: PLC0415

    if config.storage.backend == "fs":
        return object_uri(str(config.storage.fs.path.absolute()), path)
    if config.storage.backend == "fsspec":
        return object_uri(config.storage.fsspec.url, path)
    return object_uri(location_of(config.storage).url, path)


def connect(connection: Connection) -> "Catalog":
    """Reach the catalog: some ask it for its configuration here."""
    made: Any = connection.make(NAME, **connection.properties)
    catalog: Catalog = made
    return catalog
