"""Web pages of somebody else: one table of who asks and what each of the server's paths gives them.

The server listens on a loopback address, where whatever a browser runs can reach it.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from otlp2parquet.config import AuthConfig, CorsConfig, ServerConfig
from otlp2parquet.platforms.server.front_door import front_door
from tests.support.asgi_bench import PROTOBUF, Answer, Bench, ask, logs_request, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator

Header = tuple[bytes, bytes]

OWN: Header = (b"host", b"127.0.0.1:4318")
REBOUND: Header = (b"host", b"evil.example:4318")
CONTAINER: Header = (b"host", b"otlp2parquet:4318")
CROSS: Header = (b"sec-fetch-site", b"cross-site")

# What each path is asked for, and the statuses of: a caller of our own, a page of somebody else.
PATHS = {
    "/health": ("GET", 200, 200),
    "/ready": ("GET", 200, 200),
    "/": ("GET", 200, 200),
    "/metrics": ("GET", 200, 403),
    "/live": ("GET", 404, 403),  # the live view is off here
    "/flush": ("POST", 200, 403),
    "/v1/logs": ("POST", 200, 403),
    "/v1/logs/": ("POST", 200, 403),
    "/v1/traces": ("POST", 200, 403),
    "/v1/metrics": ("POST", 200, 403),
    "/v2/logs": ("POST", 404, 403),
}

OURS: dict[str, tuple[Header, ...]] = {
    "a program": (OWN,),
    "a program that says no name": (),
    "a page of our own": (OWN, (b"sec-fetch-site", b"same-origin")),
    "an address that is typed in": (OWN, (b"sec-fetch-site", b"none")),
    "a page of our own that sends": (OWN, (b"origin", b"http://127.0.0.1:4318")),
    "by the name localhost": ((b"host", b"localhost:4318"), (b"origin", b"http://localhost:4318")),
    "by IPv6": ((b"host", b"[::1]:4318"), (b"origin", b"http://[::1]:4318")),
    "through a proxy with TLS": (
        (b"host", b"shop.example"),
        (b"origin", b"https://shop.example"),
        (b"sec-fetch-site", b"same-origin"),
    ),
}
FOREIGN: dict[str, tuple[Header, ...]] = {
    "another origin": (OWN, (b"origin", b"https://evil.example")),
    "a page in a file or a sandbox": (OWN, (b"origin", b"null")),
    "another origin, as browsers of today say": (OWN, CROSS),
    "another port": (OWN, (b"origin", b"http://127.0.0.1:3000")),
    "another site's name for us": (REBOUND, (b"origin", b"http://evil.example:4318")),
}


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A server that listens on a loopback address, below a prefix, too."""
    with Bench(path_prefix="/otlp") as made:
        yield made


def request(
    bench: Bench, path: str, headers: tuple[Header, ...], config: ServerConfig | None = None
) -> Answer:
    """What the path is there for, on 127.0.0.1."""
    method = PATHS[path.removeprefix("/otlp") or "/"][0]
    is_export = "/v" in path
    door = front_door(bench.app, config or ServerConfig())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        local = {"server": ("127.0.0.1", 4318), "scheme": "http"}
        await door({**scope, **local}, receive, send)

    async def asked() -> Answer:
        bench.app.start()
        body = parts_of(logs_request(1)) if path.endswith("logs") else parts_of(b"")
        kind = (PROTOBUF,) if is_export else ()
        return await ask(app, body, path=path, method=method, headers=(*kind, *headers))

    return asyncio.run(asked())


@pytest.mark.parametrize("prefix", ["", "/otlp"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("caller", OURS)
def test_our_own_callers(bench: Bench, caller: str, path: str, prefix: str) -> None:
    """Programs, and pages of the server's own address, get all, below the prefix as well."""
    if caller == "through a proxy with TLS" and PATHS[path][0] == "GET":
        return  # a browser names no origin with a GET: the name alone speaks there, see below
    assert request(bench, prefix + path, OURS[caller]).status == PATHS[path][1]


@pytest.mark.parametrize("prefix", ["", "/otlp"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("caller", FOREIGN)
def test_pages_of_somebody_else(bench: Bench, caller: str, path: str, prefix: str) -> None:
    """Nothing has an effect, nothing of a body is read into a batch, and little can be read."""
    answer = request(bench, prefix + path, FOREIGN[caller])
    assert answer.status == PATHS[path][2]
    assert bench.rows == 0
    if answer.status == 403:
        text = answer.body.decode("latin-1")
        assert "server.cors.allowed_origins" in text
        assert answer.received_before == 0
    if path == "/ready":
        assert "last_error" not in json.loads(answer.body)["batches"]
    if path == "/":
        assert "version" not in json.loads(answer.body)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/metrics", 403), ("/live", 403), ("/ready", 200), ("/health", 200), ("/", 200)],
)
def test_a_foreign_name_reads_little(bench: Bench, path: str, status: int) -> None:
    """A page behind a rebound name names no origin with a GET: its name is all there is."""
    answer = request(bench, path, (REBOUND,))
    assert answer.status == status
    if path == "/ready":
        assert "last_error" not in json.loads(answer.body)["batches"]


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/metrics", "/flush"])
def test_a_program_calls_by_any_name(bench: Bench, path: str) -> None:
    """A Collector knows the server by a container's name, or comes through a proxy."""
    assert request(bench, path, (CONTAINER,)).status == 200


ALLOWED = ServerConfig(cors=CorsConfig(allowed_origins=("https://shop.example",)))
SHOP: tuple[Header, ...] = (OWN, (b"origin", b"https://shop.example"), CROSS)


@pytest.mark.parametrize("path", PATHS)
def test_an_allowed_page_sends_and_reads_nothing(bench: Bench, path: str) -> None:
    """What ``server.cors`` allows is to send: the answers of other paths are not for it."""
    answer = request(bench, path, SHOP, ALLOWED)
    is_export = path.startswith("/v")
    assert answer.status == PATHS[path][1 if is_export else 2]
    assert (b"access-control-allow-origin" in answer.headers) == is_export


def test_another_page_than_the_allowed_one_sends_nothing(bench: Bench) -> None:
    """Also where some page may."""
    assert request(bench, "/v1/logs", FOREIGN["another origin"], ALLOWED).status == 403
    assert bench.rows == 0


@pytest.mark.parametrize("path", ["/otlp/health", "/otlp/ready", "/health"])
def test_probes_need_no_token_below_the_prefix(bench: Bench, path: str) -> None:
    """The door knows the prefix, too; everything else wants a token there."""
    config = ServerConfig(auth=AuthConfig(tokens=("secret",)), path_prefix="/otlp")
    assert request(bench, path, (OWN,), config).status == 200
    assert request(bench, "/otlp/metrics", (OWN,), config).status == 401
