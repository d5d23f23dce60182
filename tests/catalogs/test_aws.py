"""S3 Tables and Glue, in emulation: the server with as little configuration as they need."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import boto3
import pytest

from otlp2parquet.catalogs.connection import connect, connection_of
from otlp2parquet.config import load
from tests.components.ministack import ACCOUNT, Ministack
from tests.support.catalog_server import ALL, QUICK, counts, is_committed, send_all
from tests.support.server_process import Server
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@pytest.fixture(scope="module")
def aws(catalog_folders: pytest.TempPathFactory) -> Iterator[Ministack]:
    """The emulation."""
    with Ministack(catalog_folders.mktemp("aws")) as running:
        yield running


def check(
    folder: Path, settings: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, namespace: str
) -> None:
    """Send everything to a server with these settings, and read the tables."""
    with Server(folder, settings=settings) as server:
        send_all(server)
        wait_for(lambda: is_committed(server))
        send_all(server)
        assert server.stop() == 0
    for name, value in settings.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    config = load(environ={**os.environ, **settings}, folder=folder).config
    found = counts(connect(connection_of(config)), namespace)
    assert found == {table: 2 * count for table, count in ALL.items()}


def test_s3_tables_from_the_arn_alone(
    tmp_path: Path, aws: Ministack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files go into the table bucket; receipts and the log stay on the server's disk."""
    client = boto3.client("s3tables", endpoint_url=aws.endpoint, region_name="us-east-1",
                          aws_access_key_id="test", aws_secret_access_key="test")  # noqa: S106  # fmt: skip
    arn = client.create_table_bucket(name="telemetry-tables")["arn"]
    settings = {**QUICK, **aws.environment(), "OTLP2PARQUET_ICEBERG_BUCKET_ARN": arn}
    check(tmp_path, settings, monkeypatch, "otlp")


def test_glue_by_its_own_api(
    tmp_path: Path, aws: Ministack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables below the storage's bucket."""
    client = boto3.client("s3", endpoint_url=aws.endpoint, region_name="us-east-1",
                          aws_access_key_id="test", aws_secret_access_key="test")  # noqa: S106  # fmt: skip
    client.create_bucket(Bucket="telemetry-glue")
    settings = {
        **QUICK,
        **aws.environment(),
        "OTLP2PARQUET_CATALOG_TYPE": "glue",
        "OTLP2PARQUET_STORAGE_BACKEND": "s3",
        "OTLP2PARQUET_S3_BUCKET": "telemetry-glue",
        "OTLP2PARQUET_ICEBERG_NAMESPACE": "telemetry",
    }
    check(tmp_path, settings, monkeypatch, "telemetry")


def test_glue_by_rest(tmp_path: Path, aws: Ministack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signed requests to its REST catalog, which has to be told where new tables lie."""
    client = boto3.client("s3", endpoint_url=aws.endpoint, region_name="us-east-1",
                          aws_access_key_id="test", aws_secret_access_key="test")  # noqa: S106  # fmt: skip
    client.create_bucket(Bucket="telemetry-glue-rest")
    signed = {
        "rest.sigv4-enabled": "true",
        "rest.signing-name": "glue",
        "rest.signing-region": "us-east-1",
    }
    settings = {
        **QUICK,
        **aws.environment(),
        "OTLP2PARQUET_STORAGE_BACKEND": "s3",
        "OTLP2PARQUET_S3_BUCKET": "telemetry-glue-rest",
        "OTLP2PARQUET_CATALOG_TYPE": "rest",
        "OTLP2PARQUET_CATALOG_WAREHOUSE": "s3://telemetry-glue-rest/warehouse",
        "OTLP2PARQUET_ICEBERG_REST_URI": f"{aws.endpoint}/iceberg",
        "OTLP2PARQUET_ICEBERG_WAREHOUSE": ACCOUNT,
        "OTLP2PARQUET_ICEBERG_NAMESPACE": "by_rest",
        "OTLP2PARQUET_ICEBERG_PROPERTIES": ",".join(f"{k}={v}" for k, v in signed.items()),
    }
    check(tmp_path, settings, monkeypatch, "by_rest")
