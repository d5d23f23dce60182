"""The function behind a Function URL, over S3 Tables, in an emulation; with ``--lambda`` the zip.

The emulation makes the events and the tables. Without a zip it is given one whose handler is the
package that is installed here.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import platform
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from otlp2parquet.catalogs.connection import connect, connection_of
from otlp2parquet.config import load
from otlp2parquet.deploy.artifact import MACHINES, runtime
from tests.components.javascript import send_from_javascript
from tests.components.lambda_runtime import build_lambda_runtime
from tests.components.ministack import Ministack
from tests.support.exporters import send_spans_twice
from tests.support.requests import logs_request

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = {machine: name for name, machine in MACHINES.items()}
ROLE = "arn:aws:iam::000000000000:role/function"
MOST_BODY_BYTES = 4_500_000
"""Of what base64 makes 6 MB, with room for the rest of the event."""


@dataclass
class Deployed:
    """A function that was made."""

    url: str
    settings: dict[str, str]
    function: Any

    def post(self, body: bytes, **headers: str) -> tuple[int, bytes]:
        """The answer to an export request for logs."""
        fields = {"Content-Type": "application/x-protobuf", **headers}
        request = urllib.request.Request(f"{self.url}/v1/logs", body, fields)
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def invoke(self, event: dict[str, Any]) -> Any:
        """The result of an event that is no request."""
        done = self.function.invoke(FunctionName="telemetry", Payload=json.dumps(event))
        return json.loads(done["Payload"].read())

    def rows(self, table: str) -> int:
        """Rows of a table, as readers see them."""
        config = load(environ={**os.environ, **self.settings}, folder=Path("/")).config
        name = ("otlp", table)
        client = connect(connection_of(config))
        return (
            int(client.load_table(name).scan().to_arrow().num_rows)
            if client.table_exists(name)
            else 0
        )


def zip_for(folder: Path | None) -> tuple[bytes, str, str]:
    """The zip, its handler, and what is to be found beside it."""
    if folder is not None:
        (path,) = folder.glob(f"*-{OURS[platform.machine()]}.zip")
        program = "import site; print(site.getsitepackages()[0])"
        # As at AWS: boto3 is the runtime's.
        done = subprocess.run(
            [build_lambda_runtime(), "-c", program], capture_output=True, text=True, check=True
        )
        packages = done.stdout.strip()
        return path.read_bytes(), "otlp2parquet.platforms.aws_lambda.handler", packages
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as packed:
        packed.writestr("here.py", "from otlp2parquet.platforms.aws_lambda import handler\n")
    return sink.getvalue(), "here.handler", os.pathsep.join(path for path in sys.path if path)


@pytest.fixture(scope="module")
def deployed(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Deployed]:
    """A function with a URL, a table bucket and a bucket for receipts."""
    folder = request.config.getoption("--lambda")
    if not request.config.getoption("--catalogs") and folder is None:
        pytest.skip("an emulation takes its time to start: --catalogs")
    tmp_path = tmp_path_factory.mktemp("aws")
    with Ministack(tmp_path) as aws:
        where = {
            "endpoint_url": aws.endpoint,
            "region_name": "us-east-1",
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
        }
        tables = boto3.client("s3tables", **where).create_table_bucket(name="tables-url")
        storage = boto3.client("s3", **where)
        for bucket in ("otlp-url", "code"):
            storage.create_bucket(Bucket=bucket)
        code, handler, packages = zip_for(None if folder is None else Path(folder))
        storage.put_object(Bucket="code", Key="function.zip", Body=code)
        settings = {
            **aws.environment(),
            "OTLP2PARQUET_ICEBERG_BUCKET_ARN": tables["arn"],
            "OTLP2PARQUET_STORAGE_BACKEND": "s3",
            "OTLP2PARQUET_S3_BUCKET": "otlp-url",
        }
        own = {
            "PYTHONPATH": packages,
            # What the real runtime says of itself; nothing is put together without it.
            "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1",
            "OTLP2PARQUET_DURABILITY_PATH": str(tmp_path / "log"),
        }
        function = boto3.client("lambda", **where)
        function.create_function(
            FunctionName="telemetry",
            Runtime=runtime(),
            Role=ROLE,
            Handler=handler,
            Code={"S3Bucket": "code", "S3Key": "function.zip"},
            Environment={"Variables": {**settings, **own}},
            Timeout=60,
            MemorySize=1024,
        )
        made = function.create_function_url_config(FunctionName="telemetry", AuthType="NONE")
        name = made["FunctionUrl"].removeprefix("https://").partition(".")[0]
        yield Deployed(f"{aws.endpoint}/_aws/lambda-url/{name}", settings, function)


def test_sdks_send_and_tables_have_it(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The official exporters of Python and JavaScript, compressed and not, in both encodings."""
    for key, value in deployed.settings.items():
        monkeypatch.setenv(key, value)
    logs = deployed.rows("otel_logs")
    send_spans_twice(deployed.url, 3)
    assert deployed.rows("otel_traces") == 2 * 3
    for form, packing in (("proto", "gzip"), ("http", "none")):
        send_from_javascript(deployed.url, 5, packing, form)
    assert deployed.rows("otel_traces") == 2 * 3 + 2 * 5
    assert deployed.rows("otel_logs") == logs + 2 * 5
    report = deployed.invoke({"source": "aws.events", "detail-type": "Scheduled Event"})
    assert (report["is_complete"], report["left"]) == (True, 0)


def test_what_fills_an_event_is_taken(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearly 6 MB of event: a body of 4.5 MB; compressed the same telemetry is far from it."""
    for key, value in deployed.settings.items():
        monkeypatch.setenv(key, value)
    body = logs_request(1, blob="x" * (MOST_BODY_BYTES - 1000))
    assert MOST_BODY_BYTES - 1000 <= len(body) <= MOST_BODY_BYTES
    before = deployed.rows("otel_logs")
    for sent, headers in ((body, {}), (gzip.compress(body), {"Content-Encoding": "gzip"})):
        status, answer = deployed.post(sent, **headers)
        assert (status, answer) == (200, b"")
    assert deployed.rows("otel_logs") == before + 2


def test_what_is_refused_is_answered_through_it(deployed: Deployed) -> None:
    """With the server's status, as bytes."""
    status, answer = deployed.post(b"\xff")
    assert status == 400
    assert b"malformed protobuf at byte 0" in answer
    assert deployed.post(b"", **{"Content-Type": "text/plain"})[0] == 415
