"""The cells of the matrix: a storage and a catalog each, with what runs them.

Knows the settings of a server for each cell, and which parts of it are emulated. Must not know what
is read from them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import boto3

from tests.components import azurite, gcs, s3
from tests.components.ministack import Ministack
from tests.components.nessie import Nessie
from tests.support.rest_catalog import RestCatalogServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import ExitStack
    from pathlib import Path

NAMESPACE = "matrix"


@dataclass(frozen=True)
class Cell:
    """A storage with a catalog, or with none."""

    storage: str
    catalog: str
    settings: Mapping[str, str]
    with_: str
    """What stood for the services."""
    spark: Mapping[str, str] = field(default_factory=dict)
    """How Spark reaches the catalog; empty where it is given the metadata file."""
    has_spark: bool = False
    """Whether Spark reads the tables."""

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.storage} {self.catalog}"


def _s3_settings(endpoint: str, prefix: str) -> dict[str, str]:
    return {
        **s3.CREDENTIALS,
        "OTLP2PARQUET_STORAGE_BACKEND": "s3",
        "OTLP2PARQUET_S3_BUCKET": s3.BUCKET,
        "OTLP2PARQUET_S3_REGION": s3.REGION,
        "OTLP2PARQUET_S3_ENDPOINT": endpoint,
        "OTLP2PARQUET_STORAGE_S3_PREFIX": prefix,
        "OTLP2PARQUET_ICEBERG_NAMESPACE": NAMESPACE,
    }


def _sql(folder: Path, name: str) -> dict[str, str]:
    return {
        "OTLP2PARQUET_CATALOG_TYPE": "sql",
        "OTLP2PARQUET_CATALOG_URI": f"sqlite:///{folder}/{name}.db",
        "OTLP2PARQUET_ICEBERG_NAMESPACE": NAMESPACE,
    }


def s3_cells(folder: Path, stack: ExitStack) -> list[Cell]:
    """S3 by a server that checks signatures, with what can be had for real beside it."""
    server = stack.enter_context(s3.Versitygw(folder))
    nessie = stack.enter_context(Nessie(folder, server.endpoint))
    rest = stack.enter_context(RestCatalogServer(folder, location=f"s3://{s3.BUCKET}/rest"))
    given = {name: _s3_settings(server.endpoint, name) for name in ("plain", "sql", "nessie")}
    given["rest"] = _s3_settings(server.endpoint, "receipts")
    real = "versitygw"
    return [
        Cell("s3", "plain", given["plain"], real),
        Cell("s3", "sql", given["sql"] | _sql(folder, "s3"), f"{real}, SQLite", has_spark=True),
        Cell(
            "s3",
            "nessie",
            given["nessie"] | {"OTLP2PARQUET_ICEBERG_REST_URI": nessie.uri},
            f"{real}, Nessie",
            has_spark=True,
        ),
        Cell(
            "s3",
            "rest",
            given["rest"] | {"OTLP2PARQUET_ICEBERG_REST_URI": rest.uri},
            f"{real}, a REST catalog of the tests",
            {"uri": rest.uri},
            has_spark=True,
        ),
    ]


def aws_cells(folder: Path, stack: ExitStack) -> list[Cell]:
    """Services of AWS, in emulation: it checks no signatures."""
    emulated = stack.enter_context(Ministack(folder))
    words = emulated.environment() | {"OTLP2PARQUET_ICEBERG_NAMESPACE": NAMESPACE}

    def client(name: str) -> boto3.client:
        return boto3.client(
            name,
            endpoint_url=emulated.endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - the emulation takes any
        )

    arn = client("s3tables").create_table_bucket(name="telemetry-tables")["arn"]
    client("s3").create_bucket(Bucket="telemetry-glue")
    stored = {
        **words,
        "OTLP2PARQUET_STORAGE_BACKEND": "s3",
        "OTLP2PARQUET_S3_BUCKET": "telemetry-glue",
    }
    return [
        Cell(
            "s3",
            "glue",
            stored | {"OTLP2PARQUET_CATALOG_TYPE": "glue"},
            "ministack, in emulation",
        ),
        Cell(
            "s3",
            "s3tables",
            words | {"OTLP2PARQUET_ICEBERG_BUCKET_ARN": arn},
            "ministack, in emulation",
        ),
    ]


def local_cells(folder: Path, _: ExitStack) -> list[Cell]:
    """A folder."""
    places = {name: {"OTLP2PARQUET_STORAGE_PATH": str(folder / name)} for name in ("a", "b")}
    sql = _sql(folder, "fs") | places["b"]
    return [
        Cell("fs", "plain", places["a"], "a folder"),
        Cell("fs", "sql", sql, "a folder, SQLite", has_spark=True),
    ]


def gcs_cells(folder: Path, stack: ExitStack) -> list[Cell]:
    """Google Cloud Storage, in emulation."""
    server = stack.enter_context(gcs.FakeGcs(folder))
    words = {
        "OTLP2PARQUET_STORAGE_BACKEND": "gcs",
        "OTLP2PARQUET_STORAGE_GCS_BUCKET": gcs.BUCKET,
        "OTLP2PARQUET_STORAGE_GCS_ENDPOINT": server.endpoint,
        "OTLP2PARQUET_ICEBERG_NAMESPACE": NAMESPACE,
    }
    return _plain_and_sql(folder, "gcs", words, "fake-gcs-server, in emulation")


def azure_cells(folder: Path, stack: ExitStack) -> list[Cell]:
    """Azure Blob Storage, in emulation."""
    server = stack.enter_context(azurite.Azurite(folder))
    words = {
        "OTLP2PARQUET_STORAGE_BACKEND": "azure",
        "OTLP2PARQUET_STORAGE_AZURE_CONTAINER": azurite.CONTAINER,
        "OTLP2PARQUET_STORAGE_AZURE_ACCOUNT_NAME": azurite.ACCOUNT,
        "OTLP2PARQUET_STORAGE_AZURE_ACCOUNT_KEY": azurite.ACCOUNT_KEY,
        "OTLP2PARQUET_STORAGE_AZURE_ENDPOINT": server.endpoint,
        "OTLP2PARQUET_ICEBERG_NAMESPACE": NAMESPACE,
    }
    return _plain_and_sql(folder, "azure", words, "Azurite, in emulation")


def _plain_and_sql(folder: Path, storage: str, words: dict[str, str], with_: str) -> list[Cell]:
    """A bucket by itself, and with an embedded catalog."""
    plain = words | {f"OTLP2PARQUET_STORAGE_{storage.upper()}_PREFIX": "plain"}
    return [
        Cell(storage, "plain", plain, with_),
        Cell(storage, "sql", words | _sql(folder, storage), with_),
    ]


GROUPS: tuple[Callable[[Path, ExitStack], list[Cell]], ...] = (
    s3_cells,
    aws_cells,
    local_cells,
    gcs_cells,
    azure_cells,
)
