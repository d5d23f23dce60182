"""How a place is reached: credentials and where they come from, endpoints, certificates."""

from __future__ import annotations

import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, BinaryIO

import botocore.session
import pytest
import trustme

from otlp2parquet.errors import ConfigError, NameTakenError, StorageUnavailableError
from otlp2parquet.stores.clients import Access, open_store
from otlp2parquet.stores.location import Location
from tests.components.s3 import BUCKET, KEY_ID, SECRET, Versitygw
from tests.support.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otlp2parquet.stores import Store
    from tests.stores.conftest import Servers

QUICK = Access(timeout_secs=5.0)


@pytest.fixture
def endpoint(servers: Servers) -> str:
    """A real S3 server's."""
    return servers.get("versitygw", Versitygw).endpoint


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, endpoint: str) -> pytest.MonkeyPatch:  # noqa: ARG001 - the server's start reads them
    """An environment without credentials, on a machine without a role."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")
    return monkeypatch


def write(sink: BinaryIO) -> None:
    """An object's content."""
    sink.write(b"x")


def try_it(store: Store) -> None:
    """Write one object, whose name another test may have taken."""
    try:
        store.create("clients/x", write)
    except NameTakenError:
        return


def test_a_profile(bare: pytest.MonkeyPatch, tmp_path: Path, endpoint: str) -> None:
    """Keys and region of the profile that AWS_PROFILE names, or of the default one."""
    (tmp_path / "config").write_text("[profile work]\nregion = us-east-1\n[default]\nregion = x\n")
    (tmp_path / "credentials").write_text(
        f"[work]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n"
        "[default]\naws_access_key_id = other\naws_secret_access_key = other\n"
    )
    location = Location("s3", BUCKET, "", endpoint)
    with pytest.raises(StorageUnavailableError, match=r"region|credentials are not accepted"):
        try_it(open_store(location, QUICK))
    bare.setenv("AWS_PROFILE", "work")
    try_it(open_store(location, QUICK))


def test_a_profile_that_is_not_there(bare: pytest.MonkeyPatch, endpoint: str) -> None:
    """It is named, at the start."""
    bare.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigError, match="the AWS profile nobody cannot be used"):
        open_store(Location("s3", BUCKET, "", endpoint), QUICK)


def test_credentials_that_are_renewed(
    bare: pytest.MonkeyPatch, tmp_path: Path, endpoint: str
) -> None:
    """A profile's program is asked again when what it gave has expired, not before."""
    script = tmp_path / "credentials.sh"
    script.write_text(
        f'#!/bin/sh\necho x >> {tmp_path}/asked\ncat <<E\n{{"Version": 1, '
        f'"AccessKeyId": "{KEY_ID}", "SecretAccessKey": "{SECRET}", '
        '"Expiration": "2020-01-01T00:00:00Z"}\nE\n'
    )
    script.chmod(0o755)
    (tmp_path / "config").write_text(
        f"[profile sso]\nregion = us-east-1\ncredential_process = {script}\n"
    )
    bare.setenv("AWS_PROFILE", "sso")
    # They have expired for long: each question to botocore is a renewal, which fails or succeeds.
    with pytest.raises((StorageUnavailableError, ConfigError)) as caught:
        try_it(open_store(Location("s3", BUCKET, "", endpoint), QUICK))
    assert "expired" in str(caught.value)
    script.write_text(script.read_text().replace("2020", "2099"))
    try_it(open_store(Location("s3", BUCKET, "", endpoint), QUICK))


def test_without_botocore(bare: pytest.MonkeyPatch, endpoint: str) -> None:
    """A profile needs it, and the error says how to get it."""
    bare.setenv("AWS_PROFILE", "work")
    bare.setitem(__import__("sys").modules, "botocore.session", None)
    with pytest.raises(ConfigError, match=r"pip install 'otlp2parquet\[aws\]'"):
        open_store(Location("s3", BUCKET, "", endpoint), QUICK)
    assert botocore.session is not None


@pytest.mark.usefixtures("bare")
def test_no_credentials_at_all(endpoint: str) -> None:
    """The error lists where they may be put."""
    with pytest.raises(StorageUnavailableError, match=r"no credentials|nothing answers there"):
        try_it(open_store(Location("s3", BUCKET, "", endpoint, "us-east-1"), QUICK))


def test_the_setting_precedes_the_environment(
    monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    """AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL count where no endpoint is set, in this order."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:2")
    try_it(open_store(Location("s3", BUCKET, "", endpoint), QUICK))
    with pytest.raises(StorageUnavailableError, match=r"127\.0\.0\.1:1"):
        try_it(open_store(Location("s3", BUCKET), QUICK))
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    with pytest.raises(StorageUnavailableError, match=r"127\.0\.0\.1:2"):
        try_it(open_store(Location("s3", BUCKET), QUICK))


def test_r2_takes_nothing_of_aws(monkeypatch: pytest.MonkeyPatch, servers: Servers) -> None:
    """A session token and an endpoint of AWS in the environment are not R2's."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of somebody else")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    server = servers.get("r2", lambda folder: Versitygw(folder, region="auto"))
    with Proxy(server.port) as proxy:
        access = Access(key_id=KEY_ID, secret=SECRET, timeout_secs=5.0)
        try_it(open_store(Location("r2", BUCKET, "", proxy.endpoint), access))
        assert len(proxy.asked) == 1


def test_host_style(servers: Servers) -> None:
    """The bucket comes before the endpoint's host, and not in the path."""
    port = servers.get("versitygw", Versitygw).port
    location = Location("s3", BUCKET, "", f"http://localhost:{port}")
    with pytest.raises(StorageUnavailableError) as caught:
        try_it(open_store(location, Access(path_style=False, timeout_secs=5.0)))
    assert f"http://{BUCKET}.localhost:{port}/clients/x" in str(caught.value)


class Answering(BaseHTTPRequestHandler):
    """Takes every object."""

    def do_PUT(self) -> None:
        """Take it."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("ETag", '"x"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """It says nothing."""


@pytest.fixture
def private_cloud(tmp_path: Path) -> Iterator[str]:
    """A storage with a certificate of an authority that nobody knows; that is in ca.pem."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = HTTPServer(("127.0.0.1", 0), Answering)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("servers")
def test_an_authority_of_ones_own(private_cloud: str, tmp_path: Path) -> None:
    """It is trusted when it is named, and the error says where to name it."""
    location = Location("s3", BUCKET, "", private_cloud)
    with pytest.raises(StorageUnavailableError, match=r"name its authority in storage\.ca_file"):
        try_it(open_store(location, QUICK))
    try_it(open_store(location, Access(timeout_secs=5.0, ca_file=tmp_path / "ca.pem")))
    with pytest.raises(ConfigError, match=r"absent\.pem cannot be read"):
        open_store(location, Access(ca_file=tmp_path / "absent.pem"))
