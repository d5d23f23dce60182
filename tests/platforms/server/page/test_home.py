"""What ``/`` answers, with and without the page, with and without tokens."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.config import AuthConfig, ServerConfig
from otlp2parquet.core.otlp_http import PATHS
from otlp2parquet.platforms.server.front_door import front_door
from otlp2parquet.platforms.server.page.document import document
from otlp2parquet.platforms.server.page.home import Home
from tests.support.asgi_bench import Bench, ask

if TYPE_CHECKING:
    from otlp2parquet.core.otlp_http import Response

BROWSER = (b"accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
CURL = (b"accept", b"*/*")
JSON = (b"accept", b"application/json")


def fields_of(response: Response) -> dict[bytes, bytes]:
    """The header fields of a response."""
    return dict(response.headers)


def test_a_browser_gets_the_page() -> None:
    """With its policy, and with what keeps it from being read as something else."""
    response = Home(has_page=True, has_tokens=False).answer([BROWSER])
    body, policy = document()
    fields = fields_of(response)
    assert (response.status, response.body) == (200, body)
    assert fields[b"content-type"] == b"text/html; charset=utf-8"
    assert fields[b"content-length"] == b"%d" % len(body)
    assert fields[b"content-security-policy"] == policy.encode()
    assert fields[b"x-content-type-options"] == b"nosniff"
    assert fields[b"referrer-policy"] == b"no-referrer"
    assert fields[b"vary"] == b"accept"


@pytest.mark.parametrize("accept", [[CURL], [JSON], []])
@pytest.mark.parametrize("has_page", [True, False])
def test_who_asks_for_json_gets_an_index(
    accept: list[tuple[bytes, bytes]], *, has_page: bool
) -> None:
    """All paths that there are, where gRPC is taken, and whether a token is wanted."""
    home = Home(has_page=has_page, has_tokens=True, path_prefix="/otlp")
    home.grpc_address = "127.0.0.1:4317"
    response = home.answer(accept)
    assert fields_of(response)[b"content-type"] == b"application/json"
    index = json.loads(response.body)
    assert index["name"] == "otlp2parquet"
    paths = [*PATHS, "/health", "/ready", "/metrics", "/flush", *["/live"] * has_page]
    assert list(index["endpoints"]) == [f"/otlp{path}" for path in paths]
    assert (index["grpc"], index["tokens"]) == ("127.0.0.1:4317", True)
    assert ("server.page" in index["page"]) is not has_page


def test_a_browser_gets_the_index_and_the_setting_where_the_page_is_off() -> None:
    """As a text, which names what turns the page on."""
    response = Home(has_page=False, has_tokens=False).answer([BROWSER])
    text = response.body.decode()
    assert fields_of(response)[b"content-type"] == b"text/plain; charset=utf-8"
    assert b"content-security-policy" not in fields_of(response)
    assert "/v1/logs" in text
    assert "server.page = true" in text
    assert "/live" not in text


def test_a_stranger_gets_the_page_but_not_the_version() -> None:
    """A browser that opens an address has no token yet; the page holds nothing that is secret."""
    with Bench() as bench:
        auth = AuthConfig(tokens=("secret",))
        closed = front_door(bench.app, ServerConfig(auth=auth))
        for path in ("/", "/live"):
            answer = asyncio.run(ask(closed, headers=[BROWSER], path=path, method="GET"))
            assert answer.status == 401, "without the page there is nothing to be open"
        door = front_door(bench.app, ServerConfig(auth=auth, page=True))
        answer = asyncio.run(ask(door, headers=[BROWSER], path="/", method="GET"))
        assert answer.status == 200
        for token, knows in ((b"secret", True), (b"wrong", False)):
            headers = [JSON, (b"authorization", b"Bearer " + token)]
            answer = asyncio.run(ask(door, headers=headers, path="/", method="GET"))
            assert (answer.status, "version" in json.loads(answer.body)) == (200, knows)
        for path, method in (("/live", "GET"), ("/", "POST"), ("/", "OPTIONS"), ("//", "GET")):
            answer = asyncio.run(ask(door, headers=[BROWSER], path=path, method=method))
            assert answer.status == 401, (path, method)


def test_only_reading_is_answered() -> None:
    """A HEAD gets the head alone; who posts to ``/`` learns where requests are taken."""
    with Bench() as bench:
        head = asyncio.run(ask(bench.app, headers=[CURL], path="/", method="HEAD"))
        assert (head.status, head.body) == (200, b"")
        assert int(head.headers[b"content-length"]) > 0
        posted = asyncio.run(ask(bench.app, path="/", method="POST"))
        assert posted.status == 404
