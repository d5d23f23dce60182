"""The ``s3tables`` family: an S3 Tables bucket, from its ARN alone.

Knows ARNs and the service's REST endpoint. The service expires snapshots and removes files itself,
and makes no table together with its first snapshot.
"""

from otlp2parquet.catalogs.connection import Connection, aws_endpoint
from otlp2parquet.catalogs.rest import LimitedRestCatalog, rest_properties
from otlp2parquet.config import Config


def connection(config: Config) -> Connection:
    """See ``connection_of``."""
    arn = config.iceberg.bucket_arn
    region = arn.split(":")[3]
    given = config.iceberg.endpoint or aws_endpoint("S3TABLES")
    endpoint = given.rstrip("/") or f"https://s3tables.{region}.amazonaws.com"
    own = {
        "warehouse": arn,
        "rest.sigv4-enabled": "true",
        "rest.signing-name": "s3tables",
        "rest.signing-region": region,
        "s3.region": region,
    }
    uri = endpoint if endpoint.endswith("/iceberg") else f"{endpoint}/iceberg"
    return Connection(
        f"s3tables {arn}",
        rest_properties(config, uri, own),
        LimitedRestCatalog,
        manages_history=True,
        stages_tables=False,
    )
