"""The server over a bucket: files in it, trouble told and lived through."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import pytest

from tests.components.process import wait_until
from tests.components.s3 import BUCKET, CREDENTIALS, Versitygw, keys_in
from tests.support.server_process import Server, logs_of

if TYPE_CHECKING:
    from pathlib import Path


SETTINGS = CREDENTIALS | {
    "OTLP2PARQUET_BATCH_MAX_AGE_SECS": "0.2",
    "OTLP2PARQUET_STORAGE_TIMEOUT_SECS": "5",
}


def of_bucket(server: Versitygw, bucket: str = BUCKET) -> dict[str, str]:
    """The settings of a server that writes to it, as people write them."""
    return SETTINGS | {
        "OTLP2PARQUET_STORAGE_BACKEND": "s3",
        "OTLP2PARQUET_S3_BUCKET": bucket,
        "OTLP2PARQUET_S3_REGION": "us-east-1",
        "OTLP2PARQUET_S3_ENDPOINT": server.endpoint,
        "OTLP2PARQUET_STORAGE_S3_PREFIX": "deep/in",
    }


def page(server: Server, path: str) -> tuple[int, bytes]:
    """A page of the server."""
    connection = server.connect()
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


def test_files_in_a_bucket(tmp_path: Path) -> None:
    """What is acknowledged is in the bucket, below the prefix, by one request a file."""
    with Versitygw(tmp_path) as s3, Server(tmp_path, settings=of_bucket(s3)) as server:
        assert server.post(logs_of("a", "b"))[0] == 200
        wait_until(lambda: bool(keys_in(s3.endpoint)), 30, lambda: server.log)
        (key,) = keys_in(s3.endpoint)
        assert key.startswith("deep/in/logs/service=shop/date=")
        server.data = tmp_path / "s3" / BUCKET / "deep" / "in"
        assert server.bodies() == ["a", "b"]
        wait_until(
            lambda: b"stored_files_total 1.0" in page(server, "/metrics")[1],
            30,
            lambda: server.log,
        )
        metrics = page(server, "/metrics")[1]
        assert b'otlp2parquet_storage_requests_total{kind="put"} 1.0' in metrics
        root = f"s3://{BUCKET}/deep/in?endpoint={s3.endpoint}"
        assert f"writing to {root}\n" in server.log
        ready = json.loads(page(server, "/ready")[1])
        assert ready["storage"] == {"root": root, "trouble": ""}
        assert server.stop() == 0
    assert not (tmp_path / "data").exists()
    assert list((tmp_path / ".otlp2parquet").glob("*.segment")) == []


@pytest.mark.parametrize("trouble", ["bucket", "secret", "down"])
def test_trouble_at_the_start_is_a_warning(tmp_path: Path, trouble: str) -> None:
    """The server takes data into its log, says what to do, and stores it once that is done."""
    with Versitygw(tmp_path) as s3:
        settings = of_bucket(s3, "later" if trouble == "bucket" else BUCKET)
        if trouble == "secret":
            settings["AWS_SECRET_ACCESS_KEY"] = "not this one"  # noqa: S105 - a wrong one
        if trouble == "down":
            s3.stop()
        told = {
            "bucket": "there is no such bucket or container: make it, or name another",
            "secret": "the credentials are not accepted: check the keys",
            "down": "nothing answers there: check the endpoint, and whether the storage is up",
        }[trouble]
        with Server(tmp_path, settings=settings) as server:
            wait_until(lambda: told in server.log, 30, lambda: server.log)
            assert server.post(logs_of("a"))[0] == 200
            status, body = page(server, "/ready")
            assert status == 200
            assert told in json.loads(body)["storage"]["trouble"]
            if trouble == "bucket":
                (tmp_path / "s3" / "later").mkdir()
                wait_until(
                    lambda: json.loads(page(server, "/ready")[1])["storage"]["trouble"] == "",
                    60,
                    lambda: server.log,
                )
                assert server.stop() == 0
            else:
                server.kill()
        if trouble == "bucket":
            return
        again = s3 if trouble == "secret" else Versitygw(tmp_path, s3.port)
        with again, Server(tmp_path, settings=of_bucket(s3)) as server:
            wait_until(lambda: bool(keys_in(s3.endpoint)), 60, lambda: server.log)
            server.data = tmp_path / "s3" / BUCKET / "deep" / "in"
            assert server.bodies() == ["a"]
            assert server.stop() == 0


def test_a_profile_that_cannot_be_used(tmp_path: Path) -> None:
    """What only another configuration mends stops the start, and says which setting it is."""
    settings = SETTINGS | {"OTLP2PARQUET_STORAGE_URL": "s3://b-1"}
    settings |= {"OTLP2PARQUET_STORAGE_CA_FILE": "nowhere.pem"}
    with pytest.raises(Exception, match="ended with 1 before it was ready") as caught:
        Server(tmp_path, settings=settings)
    assert "Error: the file nowhere.pem cannot be read" in str(caught.value)


@pytest.mark.parametrize("is_up", [True, False])
def test_a_batch_of_another_storage(tmp_path: Path, *, is_up: bool) -> None:
    """What was acknowledged for a bucket goes there if it can be reached, else where files go."""
    with Versitygw(tmp_path) as s3:
        s3.stop()
        with Server(tmp_path, settings=of_bucket(s3)) as server:
            assert server.post(logs_of("a"))[0] == 200
            server.kill()
        # The server writes to a folder now, and knows of the bucket what its plan says.
        settings = SETTINGS | {"OTLP2PARQUET_DURABILITY_PATH": ".otlp2parquet"}
        again = Versitygw(tmp_path, s3.port) if is_up else contextlib.nullcontext()
        with again, Server(tmp_path, settings=settings) as server:
            log = tmp_path / ".otlp2parquet"
            wait_until(lambda: not list(log.glob("*.segment")), 60, lambda: server.log)
            if is_up:
                server.data = tmp_path / "s3" / BUCKET / "deep" / "in"
            assert server.bodies() == ["a"]
            assert server.stop() == 0


def test_what_earlier_processes_left_is_not_known_without_the_bucket(tmp_path: Path) -> None:
    """To know of no uncommitted receipt is not the same as: all are committed."""
    with Versitygw(tmp_path) as s3:
        settings = of_bucket(s3) | {"OTLP2PARQUET_CATALOG_TYPE": "sql"}
    with Server(tmp_path, settings=settings) as server:
        catalog = json.loads(page(server, "/ready")[1])["catalog"]
        assert (catalog["earlier_receipts_known"], catalog["uncommitted_receipts"]) == (False, 0)
        assert b"\notlp2parquet_earlier_receipts_known 0.0\n" in page(server, "/metrics")[1]
