"""The function under AWS's own runtime client and emulator; with ``--lambda FOLDER`` the zip.

Without it the packages that are installed here run there, which is the same code and not the same
artifact.
"""

from __future__ import annotations

import os
import platform
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from otlp2parquet.catalogs.connection import connect, connection_of
from otlp2parquet.config import load
from otlp2parquet.deploy.artifact import MACHINES
from otlp2parquet.platforms.aws_lambda.settings import function_settings
from tests.components.lambda_runtime import LambdaRuntime
from tests.components.ministack import Ministack
from tests.support.catalog_server import ALL, counts
from tests.support.exporters import send_spans_twice
from tests.support.lambda_bench import PROTOBUF, rows_below
from tests.support.lambda_events import SCHEDULED, function_url, response_of
from tests.support.lambda_front import FunctionFront
from tests.support.requests import logs_request, metrics_request, traces_request
from tests.support.rest_catalog import CUT, Fault, RestCatalogServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OURS = {machine: name for name, machine in MACHINES.items()}
ALL_SIGNALS = {
    "logs": logs_request(10),
    "traces": traces_request(7),
    "metrics": metrics_request(5),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path | None:
    """The zip for this machine, unpacked; None without one."""
    folder = request.config.getoption("--lambda")
    if folder is None:
        return None
    (path,) = Path(folder).glob(f"*-{OURS[platform.machine()]}.zip")
    unpacked = tmp_path_factory.mktemp("task")
    with zipfile.ZipFile(path) as packed:
        packed.extractall(unpacked)
    return unpacked


def runtime(root: Path | None, folder: Path, environ: Mapping[str, str]) -> LambdaRuntime:
    """The function, started."""
    # The one folder that it may write to is the test's.
    own = {"OTLP2PARQUET_DURABILITY_PATH": str(folder / "log"), **environ}
    if root is None:
        own["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        root = folder
    return LambdaRuntime(root, folder / "runtime.log", own)


@pytest.fixture
def function(root: Path | None, tmp_path: Path) -> Iterator[LambdaRuntime]:
    """A function that writes into a folder."""
    with runtime(root, tmp_path, {"OTLP2PARQUET_STORAGE_PATH": str(tmp_path / "data")}) as made:
        yield made


def post(function: LambdaRuntime, signal: str) -> int:
    """The status of the answer to an export request."""
    event = function_url("POST", f"/v1/{signal}", PROTOBUF, ALL_SIGNALS[signal])
    return response_of(function.invoke(event)).status


def test_every_signal_is_stored(function: LambdaRuntime, tmp_path: Path) -> None:
    """By AWS's own way of calling a handler, and in the documented form."""
    health = response_of(function.invoke(function_url("GET", "/health", [], b"")))
    assert health.status == 200
    for signal in ALL_SIGNALS:
        assert post(function, signal) == 200, function.log
    assert rows_below(tmp_path / "data") == 10 + 7 + 25


def test_an_error_is_the_runtimes(function: LambdaRuntime) -> None:
    """What is no event of ours fails as callers expect it, and the next one is answered."""
    failed: Any = function.invoke({"nothing": "ours"})
    assert failed["errorType"] == "EventError"
    assert post(function, "logs") == 200


def test_the_official_exporters_send_through_it(function: LambdaRuntime, tmp_path: Path) -> None:
    """Of the Python SDK, through what stands for a Function URL; compressed, too."""
    with FunctionFront(function.invoke) as front:
        send_spans_twice(front.endpoint, 3)
    assert rows_below(tmp_path / "data") == 2 * 3, function.log


def test_a_wrong_configuration_says_so(root: Path | None, tmp_path: Path) -> None:
    """In the log, when the environment is made: nobody is answered as if all were well."""
    with runtime(root, tmp_path, {}) as function:
        failed: Any = function.invoke(function_url("GET", "/health", [], b""))
        assert "statusCode" not in failed
        assert "storage.backend" in function.log + str(failed)


def test_killed_between_the_store_and_the_commit(
    root: Path | None, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Its process ends while the catalog is asked to commit; the schedule commits, once."""
    if not request.config.getoption("--catalogs") and root is None:
        pytest.skip("another environment takes its time to start: --catalogs")
    (tmp_path / "catalog").mkdir()
    with RestCatalogServer(tmp_path / "catalog") as catalog:
        settings = {
            "OTLP2PARQUET_STORAGE_PATH": str(tmp_path / "data"),
            "OTLP2PARQUET_ICEBERG_REST_URI": catalog.uri,
        }
        with runtime(root, tmp_path, settings) as function:
            assert post(function, "logs") == 200
            kills = 0

            def kill(method: str, path: str) -> Fault | None:
                nonlocal kills
                if method != "POST" or "/tables/" not in path or kills:
                    return None
                kills += 1
                function.kill_function()
                return CUT

            catalog.script = kill
            event = function_url("POST", "/v1/logs", PROTOBUF, ALL_SIGNALS["logs"])
            failed: Any = function.invoke(event)
            assert kills == 1
            assert "statusCode" not in failed
            assert len(list((tmp_path / "data").rglob("receipts/**/*.json"))) == 1
            report: Any = function.invoke(SCHEDULED)
            assert (report["rows"], report["is_complete"]) == (10, True), function.log
            again: Any = function.invoke(SCHEDULED)
            assert (again["rows"], again["is_complete"]) == (0, True)
        client = connect(connection_of(function_settings(settings).config))
        assert client.load_table(("otlp", "otel_logs")).scan().to_arrow().num_rows == 20
    assert not list((tmp_path / "data").rglob("receipts/**/*.json"))


@pytest.fixture(scope="module")
def aws(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Ministack]:
    """The emulation of S3 and S3 Tables."""
    if not request.config.getoption("--catalogs") and request.config.getoption("--lambda") is None:
        pytest.skip("an emulation takes its time to start: --catalogs")
    with Ministack(tmp_path_factory.mktemp("aws")) as running:
        yield running


@pytest.mark.parametrize("has_bucket", [True, False], ids=["bucket", "arn-alone"])
def test_s3_tables(
    *, has_bucket: bool, root: Path | None, tmp_path: Path, aws: Ministack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """From the ARN alone, and with a bucket for receipts: what is acknowledged is in the tables."""
    name = "receipts" if has_bucket else "alone"
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    where = {"endpoint_url": aws.endpoint, "region_name": "us-east-1"}
    arn = boto3.client("s3tables", **where, **keys).create_table_bucket(name=f"tables-{name}")[
        "arn"
    ]
    settings = {**aws.environment(), "OTLP2PARQUET_ICEBERG_BUCKET_ARN": arn}
    if has_bucket:
        boto3.client("s3", **where, **keys).create_bucket(Bucket=f"otlp-{name}")
        settings["OTLP2PARQUET_STORAGE_BACKEND"] = "s3"
        settings["OTLP2PARQUET_S3_BUCKET"] = f"otlp-{name}"
    with runtime(root, tmp_path, settings) as function:
        for _ in range(2):
            for signal in ALL_SIGNALS:
                assert post(function, signal) == 200, function.log
        assert function.invoke(SCHEDULED)["is_complete"], function.log
    for key, value in settings.items():
        monkeypatch.setenv(key, value)
    config = load(environ={**os.environ, **settings}, folder=tmp_path).config
    found = counts(connect(connection_of(config)))
    assert found == {table: 2 * count for table, count in ALL.items()}
