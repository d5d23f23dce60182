"""The ``r2`` family: Cloudflare's R2 Data Catalog, a REST catalog with a token.

Knows how its address and warehouse follow from account and bucket.
"""

from otlp2parquet.catalogs.connection import Connection
from otlp2parquet.catalogs.rest import LimitedRestCatalog, rest_properties
from otlp2parquet.config import Config


def connection(config: Config) -> Connection:
    """See ``connection_of``."""
    r2, iceberg = config.storage.r2, config.iceberg
    uri = iceberg.rest_uri or (f"https://catalog.cloudflarestorage.com/{r2.account_id}/{r2.bucket}")
    warehouse = iceberg.warehouse or f"{r2.account_id}_{r2.bucket}"
    properties = rest_properties(config, uri, {"warehouse": warehouse})
    return Connection(f"r2 {uri}", properties, LimitedRestCatalog)
