"""The ``sql`` family: a catalog in a database, SQLite by default; it needs no server.

Knows the settings of a database and where tables lie when nobody says so.
"""

from contextlib import suppress
from pathlib import Path

from pyiceberg.catalog.sql import SqlCatalog, SqlCatalogBaseTable
from sqlalchemy.exc import SQLAlchemyError

from otlp2parquet.catalogs.connection import Connection, properties_of, storage_uri
from otlp2parquet.config import Config
from otlp2parquet.stores.location import is_url, object_uri


def connection(config: Config) -> Connection:
    """See ``connection_of``."""
    near = config.storage.fs.path if config.storage.backend == "fs" else Path()
    uri = config.catalog.uri or f"sqlite:///{near.absolute() / 'catalog.db'}"
    warehouse = config.catalog.warehouse or config.iceberg.warehouse
    if not warehouse:
        place = storage_uri(config, "warehouse")
    elif is_url(warehouse):
        place = warehouse
    else:
        folder = Path(warehouse).absolute()
        place = object_uri(str(folder.parent), folder.name)
    properties = properties_of(config, {"uri": uri, "warehouse": place, "pool_pre_ping": "true"})
    return Connection(f"sql {without_password(uri)}", properties, open_catalog)


def open_catalog(name: str, **properties: str) -> SqlCatalog:
    """The catalog; its own tables are made in a new database.

    pyiceberg looks for them and then makes them, one after another: where several processes come
    first at once, each table is made by one of them, and the others are told that it is there.
    """
    for _ in SqlCatalogBaseTable.metadata.tables:
        with suppress(SQLAlchemyError):
            return SqlCatalog(name, **properties)
    return SqlCatalog(name, **properties)


def without_password(uri: str) -> str:
    """A database's URL as it may be printed."""
    scheme, sign, rest = uri.partition("://")
    account, at, place = rest.rpartition("@")
    return f"{scheme}{sign}{account.partition(':')[0]}{at}{place.partition('?')[0]}"
