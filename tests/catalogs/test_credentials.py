"""Who we are to a REST catalog and to the storage of its tables: tokens, credentials handed out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.catalogs.connection import connection_of
from otlp2parquet.catalogs.service import make_catalog
from otlp2parquet.config import load
from otlp2parquet.errors import CatalogError, CatalogRefusedError, CatalogUnavailableError
from tests.components.s3 import BUCKET, KEY_ID, REGION, SECRET, Versitygw
from tests.proofs.catalog import catalog_at
from tests.support.catalog_server import ALL, QUICK, is_committed, send_all
from tests.support.iceberg import NODE, commit, logs_receipt
from tests.support.rest_catalog import RestCatalogServer
from tests.support.server_process import Server
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from otlp2parquet.catalogs.iceberg import IcebergCatalog

CREDENTIAL = "me:hush"


def catalog_of(server: RestCatalogServer, **environ: str) -> IcebergCatalog:
    """Our side of a catalog at a server."""
    given = {"ICEBERG_REST_URI": server.uri, **environ}
    named = {f"OTLP2PARQUET_{key}": value for key, value in given.items()}
    config = load(environ=named, folder=server.folder).config
    return make_catalog(config, connection_of(config))


def test_tokens_are_got_and_renewed(tmp_path: Path) -> None:
    """By OAuth2, without anybody's doing, when one has expired."""
    with RestCatalogServer(tmp_path) as server:
        server.credential = CREDENTIAL
        catalog = catalog_of(server, ICEBERG_CREDENTIAL=CREDENTIAL)
        commit(catalog, logs_receipt(tmp_path / "a", 1))
        given = server.tokens_given
        assert given
        commit(catalog, logs_receipt(tmp_path / "b", 1))
        assert server.tokens_given == given, "a token is used as long as it is good"
        server.tokens.clear()
        commit(catalog, logs_receipt(tmp_path / "c", 1))
        assert server.tokens_given == given + 1
        forms = [body["form"] for body in server.bodies if "form" in body]
        assert {form["grant_type"] for form in forms} == {"client_credentials"}


def test_a_token_that_expires_before_a_commit_parks_nothing(tmp_path: Path) -> None:
    """It is no refusal: the next attempt, soon after, has a new one."""
    with RestCatalogServer(tmp_path) as server:
        server.credential = CREDENTIAL
        catalog = catalog_of(server, ICEBERG_CREDENTIAL=CREDENTIAL)
        receipt = logs_receipt(tmp_path / "a", 1)
        table = catalog.load("otel_logs")
        server.tokens.clear()
        with pytest.raises(CatalogUnavailableError):
            table.append([receipt], {NODE: frozenset({receipt.key})})
        commit(catalog, receipt)
        assert catalog.load("otel_logs").table.scan().to_arrow().num_rows == 1


@pytest.mark.parametrize(
    "given", [{"ICEBERG_CREDENTIAL": "me:wrong"}, {"ICEBERG_TOKEN": "old"}], ids=["oauth2", "token"]
)
def test_who_is_not_let_in_is_refused(tmp_path: Path, given: dict[str, str]) -> None:
    """That helps only if somebody changes something."""
    with RestCatalogServer(tmp_path) as server:
        server.credential = CREDENTIAL
        with pytest.raises(CatalogRefusedError):
            catalog_of(server, **given).load("otel_logs")


def test_credentials_are_handed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With each table, and anew each time that it is loaded: metadata is written by them."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with (
        Versitygw(tmp_path) as s3,
        RestCatalogServer(tmp_path, location=f"s3://{BUCKET}/lake") as server,
    ):
        given = {
            "s3.endpoint": s3.endpoint,
            "s3.access-key-id": KEY_ID,
            "s3.secret-access-key": SECRET,
            "s3.region": REGION,
        }
        catalog = catalog_of(server)
        with pytest.raises(CatalogError):
            commit(catalog, logs_receipt(tmp_path / "a", 1))
        server.table_config = given
        commit(catalog, logs_receipt(tmp_path / "b", 1))
        server.table_config = given | {"s3.secret-access-key": "expired"}
        with pytest.raises(CatalogError):
            commit(catalog, logs_receipt(tmp_path / "c", 1))
        server.table_config = given
        commit(catalog, logs_receipt(tmp_path / "c", 1))
        asked = {headers.get("X-Iceberg-Access-Delegation") for headers in server.headers[1:]}
        assert asked == {"vended-credentials"}
        assert list((tmp_path / "s3" / BUCKET / "lake").rglob("*.avro"))


def test_r2_from_account_and_bucket(tmp_path: Path) -> None:
    """Warehouse and token as Cloudflare has them; files by the keys of the bucket.

    Its service is a REST catalog that tells a prefix; here it is a scripted one.
    """
    with (
        Versitygw(tmp_path, region="auto") as s3,
        RestCatalogServer(tmp_path, location=f"s3://{BUCKET}/__r2_data_catalog") as rest,
    ):
        rest.prefix = "0123"
        rest.credential, rest.tokens = "nobody:knows", {"hush"}
        settings = {
            **QUICK,
            "OTLP2PARQUET_STORAGE_BACKEND": "r2",
            "OTLP2PARQUET_STORAGE_R2_BUCKET": BUCKET,
            "OTLP2PARQUET_STORAGE_R2_ACCOUNT_ID": "0" * 32,
            "OTLP2PARQUET_STORAGE_R2_ACCESS_KEY_ID": KEY_ID,
            "OTLP2PARQUET_STORAGE_R2_SECRET_ACCESS_KEY": SECRET,
            "OTLP2PARQUET_STORAGE_R2_ENDPOINT": s3.endpoint,
            "OTLP2PARQUET_CATALOG_TYPE": "r2",
            "OTLP2PARQUET_ICEBERG_REST_URI": rest.uri,
            "OTLP2PARQUET_ICEBERG_TOKEN": "hush",
        }
        with Server(tmp_path, settings=settings) as server:
            send_all(server)
            wait_for(lambda: is_committed(server))
            assert "hush" not in server.log
            assert server.stop() == 0
        assert f"warehouse={'0' * 32}_telemetry" in rest.queries
        assert {path.split("/")[2] for _, path in rest.requests} == {"config", "0123"}
        rest.credential = ""
        catalog = catalog_at(rest.uri, s3.endpoint, region="auto")
        found = {
            name: catalog.load_table(("otlp", name)).scan().to_arrow().num_rows for name in ALL
        }
        assert found == ALL


def test_where_tables_lie_can_be_told(tmp_path: Path) -> None:
    """To a catalog that has no place of its own for them, as Glue by REST."""
    with RestCatalogServer(tmp_path) as server:
        place = f"file://{tmp_path}/lake"
        catalog = catalog_of(server, CATALOG_WAREHOUSE=place, CATALOG_TYPE="rest")
        assert catalog.load("otel_logs").table.location() == f"{place}/otlp/otel_logs"
