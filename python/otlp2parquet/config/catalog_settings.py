"""The settings of catalogs: which one, how it is reached, and what its tables are called.

Knows keys, types and defaults, as ``settings`` does for all others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from otlp2parquet.config import values
from otlp2parquet.config.row import setting
from otlp2parquet.stores.location import check_endpoint

CATALOG_TYPES = ("auto", "none", "rest", "nessie", "glue", "s3tables", "r2", "sql")
NESSIE_APIS = ("/api/v1", "/api/v2")
"""Paths of Nessie's own API, which people have at hand; its tables are under another."""


@dataclass(frozen=True, slots=True)
class CatalogConfig:
    """Which catalog takes the files as Iceberg tables, if any."""

    type: str = setting(
        values.choice(CATALOG_TYPES),
        "auto",
        "Kind of catalog. auto: by the keys of `iceberg`: s3tables with `bucket_arn`, nessie with "
        "a `rest_uri` that ends in `/api/v1`, rest with any other; none without them.",
        short="CATALOG_TYPE",
    )
    uri: str = setting(
        values.optional_text(),
        "",
        "Database of an `sql` catalog, as a URL of SQLAlchemy.",
        default_doc="`sqlite:///` and catalog.db in storage.fs.path",
        secret=True,
    )
    warehouse: str = setting(
        values.optional_text(),
        "",
        "Folder or bucket in which the tables of an `sql` or `glue` catalog lie: a path or a URL. "
        "For a `rest` catalog that wants to be told where new tables lie: a URL.",
        default_doc="warehouse, in the storage; for `rest`: the catalog's own place",
    )


def _table(table: str) -> str:
    default = f"otel_{table}"
    return setting(
        values.text(),
        default,
        f"Name of the table of {table.replace('_', ' ')}.",
        short=f"ICEBERG_TABLE_{table.upper()}",
    )


@dataclass(frozen=True, slots=True)
class TablesConfig:
    """What the tables are called in the catalog."""

    logs: str = _table("logs")
    traces: str = _table("traces")
    metrics_gauge: str = _table("metrics_gauge")
    metrics_sum: str = _table("metrics_sum")
    metrics_histogram: str = _table("metrics_histogram")
    metrics_exponential_histogram: str = _table("metrics_exponential_histogram")
    metrics_summary: str = _table("metrics_summary")

    @property
    def names(self) -> Mapping[str, str]:
        """The name of each of our tables."""
        return {f"otel_{key}": getattr(self, key) for key in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class IcebergConfig:
    """How a catalog is reached, and how its tables are kept."""

    rest_uri: str = setting(
        values.optional_url("a URL that begins with https:// or http://", check_endpoint),
        "",
        "Address of an Iceberg REST catalog.",
        default_doc="none",
        short="ICEBERG_REST_URI",
    )
    warehouse: str = setting(
        values.optional_text(),
        "",
        "The catalog's own name for a warehouse.",
        default_doc="the catalog's default",
        short="ICEBERG_WAREHOUSE",
    )
    namespace: str = setting(
        values.text(),
        "otlp",
        "Namespace of the tables; a dot separates its levels. Made if missing.",
        short="ICEBERG_NAMESPACE",
    )
    token: str = setting(
        values.optional_text(),
        "",
        "Bearer token for the catalog.",
        default_doc="none",
        short="ICEBERG_TOKEN",
        secret=True,
    )
    credential: str = setting(
        values.optional_text(),
        "",
        "OAuth2 client id and secret, with a colon between them; tokens are got and renewed by it. "
        "What else OAuth2 needs goes into `properties`: `oauth2-server-uri`, `scope`.",
        default_doc="none",
        secret=True,
    )
    bucket_arn: str = setting(
        values.optional_text(),
        "",
        "ARN of an S3 Tables bucket. Nothing else is needed for one.",
        default_doc="none",
        short="ICEBERG_BUCKET_ARN",
    )
    endpoint: str = setting(
        values.optional_url("a URL that begins with https:// or http://", check_endpoint),
        "",
        "Where Glue or S3 Tables are reached, if not at AWS.",
        default_doc="AWS_ENDPOINT_URL_GLUE, AWS_ENDPOINT_URL_S3TABLES, AWS_ENDPOINT_URL, or AWS",
    )
    partition: str = setting(
        values.choice(("day", "hour", "none")),
        "day",
        "Partition of new tables, by Timestamp.",
    )
    commit_interval_secs: float = setting(
        values.seconds(), 10.0, "Pause between two commits to a table."
    )
    keep_snapshots: int = setting(
        values.integer(minimum=1),
        100,
        "Snapshots of a table that are kept; older ones expire as new ones are made.",
    )
    timeout_secs: float = setting(
        values.seconds(), 30.0, "Longest that a request to a REST catalog may take."
    )
    properties: tuple[str, ...] = setting(
        values.pairs(),
        (),
        "Further properties for pyiceberg, which precede all others: a table, or `name=value` "
        "pairs.",
        default_doc="none",
        secret=True,
    )
    tables: TablesConfig = field(default_factory=TablesConfig)

    @property
    def kind(self) -> str:
        """The kind of catalog that these keys are for."""
        if self.bucket_arn:
            return "s3tables"
        if not self.rest_uri:
            return "none"
        path = urlsplit(self.rest_uri).path.rstrip("/")
        return "nessie" if path.endswith(NESSIE_APIS) else "rest"

    @property
    def further_properties(self) -> dict[str, str]:
        """``properties`` by name."""
        return dict(one.split("=", 1) for one in self.properties)
