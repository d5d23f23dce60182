"""TLS, client certificates and tokens over real sockets, by clients that are not ours."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from google.rpc import status_pb2
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from tests.support.server_process import COMMAND, PATIENCE_SECS, Server, environment, logs_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PREFIX = "OTLP2PARQUET_SERVER_"


@dataclass(frozen=True)
class Files:
    """Certificates in files: a server's, a client's, and those of their authorities."""

    ca: trustme.CA
    client_ca: trustme.CA
    folder: Path

    def server(self, **more: str) -> dict[str, str]:
        """Settings of a server with TLS."""
        named = {"cert": "server.pem", "key": "server.key"}
        settings = {name: str(self.folder / file) for name, file in named.items()} | more
        return {f"{PREFIX}TLS_{name.upper()}": value for name, value in settings.items()}

    def context(self, *, client: bool = False) -> ssl.SSLContext:
        """What a client of this server trusts, and shows."""
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        if client:
            context.load_cert_chain(self.folder / "client.pem")
        return context


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Made once; they are slow to make."""
    folder = tmp_path_factory.mktemp("tls")
    ca, client_ca = trustme.CA(), trustme.CA()
    cert = ca.issue_cert("127.0.0.1", "localhost")
    for number, blob in enumerate(cert.cert_chain_pems):
        blob.write_to_path(str(folder / "server.pem"), append=number > 0)
    cert.private_key_pem.write_to_path(str(folder / "server.key"))
    key = load_pem_private_key(cert.private_key_pem.bytes(), None)
    for name, encryption in (
        ("pkcs8.key", NoEncryption()),
        ("encrypted.key", BestAvailableEncryption(b"hush")),
    ):
        (folder / name).write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
        )
    ca.issue_cert("other").private_key_pem.write_to_path(str(folder / "other.key"))
    client = client_ca.issue_cert("client@example.org")
    client.private_key_and_cert_chain_pem.write_to_path(str(folder / "client.pem"))
    client_ca.cert_pem.write_to_path(str(folder / "client_ca.pem"))
    (folder / "empty.pem").write_text("")
    return Files(ca, client_ca, folder)


def post(
    server: Server, context: ssl.SSLContext, payload: bytes, **headers: str
) -> tuple[int, bytes]:
    """One request over TLS."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(
        f"https://127.0.0.1:{server.port}/v1/logs",
        payload,
        {"Content-Type": "application/x-protobuf"} | named,
    )
    try:
        with urllib.request.urlopen(request, context=context, timeout=PATIENCE_SECS) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


class TlsServer(Server):
    """A server that says that it speaks HTTPS."""

    def address(self) -> tuple[str, int] | None:
        """Where it listens."""
        before, found, after = self.log.partition("listening on https://127.0.0.1:")
        return ("127.0.0.1", int(after.partition(",")[0])) if found and before is not None else None


@pytest.mark.parametrize("key", ["server.key", "pkcs8.key"])
def test_requests_come_over_tls(tmp_path: Path, files: Files, key: str) -> None:
    """An authority's certificate, a key in either usual form; rows are kept."""
    settings = files.server(key=str(files.folder / key))
    with TlsServer(tmp_path, settings=settings) as server:
        assert post(server, files.context(), logs_of("a")) == (200, b"")
        # HTTP to the same port is no way in.
        with server.raw() as client:
            client.sendall(b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            assert b"200" not in client.recv(100)
        assert server.stop() == 0
        assert server.bodies() == ["a"]


@pytest.mark.parametrize(("lowest", "spoken"), [("1.2", True), ("1.3", False)])
def test_the_lowest_version_is_kept(
    tmp_path: Path, files: Files, lowest: str, *, spoken: bool
) -> None:
    """A client that speaks TLS 1.2 at most is served by default, and not when 1.3 is asked for."""
    context = files.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with TlsServer(tmp_path, settings=files.server(min_version=lowest)) as server:
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE_SECS) as plain:
            if spoken:
                with context.wrap_socket(plain, server_hostname="127.0.0.1") as client:
                    assert client.version() == "TLSv1.2"
            else:
                with pytest.raises((ssl.SSLError, OSError)):
                    context.wrap_socket(plain, server_hostname="127.0.0.1")
        assert post(server, files.context(), logs_of("a")) == (200, b"")


def test_only_clients_with_a_certificate_come_in(tmp_path: Path, files: Files) -> None:
    """One that the configured authority signed; none, or another's, ends in the handshake."""
    settings = files.server(client_ca=str(files.folder / "client_ca.pem"))
    with TlsServer(tmp_path, settings=settings) as server:
        assert post(server, files.context(client=True), logs_of("known")) == (200, b"")
        stranger = files.context()
        files.ca.issue_cert("stranger@example.org").configure_cert(stranger)
        for context in (files.context(), stranger):
            with pytest.raises((urllib.error.URLError, OSError)):
                post(server, context, logs_of("unknown"))
        assert server.stop() == 0
        assert server.bodies() == ["known"]


