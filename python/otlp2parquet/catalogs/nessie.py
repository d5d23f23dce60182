"""The ``nessie`` family: a REST catalog whose address people know as that of Nessie's own API.

Knows Nessie's paths. It keeps the history of tables itself, on branches: nothing is expired here.
"""

from urllib.parse import urlsplit, urlunsplit

from otlp2parquet.catalogs.connection import Connection
from otlp2parquet.catalogs.rest import LimitedRestCatalog, rest_properties
from otlp2parquet.config import Config
from otlp2parquet.config.catalog_settings import NESSIE_APIS


def connection(config: Config) -> Connection:
    """See ``connection_of``."""
    given = config.iceberg.rest_uri
    uri = iceberg_uri(given)
    notes: tuple[str, ...] = ()
    if uri != given.rstrip("/"):
        notes = (f"{given} is Nessie's own API; its Iceberg REST catalog is used, {uri}",)
    properties = rest_properties(config, uri)
    return Connection(
        f"nessie {uri}", properties, LimitedRestCatalog, manages_history=True, notes=notes
    )


def iceberg_uri(given: str) -> str:
    """The address of Nessie's Iceberg REST catalog, from that or from the one of its own API."""
    parts = urlsplit(given.rstrip("/"))
    path = parts.path
    for api in NESSIE_APIS:
        path = path.removesuffix(api)
    if path == parts.path and "/iceberg" in path:
        return given.rstrip("/")
    return urlunsplit((parts.scheme, parts.netloc, f"{path.rstrip('/')}/iceberg", "", ""))
