"""S3 servers: versitygw over a folder, which checks signatures, and MinIO.

Knows their options and ready signs. Must not know who asks them for what.
"""

from __future__ import annotations

import http.client
import os
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from .cache import go_install
from .process import RunningProcess, free_port

if TYPE_CHECKING:
    from pathlib import Path

VERSITYGW = ("github.com/versity/versitygw/cmd/versitygw", "1.8.0")
MINIO = ("github.com/minio/minio", "0.0.0-20260212201848-7aac2a2c5b7c")
KEY_ID, SECRET = "testkey", "testsecret123"
BUCKET = "telemetry"
REGION = "us-east-1"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": KEY_ID,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What a client's environment has to have."""


def build_versitygw() -> Path:
    """The program, compiled on first use."""
    return go_install(*VERSITYGW)


def build_minio() -> Path:
    """The program, compiled on first use."""
    return go_install(*MINIO)


class S3Server(RunningProcess):
    """A running S3 server with an empty bucket, on a free port of 127.0.0.1."""

    def __init__(
        self, command: list[str | Path], folder: Path, port: int, health: str, **env: str
    ) -> None:
        self.port = port
        self.endpoint = f"http://127.0.0.1:{port}"
        super().__init__(command, folder / "s3.log", env={**os.environ, **env})
        self.wait_ready(lambda: _answers(port, health))

    def url(self, prefix: str = "") -> str:
        """The bucket as a storage's URL."""
        path = f"/{prefix}" if prefix else ""
        return f"s3://{BUCKET}{path}?endpoint={self.endpoint}"


class Versitygw(S3Server):
    """versitygw; ``folder/s3/telemetry`` has the bucket's objects as files."""

    def __init__(self, folder: Path, port: int = 0, region: str = REGION) -> None:
        port = port or free_port()
        data = folder / "s3"
        (data / BUCKET).mkdir(parents=True, exist_ok=True)
        command: list[str | Path] = [build_versitygw(), "--port", f"127.0.0.1:{port}"]
        command += ["--region", region]
        command += ["--access", KEY_ID, "--secret", SECRET, "--health", "/health", "--quiet"]
        super().__init__([*command, "posix", data], folder, port, "/health")


class Minio(S3Server):
    """MinIO; the bucket is made by a request."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        port = port or free_port()
        command: list[str | Path] = [build_minio(), "server", "--address", f"127.0.0.1:{port}"]
        (folder / "minio" / BUCKET).mkdir(parents=True, exist_ok=True)
        super().__init__(
            [*command, "--quiet", folder / "minio"],
            folder,
            port,
            "/minio/health/live",
            MINIO_ROOT_USER=KEY_ID,
            MINIO_ROOT_PASSWORD=SECRET,
            MINIO_UPDATE="off",
            MINIO_BROWSER="off",
        )


def s3_client(endpoint: str, bucket: str = BUCKET) -> S3Store:
    """A client of our own, to look at what others have written."""
    return S3Store(
        bucket,
        endpoint=endpoint,
        aws_endpoint_url_s3=endpoint,
        region=REGION,
        access_key_id=KEY_ID,
        secret_access_key=SECRET,
        client_options={"allow_http": True},
    )


def keys_in(endpoint: str) -> list[str]:
    """All keys of the bucket; none while nothing answers."""
    try:
        return [one["path"] for page in obstore.list(s3_client(endpoint)) for one in page]
    except (BaseError, OSError):
        return []


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