def test_the_sdk_sends_with_certificate_and_token(
    tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an application is configured: authority, certificate, header."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)  # they take precedence over the exporter's
    files.ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    settings = files.server(client_ca=str(files.folder / "client_ca.pem"))
    settings[f"{PREFIX}AUTH_TOKENS"] = "hush-1,hush-2"
    with TlsServer(tmp_path, settings=settings) as server:

        def export(token: str) -> SpanExportResult:
            exporter = OTLPSpanExporter(
                f"https://127.0.0.1:{server.port}/v1/traces",
                certificate_file=str(tmp_path / "ca.pem"),
                client_certificate_file=str(files.folder / "client.pem"),
                headers={"authorization": f"Bearer {token}"},
            )
            span: Any = TracerProvider(shutdown_on_exit=False).get_tracer("x").start_span(token)
            span.end()
            return exporter.export([span])

        assert export("hush-2") is SpanExportResult.SUCCESS
        assert export("wrong") is SpanExportResult.FAILURE
        assert server.stop() == 0
        assert len(list((server.data / "traces").rglob("*.parquet"))) == 1
        assert "hush" not in server.log


WRONG: dict[str, tuple[dict[str, str], str]] = {
    "no such certificate": ({"cert": "absent.pem"}, "cannot read"),
    "no such key": ({"key": "absent.key"}, "cannot read"),
    "no such authority": ({"client_ca": "absent.pem"}, "cannot read"),
    "another's key": ({"key": "other.key"}, "its own private key"),
    "a key for a certificate": ({"cert": "server.key"}, "cannot use"),
    "an encrypted key": ({"key": "encrypted.key"}, "not encrypted"),
    "an authority without certificates": ({"client_ca": "empty.pem"}, "server.tls.client_ca"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_file_stops_the_start(tmp_path: Path, files: Files, case: str) -> None:
    """A message that names the setting, never a server with less than was asked for."""
    names, said = WRONG[case]
    settings = files.server(**{name: str(files.folder / file) for name, file in names.items()})
    code, log = start(tmp_path, settings)
    assert code == 1
    assert said in log
    assert "server.tls." in log
    assert "Traceback" not in log


def start(folder: Path, settings: Mapping[str, str]) -> tuple[int, str]:
    """Start a server that must not come up; its exit code and what it said."""
    done = subprocess.run(
        [COMMAND, "-p", "0"],
        cwd=folder,
        env=environment() | dict(settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE_SECS,
        check=False,
    )
    return done.returncode, done.stderr.decode()


# Tokens over a socket ------------------------------------------------------------------------


def test_tokens_open_the_server(tmp_path: Path) -> None:
    """By a file, as a mounted secret; probes stay open; secrets are in no log."""
    (tmp_path / "tokens").write_text("hush-1\nhush-2\n")
    settings = {f"{PREFIX}AUTH_TOKENS_FILE": str(tmp_path / "tokens")}
    with Server(tmp_path, options=["-v"], settings=settings) as server:
        assert server.post(logs_of("a"), Authorization="Bearer hush-2") == (200, b"")
        assert server.post(logs_of("b"), X_API_Key="hush-1") == (200, b"")
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            code, body = server.post(logs_of("c"), **headers)
            assert (code, status_pb2.Status.FromString(body).code) == (401, 16)
        for path in ("/health", "/ready"):
            url = f"http://127.0.0.1:{server.port}{path}"
            with urllib.request.urlopen(url, timeout=PATIENCE_SECS) as answer:
                assert answer.status == 200
        assert server.stop() == 0
        assert sorted(server.bodies()) == ["a", "b"]
        assert "hush" not in server.log


def test_a_401_reaches_a_client_that_is_still_sending(tmp_path: Path) -> None:
    """It is answered before the body, which no well-behaved client stops to send."""
    with Server(tmp_path, settings={f"{PREFIX}AUTH_TOKENS": "hush"}) as server:
        assert server.post(bytes(900_000))[0] == 401


def test_the_configuration_shows_no_secret(tmp_path: Path) -> None:
    """``otlp2parquet config`` says that there are tokens and where they come from, not which."""
    settings = {f"{PREFIX}AUTH_TOKENS": "hush-1,hush-2"}
    shown = {}
    for form in ("text", "json"):
        done = subprocess.run(
            [COMMAND, "config", "--format", form],
            cwd=tmp_path,
            env=environment() | settings,
            capture_output=True,
            timeout=PATIENCE_SECS,
            check=True,
        )
        assert b"hush" not in done.stdout + done.stderr
        assert f"{PREFIX}AUTH_TOKENS".encode() in done.stdout
        shown[form] = done.stdout
    assert set(json.loads(shown["json"])["server.auth.tokens"]["value"]) == {"*"}


OPEN_DOOR = "whoever reaches this address may send"


@pytest.mark.parametrize(
    ("host", "tokens", "warned"),
    [
        ("127.0.0.1", "", False),
        ("127.0.0.2", "", False),
        ("localhost", "", False),
        ("0.0.0.0", "", True),  # noqa: S104 - this is what is warned of
        ("0.0.0.0", "hush", False),  # noqa: S104 - as above
    ],
)
def test_a_door_that_is_open_to_others_is_pointed_out(
    tmp_path: Path, host: str, tokens: str, *, warned: bool
) -> None:
    """Listening beyond this machine without authentication: one warning, at the start."""
    settings = {f"{PREFIX}AUTH_TOKENS": tokens} if tokens else {}
    with Server(tmp_path, options=["--host", host], settings=settings) as server:
        assert server.stop() == 0
        assert server.log.count(OPEN_DOOR) == warned
        assert server.log.count("WARN") == warned
