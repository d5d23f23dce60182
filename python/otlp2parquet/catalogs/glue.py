"""The ``glue`` family: AWS Glue's Data Catalog by its own API.

Knows Glue's properties. (Glue's REST endpoint is reached by ``rest`` with SigV4 in
``iceberg.properties``.)
"""

import os
from typing import Any, Final

from pyiceberg.catalog.glue import GlueCatalog

from otlp2parquet.catalogs.connection import (
    Connection,
    aws_endpoint,
    properties_of,
    storage_uri,
)
from otlp2parquet.config import Config

_RETRIES: Final = "glue.max-retries"


def connection(config: Config) -> Connection:
    """See ``connection_of``."""
    endpoint = config.iceberg.endpoint or aws_endpoint("GLUE")
    region = config.storage.s3.region or os.environ.get("AWS_REGION", "us-east-1")
    warehouse = config.catalog.warehouse or config.iceberg.warehouse
    own = {
        "glue.endpoint": endpoint,
        "glue.region": region,
        "client.region": region,
        # An archive of every version of a table would grow with each commit.
        "glue.skip-archive": "true",
        # The attempts are ours: botocore's would repeat a commit without looking.
        _RETRIES: "0",
        "warehouse": warehouse or storage_uri(config, "warehouse"),
    }
    place = f"glue {endpoint or region}"
    return Connection(place, properties_of(config, own), _make)


def _make(name: str, **properties: str) -> GlueCatalog:
    # pyiceberg hands the number to botocore as it is, which takes no text for one.
    given: dict[str, Any] = {**properties, _RETRIES: int(properties[_RETRIES])}
    return GlueCatalog(name, **given)
