"""Every setting, once: its key, type, default, environment names, meaning.

These frozen classes are the table. The loader, the reference page and ``otlp2parquet config``
walk them, so a setting is added by adding a field. Knows the decoder's bounds, and nothing of
files or the environment.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints

from otlp2parquet.config import values
from otlp2parquet.config.catalog_settings import CatalogConfig, IcebergConfig
from otlp2parquet.config.row import Setting, setting
from otlp2parquet.config.values import Address
from otlp2parquet.core.decoder import MAX_PAYLOAD_BYTES
from otlp2parquet.core.layout import DEFAULT_LAYOUT, LAYOUTS
from otlp2parquet.stores.location import check_endpoint, check_url, checked_prefix

T = TypeVar("T")

LOG_FOLDER = ".otlp2parquet"
"""The log's folder where none is named; its first letter keeps readers of tables out of it."""

NOT_YET = (
    "server.tls.key_password",
    "parquet.bloom_columns",
)
"""Keys and sections that are reserved. Setting one is an error and never silently ignored: who
names a bucket must not find the rows on a local disk."""


def cores(cpu_max: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """The cores this process may use: its CPU affinity, cut by a cgroup v2 quota if one is set.

    A container limited to two CPUs of a large machine must not start a thread for each of them.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    try:
        quota, period = cpu_max.read_text(encoding="ascii").split()
        if quota != "max":
            count = min(count, -(-int(quota) // int(period)))
    except (OSError, ValueError):
        pass  # no cgroup v2 here, so there is no quota to keep to
    return max(1, count)


@dataclass(frozen=True, slots=True)
class AuthConfig:
    """Who may send: without tokens, everybody who reaches the port."""

    tokens: tuple[str, ...] = setting(
        values.tokens(),
        (),
        "Secrets of which a request must carry one, as `Authorization: Bearer TOKEN` or as "
        "`x-api-key: TOKEN`. Several, so that one can be replaced while the other still holds; "
        "in a file one a line. `/health` and `/ready` need none.",
        default_doc="none",
        secret=True,
        guard=True,
    )


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """HTTPS instead of HTTP. Files are read at the start, and again on SIGHUP."""

    cert: Path | None = setting(  # noqa: RUF009 - it makes a field
        values.optional_path(may_be_empty=False),
        None,
        "The server's certificate and those between it and the root, in PEM form.",
        default_doc="none: HTTP",
        guard=True,
    )
    key: Path | None = setting(  # noqa: RUF009 - it makes a field
        values.optional_path(may_be_empty=False),
        None,
        "Its private key, in PEM form and not encrypted.",
        default_doc="none",
        guard=True,
    )
    client_ca: Path | None = setting(  # noqa: RUF009 - it makes a field
        values.optional_path(may_be_empty=False),
        None,
        "Certificates, in PEM form, of which one must have signed the client's: whoever has none "
        "is not let in.",
        default_doc="none: clients need no certificate",
        guard=True,
    )
    min_version: str = setting(
        values.choice(("1.2", "1.3")), "1.2", "Lowest version of TLS that is spoken."
    )


@dataclass(frozen=True, slots=True)
class CorsConfig:
    """Whether web pages may send, from a browser. Without origins they may not."""

    allowed_origins: tuple[str, ...] = setting(
        values.origins(),
        (),
        "Origins whose pages may send, with the browser's credentials if it has any. `*` stands "
        "for names at the beginning of a host, or for any port; alone it is every page there is.",
        default_doc="none",
    )
    allowed_headers: tuple[str, ...] = setting(
        values.texts("names of header fields"),
        (),
        "Header fields that pages may send besides Authorization, Content-Encoding, "
        "Content-Type and X-API-Key.",
        default_doc="none",
    )
    max_age_secs: float = setting(
        values.seconds(maximum=86_400, zero=True),
        7200.0,
        "How long a browser may remember what it was allowed.",
    )


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """The server of OTLP/HTTP and OTLP/gRPC, and the log it writes."""

    listen_addr: Address = setting(  # noqa: RUF009 - it makes a field
        values.address(),
        Address("127.0.0.1", 4318),
        "Address to listen on. Port 0 takes a free one.",
        short="LISTEN_ADDR",
    )
    grpc_addr: Address | None = setting(  # noqa: RUF009 - it makes a field
        values.optional_address(),
        Address("127.0.0.1", 4317),
        "Address to listen on for OTLP/gRPC; `off` for none. Where it cannot be had, OTLP/HTTP is "
        "served without it, and a warning says so.",
        short="GRPC_ADDR",
    )
    log_level: str = setting(
        values.choice(
            ("trace", "debug", "info", "warn", "error"),
            other_spellings={
                "warning": "warn",
                "information": "info",
                "err": "error",
                "critical": "error",
                "fatal": "error",
            },
        ),
        "info",
        "Least severity that is logged, to standard error; trace is the same as debug.",
        short="LOG_LEVEL",
    )
    log_format: str = setting(
        values.choice(("text", "json")),
        "text",
        "Form of the log lines.",
        short="LOG_FORMAT",
    )
    path_prefix: str = setting(
        values.url_path(),
        "",
        "Path below which everything is, too: with `/otlp` also `/otlp/v1/logs`, `/otlp/health`.",
        default_doc="none",
    )
    idle_timeout_secs: float = setting(
        values.seconds(),
        300.0,
        "How long a connection is kept on which no request comes. Exporters send every 5 to 60 "
        "seconds; a limit near that would close connections that are about to be used.",
    )
    page: bool = setting(
        values.boolean(),
        default=False,
        doc="Whether what is being received may be looked at, by `otlp2parquet tail` and on a page "
        "in a browser. `otlp2parquet dev` has it on. Whoever shows a token may look, or, where "
        "none are set, whoever reaches the address.",
        default_doc="false (dev: true)",
    )
    threads: int = setting(
        values.integer(minimum=1, maximum=1024),
        cores,
        "Threads that decode requests, and shards of a batch.",
        default_doc="number of cores",
    )
    auth: AuthConfig = field(default_factory=AuthConfig)
    tls: TlsConfig = field(default_factory=TlsConfig)
    cors: CorsConfig = field(default_factory=CorsConfig)


@dataclass(frozen=True, slots=True)
class RequestConfig:
    """What one request may be."""

    max_payload_bytes: int = setting(
        values.size(minimum=1, maximum=MAX_PAYLOAD_BYTES),
        64 << 20,
        "Largest body, as sent and after decompression. Larger ones are answered with 413.",
        short="MAX_PAYLOAD_BYTES",
    )


@dataclass(frozen=True, slots=True)
class BatchConfig:
    """When a batch is closed and its files are written."""

    enabled: bool = setting(
        values.boolean(),
        default=True,
        doc="false: every request is a batch of its own.",
    )
    max_rows: int = setting(
        values.integer(minimum=1),
        1_000_000,
        "Rows after which a batch is closed.",
    )
    max_bytes: int = setting(
        values.size(minimum=1),
        128 << 20,
        "Bytes of Arrow data after which a batch is closed.",
    )
    max_age_secs: float = setting(
        values.seconds(),
        60.0,
        "Age at which a batch is closed, counted from its first row. The first batch after a "
        "start is closed after 2 seconds at the latest.",
    )
    memory_bytes: int = setting(
        values.size(minimum=1),
        512 << 20,
        "What may be held in memory: bodies in transit, the open batch and the closed ones that "
        "are not stored yet. Beyond it requests are answered with 503.",
    )


@dataclass(frozen=True, slots=True)
class DurabilityConfig:
    """What a 200 promises."""

    mode: str = setting(
        values.choice(("fsync", "memory", "stored")),
        "fsync",
        "When a request is acknowledged. fsync: its body is on the disk, in the log. memory: its "
        "rows are buffered. stored: its rows are in files.",
    )
    path: Path | None = setting(  # noqa: RUF009 - it makes a field
        values.optional_path(),
        None,
        "Folder of the log, on a local disk; one process at a time.",
        default_doc="`.otlp2parquet` in storage.fs.path; for other storages `./.otlp2parquet`",
    )
    max_bytes: int = setting(
        values.size(minimum=1 << 20),
        4 << 30,
        "What the log may hold; from 80 % on batches are closed early. Beyond it, or when 90 % of "
        "the disk are in use, requests are answered with 503.",
    )


@dataclass(frozen=True, slots=True)
class FsConfig:
    """Files on a local disk."""

    path: Path = setting(  # noqa: RUF009 - it makes a field
        values.path(),
        Path("data"),
        "Folder that the files are written to; made if missing.",
        default_doc="./data",
        short="STORAGE_PATH",
    )


def _text(
    doc: str, *, default_doc: str = "none", short: str | None = None, secret: bool = False
) -> str:
    return setting(
        values.optional_text(), "", doc, default_doc=default_doc, short=short, secret=secret
    )


def _endpoint(service: str, *, default_doc: str = "none", short: str | None = None) -> str:
    return setting(
        values.optional_url("a URL that begins with https:// or http://", check_endpoint),
        "",
        f"Where {service} is reached, if not at the provider's own address. Plain HTTP is spoken "
        "only if it begins with `http://`.",
        default_doc=default_doc,
        short=short,
    )


def _prefix(place: str, *, short: str | None = None) -> str:
    return setting(
        values.optional_url("a path without empty parts", checked_prefix),
        "",
        f"Path in the {place} below which everything is.",
        default_doc="none",
        short=short,
    )


@dataclass(frozen=True, slots=True)
class S3Config:
    """Files in a bucket of S3 or its like. Credentials are found as AWS's own tools find them."""

    bucket: str = _text("Name of the bucket.", short="S3_BUCKET")
    region: str = _text(
        "Its region.",
        default_doc="AWS_REGION, that of the profile, or us-east-1",
        short="S3_REGION",
    )
    endpoint: str = _endpoint(
        "it", default_doc="AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, or AWS's own", short="S3_ENDPOINT"
    )
    prefix: str = _prefix("bucket")
    path_style: bool = setting(
        values.boolean(),
        default=True,
        doc="Whether the bucket stands in the URL's path; if not, it comes before the host of the "
        "endpoint.",
    )


@dataclass(frozen=True, slots=True)
class R2Config:
    """Files in a bucket of Cloudflare R2."""

    bucket: str = _text("Name of the bucket.", short="R2_BUCKET")
    account_id: str = _text("Id of the account: 32 hexadecimal digits.", short="R2_ACCOUNT_ID")
    access_key_id: str = _text("Id of an R2 API token.", short="R2_ACCESS_KEY_ID")
    secret_access_key: str = _text("Its secret.", short="R2_SECRET_ACCESS_KEY", secret=True)
    endpoint: str = _endpoint(
        "it", default_doc="`https://ACCOUNT_ID.r2.cloudflarestorage.com`", short="R2_ENDPOINT"
    )
    prefix: str = _prefix("bucket", short="R2_PREFIX")


@dataclass(frozen=True, slots=True)
class GcsConfig:
    """Files in a bucket of Google Cloud Storage. Without a key, Google's own ways to one count."""

    bucket: str = _text("Name of the bucket.")
    service_account_key: str = _text("A service account's key: the JSON text itself.", secret=True)
    endpoint: str = _endpoint("it")
    prefix: str = _prefix("bucket")


@dataclass(frozen=True, slots=True)
class AzureConfig:
    """Files in a container of Azure Blob Storage. Without a key, Azure's own ways to one count."""

    container: str = _text("Name of the container.")
    account_name: str = _text(
        "Name of the storage account.", default_doc="AZURE_STORAGE_ACCOUNT_NAME"
    )
    account_key: str = _text("The account's key.", secret=True)
    endpoint: str = _endpoint("the account")
    prefix: str = _prefix("container")


@dataclass(frozen=True, slots=True)
class FsspecConfig:
    """Files in any file system of fsspec, which is configured in fsspec's own ways."""

    url: str = _text(
        "URL of the folder. Credentials belong into FSSPEC_* variables or fsspec's own files."
    )


@dataclass(frozen=True, slots=True)
class StorageConfig:
    """Where the files go."""

    backend: str = setting(
        values.choice(("fs", "s3", "r2", "gcs", "azure", "fsspec")),
        "fs",
        "Kind of storage; its own section says the rest.",
    )
    url: str = setting(
        values.optional_url("a URL such as s3://bucket/prefix", check_url),
        "",
        "The storage as a URL, in place of backend, bucket and prefix: `s3://bucket/prefix`, "
        "`r2://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`, `file:///folder`, "
        "or any that fsspec knows.",
        default_doc="none",
    )
    timeout_secs: float = setting(
        values.seconds(),
        30.0,
        "Longest that a request to a storage over the network may take. What takes longer is "
        "tried again later.",
    )
    ca_file: Path | None = setting(  # noqa: RUF009 - it makes a field
        values.optional_path(),
        None,
        "Certificates, in PEM form, that are trusted besides the system's.",
        default_doc="none",
    )
    layout: str = setting(
        values.choice(LAYOUTS),
        DEFAULT_LAYOUT,
        "How files lie in folders. service: by service, date and hour. hour: by date and hour, all "
        "services in one file. classic: by service, year, month, day and hour.",
    )
    fs: FsConfig = field(default_factory=FsConfig)
    s3: S3Config = field(default_factory=S3Config)
    r2: R2Config = field(default_factory=R2Config)
    gcs: GcsConfig = field(default_factory=GcsConfig)
    azure: AzureConfig = field(default_factory=AzureConfig)
    fsspec: FsspecConfig = field(default_factory=FsspecConfig)


@dataclass(frozen=True, slots=True)
class ParquetConfig:
    """How the files are written."""

    compression: str = setting(
        values.choice(("zstd", "snappy", "gzip", "none")), "zstd", "Compression of the pages."
    )
    level: int = setting(
        values.integer(minimum=0, maximum=22),
        0,
        "Compression level: 1 to 22 for zstd, 1 to 9 for gzip; 0 is the default of the "
        "compression, and the others have no levels.",
        default_doc="0 (1 for zstd, 6 for gzip)",
    )
    row_group_rows: int = setting(values.integer(minimum=1), 262_144, "Most rows in one row group.")


@dataclass(frozen=True, slots=True)
class Config:
    """The effective configuration, every value checked."""

    server: ServerConfig = field(default_factory=ServerConfig)
    request: RequestConfig = field(default_factory=RequestConfig)
    batch: BatchConfig = field(default_factory=BatchConfig)
    durability: DurabilityConfig = field(default_factory=DurabilityConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    parquet: ParquetConfig = field(default_factory=ParquetConfig)
    catalog: CatalogConfig = field(default_factory=CatalogConfig)
    iceberg: IcebergConfig = field(default_factory=IcebergConfig)

    @property
    def catalog_type(self) -> str:
        """The kind of catalog: as set, or by the keys of ``iceberg``."""
        return self.iceberg.kind if self.catalog.type == "auto" else self.catalog.type

    @property
    def log_path(self) -> Path:
        """The folder of the log."""
        near = self.storage.fs.path if self.storage.backend == "fs" else Path()
        return self.durability.path or near / LOG_FOLDER


def settings(root: type[Any] = Config, prefix: str = "") -> Iterator[Setting]:
    """Every row of the table under ``root``, in the order of the code, with its key."""
    hints = get_type_hints(root)
    for item in fields(root):
        row = item.metadata.get("setting")
        if row is not None:
            yield replace(row, key=prefix + item.name)
        elif is_dataclass(hints[item.name]):
            yield from settings(cast("type[Any]", hints[item.name]), f"{prefix}{item.name}.")


def build(root: type[T], chosen: dict[str, object], prefix: str = "") -> T:
    """``root`` with the values in ``chosen`` (by dotted key), and defaults for the rest."""
    hints = get_type_hints(root)
    given: dict[str, object] = {}
    for item in fields(cast("Any", root)):
        key = prefix + item.name
        if "setting" not in item.metadata:
            given[item.name] = build(hints[item.name], chosen, f"{key}.")
        elif key in chosen:
            given[item.name] = chosen[key]
    return root(**given)


def value_of(config: object, key: str) -> Any:  # noqa: ANN401 - each key has its own type
    """The value at a dotted key of a configuration."""
    for name in key.split("."):
        config = getattr(config, name)
    return config
