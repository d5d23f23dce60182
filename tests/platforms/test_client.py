"""Requests to a running server: what is sent, and what is said of a server that says no."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.errors import ConfigError, ServerError
from otlp2parquet.platforms.client import ServerClient
from tests.components.process import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def answering(
    status: int, body: bytes
) -> Iterator[tuple[str, list[tuple[str, str | None, bytes]]]]:
    """A server that always answers this, and the requests that it got."""
    got: list[tuple[str, str | None, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Answer."""
            content = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, self.headers["Authorization"], content))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_flush() -> None:
    """One POST, with the token; below the path that the URL has."""
    with answering(200, b'{"status": "stored", "root": "/data"}') as (url, got):
        assert ServerClient(f"{url}/otlp/", "secret").flush()["root"] == "/data"
        assert ServerClient(url.removeprefix("http://")).flush()["root"] == "/data"
    assert got[0] == ("/otlp/flush?timeout=30", "Bearer secret", b"")
    assert got[1] == ("/flush?timeout=30", None, b"")


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (
            503,
            json.dumps({"code": 14, "message": "no storage"}).encode(),
            "answers 503: no storage",
        ),
        (404, b"<html>", "answers 404: without a message"),
        (200, b"<html>", "answers something else"),
        (200, b"[]", "answers something else"),
    ],
)
def test_a_server_that_says_no(status: int, body: bytes, said: str) -> None:
    """In its words."""
    with answering(status, body) as (url, _), pytest.raises(ServerError, match=said):
        ServerClient(url).flush()


def test_nobody_there() -> None:
    """The address is named."""
    port = free_port()
    with pytest.raises(ServerError, match=f"127.0.0.1:{port} does not answer: connection refused"):
        ServerClient(f"http://127.0.0.1:{port}").flush()


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "http://x:y", "http://x:99999"])
def test_no_url(url: str) -> None:
    """It is said what one looks like."""
    with pytest.raises(ConfigError, match="expected one of a server"):
        ServerClient(url)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("localhost:4318", "http://localhost:4318"),
        ("http://h", "http://h:4318"),
        ("https://h/x/", "https://h:443/x"),
        ("http://[::1]:5", "http://[::1]:5"),
    ],
)
def test_urls(given: str, url: str) -> None:
    """As people write them."""
    assert ServerClient(given).url == url
