"""``otlp2parquet flush``: a running server stores, and what is wrong is told by an exit code."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING

import pytest
import trustme

from otlp2parquet.cli.running_server import NoServerError, RunningServer, server_at
from otlp2parquet.config import Address, AuthConfig, Config, ServerConfig
from tests.support.conversion import run
from tests.support.server_process import Server, logs_of

if TYPE_CHECKING:
    from pathlib import Path

SLOW = {"OTLP2PARQUET_BATCH_MAX_AGE_SECS": "3600"}

HOSTILE = "\x1b[2J\x9b31m\u202e\n"


def test_a_running_server_stores_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the settings of here, tokens included; the line says how much, and where it is."""
    monkeypatch.setenv("OTLP2PARQUET_SERVER_AUTH_TOKENS", "secret,other")
    settings = SLOW | {"OTLP2PARQUET_SERVER_AUTH_TOKENS": "secret"}
    with Server(tmp_path, settings=settings) as server:
        monkeypatch.setenv("OTLP2PARQUET_LISTEN_ADDR", f"127.0.0.1:{server.port}")
        assert server.post(logs_of("a", "b"), X_API_Key="secret") == (200, b"")
        result = run("flush")
        assert result.exit_code == 0
        assert result.output.startswith("stored 2 rows in 1 file (")
        assert result.output.endswith(f" s, in {server.data}\n")
        assert sorted(server.bodies()) == ["a", "b"]
        assert (
            run("flush").output == f"nothing was waiting, everything is stored, in {server.data}\n"
        )
        page = json.loads(run("flush", "--format", "json").output)
        assert (page["status"], page["batches"]) == ("stored", 0)
        monkeypatch.setenv("OTLP2PARQUET_SERVER_AUTH_TOKENS", "wrong")
        refused = run("flush", "--url", f"http://127.0.0.1:{server.port}/")
        assert refused.exit_code == 1
        assert "expected a known token" in refused.output


def test_the_servers_own_certificate_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who starts the server by these settings need not say anything twice."""
    ca = trustme.CA()
    cert = ca.issue_cert("127.0.0.1")
    cert.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    for number, blob in enumerate([*cert.cert_chain_pems, ca.cert_pem]):
        blob.write_to_path(str(tmp_path / "cert.pem"), append=number > 0)
    settings = {
        f"OTLP2PARQUET_SERVER_TLS_{name.upper()}": str(tmp_path / f"{name}.pem")
        for name in ("cert", "key")
    }
    with Server(tmp_path, settings=settings) as server:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("OTLP2PARQUET_LISTEN_ADDR", f"0.0.0.0:{server.port}")
        result = run("flush")
        assert (result.exit_code, result.output[:7]) == (0, "nothing")
        assert f"the live view of https://127.0.0.1:{server.port} is off" in run("tail").output


def test_a_certificate_without_that_of_who_signed_it_is_enough(tmp_path: Path) -> None:
    """It is the one that the settings name, and so the one that is meant."""
    ca = trustme.CA()
    cert = ca.issue_cert("127.0.0.1")
    (leaf,) = cert.cert_chain_pems
    leaf.write_to_path(str(tmp_path / "cert.pem"))
    cert.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    settings = {
        f"OTLP2PARQUET_SERVER_TLS_{name.upper()}": str(tmp_path / f"{name}.pem")
        for name in ("cert", "key")
    }
    with Server(tmp_path, settings=settings) as server:
        asked = RunningServer(
            f"https://127.0.0.1:{server.port}", trusted=str(tmp_path / "cert.pem")
        )
        assert asked.flush()["rows"] == {}


@pytest.mark.parametrize("command", [["flush"], ["connect", "--check"]])
def test_what_is_no_http_is_safe_to_be_shown(command: list[str]) -> None:
    """Whoever listens there: no letter of it moves the terminal's cursor."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(HOSTILE.encode())

        thread = threading.Thread(target=answer)
        thread.start()
        result = run(*command, "--url", f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join()
    assert result.exit_code == 1
    assert "no server answers at" in result.output
    assert not any(one in result.output for one in HOSTILE[:-1] if not one.isprintable())


def test_nobody_there_is_said() -> None:
    """With the address that was tried, and how another one is named."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        result = run("flush", "--url", url)
    assert result.exit_code == 1
    assert f"no server answers at {url}: connection refused" in result.output
    assert "--url" in result.output


@pytest.mark.parametrize(
    ("status", "page", "told"),
    [
        (400, {"message": HOSTILE}, r"\x1b[2J\x9b31m\u202e\n"),
        (
            200,
            {"root": HOSTILE, "rows": {"a": 1}, "files": 1, "bytes": 1, "secs": 0.1},
            r"1 row in 1 file (1 bytes), in 0.1 s, in \x1b[2J\x9b31m\u202e\n",
        ),
        (200, {}, "answered 200, expected an otlp2parquet that knows flush"),
        (200, {"rows": 1}, "answered 200, expected an otlp2parquet that knows flush"),
        (200, {"root": 1}, "answered 200, expected an otlp2parquet that knows flush"),
    ],
)
def test_whatever_answers_there(
    monkeypatch: pytest.MonkeyPatch, status: int, page: dict[str, object], told: str
) -> None:
    """Another program may: what it says does nothing to a terminal, and is no traceback."""
    answer = status, json.dumps(page).encode()
    monkeypatch.setattr(RunningServer, "request", lambda *_, **__: answer)
    output = run("flush", "--url", "http://127.0.0.1:1").output
    assert told in output
    assert "Traceback" not in output
    assert not any(one in output for one in HOSTILE[:-1] if not one.isprintable())
    if status != 200:
        with pytest.raises(NoServerError) as raised:
            RunningServer("http://127.0.0.1:1").flush()
        assert told in str(raised.value)


@pytest.mark.parametrize("options", [("--timeout", "301"), ("--timeout", "-1"), ("--format", "x")])
def test_a_wrong_use_is_2(options: tuple[str, str]) -> None:
    """As of every command."""
    assert run("flush", *options).exit_code == 2


@pytest.mark.parametrize("url", ["127.0.0.1:4318", "ftp://x", "http://", "http://x:0", "http://[x"])
def test_what_is_no_url_is_said(url: str) -> None:
    """Before anything is asked."""
    with pytest.raises(NoServerError, match="expected a URL"):
        server_at(url, Config())


@pytest.mark.parametrize(
    ("address", "url"),
    [
        (Address("127.0.0.1", 4318), "http://127.0.0.1:4318"),
        (Address("0.0.0.0", 80), "http://127.0.0.1:80"),  # noqa: S104 - nobody binds to it
        (Address("::", 4318), "http://[::1]:4318"),
        (Address("localhost", 1), "http://localhost:1"),
    ],
)
def test_where_a_server_of_these_settings_is(address: Address, url: str) -> None:
    """An address of all interfaces is none to go to."""
    config = Config(server=ServerConfig(listen_addr=address, auth=AuthConfig(("a", "b"))))
    server = server_at(None, config)
    assert (server.url, server.token) == (url, "a")
    with pytest.raises(NoServerError, match="expected --url"):
        server_at(None, Config(server=ServerConfig(listen_addr=Address("127.0.0.1", 0))))
