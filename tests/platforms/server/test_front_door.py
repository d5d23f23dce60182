"""Who may enter: tokens, web pages, and that nothing else opens the door.

The doors are tested around an application that tells that it was reached.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.rpc import status_pb2
from hypothesis import given
from hypothesis import strategies as st

from otlp2parquet.config import AuthConfig, CorsConfig, ServerConfig, load
from otlp2parquet.core.auth import Tokens
from otlp2parquet.errors import StorageError
from otlp2parquet.platforms.server import front_door as module
from otlp2parquet.platforms.server.asgi import DRAIN_BYTES
from otlp2parquet.platforms.server.front_door import front_door
from tests.support.asgi_bench import Answer, Bench, ask, logs_request, parts_of
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence

Header = tuple[bytes, bytes]

TOKENS = ("first-secret", "second-secret")
PROTOBUF = (b"content-type", b"application/x-protobuf")
REACHED = 299
LOCKED = ServerConfig(auth=AuthConfig(tokens=TOKENS))
PAGE = b"https://shop.example"
PAGES = CorsConfig(allowed_origins=("https://shop.example", "http://localhost:3000"))
PREFLIGHT = [
    (b"origin", PAGE),
    (b"access-control-request-method", b"POST"),
    (b"access-control-request-headers", b"content-type"),
]


async def inside(scope: Any, receive: Any, send: Any) -> None:
    """The application behind the door: it answers everything, with the body's length."""
    assert scope["type"] == "http"
    size = len((await receive()).get("body", b""))
    await send({"type": "http.response.start", "status": REACHED, "headers": [(b"a", b"b")]})
    await send({"type": "http.response.body", "body": b"%d" % size})


def knock(config: ServerConfig, headers: Sequence[Header] = (), **options: Any) -> Answer:
    """One request at the door."""
    events = options.pop("events", parts_of(b"body"))
    return asyncio.run(ask(front_door(inside, config), events, headers=headers, **options))


def test_without_configuration_there_is_no_door() -> None:
    """Nothing is in the way of requests when nothing is asked for."""
    assert front_door(inside, ServerConfig()) is inside


OPENS: list[list[Header]] = [
    [(b"authorization", b"Bearer first-secret")],
    [(b"authorization", b"Bearer second-secret")],
    [(b"authorization", b"bearer first-secret")],
    [(b"authorization", b"BEARER   first-secret ")],
    [(b"x-api-key", b"second-secret")],
    [(b"x-api-key", b" second-secret")],
    [(b"authorization", b"Basic Zm9vOmJhcg=="), (b"x-api-key", b"first-secret")],
    [(b"x-api-key", b"wrong"), (b"authorization", b"Bearer first-secret")],
]


@pytest.mark.parametrize("headers", OPENS)
def test_any_of_the_tokens_opens(headers: list[Header]) -> None:
    """In either place; the scheme in any case (RFC 9110, 11.1)."""
    assert knock(LOCKED, [PROTOBUF, *headers]).status == REACHED


STAYS_SHUT: list[list[Header]] = [
    [],
    [(b"authorization", b"")],
    [(b"authorization", b"Bearer")],
    [(b"authorization", b"Bearer ")],
    [(b"authorization", b"first-secret")],
    [(b"authorization", b"Basic first-secret")],
    [(b"authorization", b"Bearer first-secre")],
    [(b"authorization", b"Bearer first-secrets")],
    [(b"authorization", b"Bearer FIRST-SECRET")],
    [(b"authorization", b"Bearer first-secret,second-secret")],
    [(b"authorization", b"Bearer \xff\x00")],
    [(b"x-api-key", b"")],
    [(b"x-api-key", b"Bearer first-secret")],
    [(b"api-key", b"first-secret")],
    [(b"cookie", b"x-api-key=first-secret")],
]


@pytest.mark.parametrize("headers", STAYS_SHUT)
def test_anything_else_does_not(headers: list[Header]) -> None:
    """No secret, half of one, one in the wrong place: 401, and nobody inside hears of it."""
    answer = knock(LOCKED, [PROTOBUF, *headers])
    assert answer.status == 401
    assert answer.headers[b"www-authenticate"] == b"Bearer"
    assert answer.headers[b"connection"] == b"close"
    status = status_pb2.Status.FromString(answer.body)
    assert status.code == 16
    assert b"secret" not in answer.body


@given(st.binary(max_size=40))
def test_no_other_bytes_open(guess: bytes) -> None:
    """Whatever is shown, only the tokens are."""
    opens = guess.strip() in {token.encode() for token in TOKENS}
    assert Tokens(TOKENS).admit([(b"x-api-key", guess)]) == opens
    assert Tokens(TOKENS).admit([(b"authorization", b"Bearer " + guess)]) == opens


def test_every_token_is_compared_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time tells nothing: digests of one length, all of them, also behind one that is right."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return left == right

    monkeypatch.setattr("otlp2parquet.core.auth.hmac.compare_digest", compare)
    tokens = Tokens(TOKENS)
    for shown in (b"first-secret", b"", b"x" * 10_000):
        compared.clear()
        tokens.admit([(b"x-api-key", shown)])
        assert [(len(left), len(right)) for left, right in compared] == [(32, 32)] * 2


def test_the_answer_comes_before_the_body() -> None:
    """Who is turned away is told at once, and little of the rest is taken in."""
    part = bytes(DRAIN_BYTES // 4)
    events = parts_of(*[part] * 20)
    answer = knock(LOCKED, [PROTOBUF], events=events)
    assert answer.status == 401
    assert answer.received_before == 0
    assert 1 <= answer.received <= 6


@pytest.mark.parametrize(
    ("content_type", "answered"),
    [
        (b"application/x-protobuf", b"application/x-protobuf"),
        (b"Application/X-Protobuf; charset=x", b"application/x-protobuf"),
        (b"application/json", b"application/json"),
        (b"application/x-ndjson", b"application/json"),
        (b"text/html", b"application/json"),
        (None, b"application/json"),
    ],
)
def test_a_401_has_the_requests_format(content_type: bytes | None, answered: bytes) -> None:
    """A Status that the client can read."""
    headers = [] if content_type is None else [(b"content-type", content_type)]
    answer = knock(LOCKED, headers)
    assert (answer.status, answer.headers[b"content-type"]) == (401, answered)


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_probes_need_no_token(path: str) -> None:
    """Kubernetes asks without one."""
    assert knock(LOCKED, path=path, method="GET").status == REACHED


def test_who_shows_no_token_learns_no_names_from_the_page() -> None:
    """Why a batch is not stored names folders, buckets and services."""
    with Bench() as bench:
        bench.writer.fail = lambda _: StorageError("cannot write /data/logs/service=secret")
        asyncio.run(ask(bench.app, parts_of(logs_request(1)), headers=[PROTOBUF]))
        bench.ingest.drain(0)
        wait_for(lambda: bench.ingest.status().backlog.resting == 1)
        for door, names in ((bench.app, True), (front_door(bench.app, LOCKED), False)):
            answer = asyncio.run(ask(door, path="/ready", method="GET", headers=()))
            assert (b"service=secret" in answer.body) is names
            assert json.loads(answer.body)["batches"]["resting"] == 1
        shown = asyncio.run(
            ask(front_door(bench.app, LOCKED), path="/ready", method="GET", headers=OPENS[0])
        )
        assert b"service=secret" in shown.body
        bench.writer.fail = lambda _: None


@pytest.mark.parametrize(
    "path",
    ["/", "/v1/logs", "/v1/logs/", "/metrics", "/health/", "/ready/x", "//health", "/HEALTH", ""],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD"])
def test_everything_else_does(path: str, method: str) -> None:
    """What is not named as open is closed, also what is added one day."""
    assert knock(LOCKED, path=path, method=method).status == 401


def test_who_is_turned_away_is_counted() -> None:
    """An operator sees that somebody knocks with a wrong token; who gets in counts inside."""
    counts: Counter[int] = Counter()
    door = front_door(inside, LOCKED, lambda _, answer: counts.update([answer.status]))
    for headers in ([], STAYS_SHUT[-1], OPENS[0]):
        asyncio.run(ask(door, parts_of(b"body"), headers=headers))
    assert counts == {401: 2}


def test_the_lifespan_passes() -> None:
    """The door is for requests: start and stop reach the application."""
    seen = []

    async def application(scope: Any, *_: Any) -> None:
        seen.append(scope["type"])

    door = front_door(application, LOCKED)
    asyncio.run(door({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan"]
    assert isinstance(door, module.FrontDoor)


# Web pages ---------------------------------------------------------------------------------


def names(value: bytes) -> set[str]:
    """The elements of a list in a header field."""
    return {name.strip().lower() for name in value.decode().split(",")}


@pytest.mark.parametrize("config", [ServerConfig(), LOCKED])
def test_without_origins_no_page_may_send(config: ServerConfig) -> None:
    """Nothing speaks to a browser unless it is told to."""
    for headers in (PREFLIGHT, [(b"origin", PAGE), PROTOBUF]):
        answer = knock(config, headers, method="OPTIONS")
        assert not [name for name in answer.headers if name.startswith(b"access-control")]


@pytest.mark.parametrize("auth", [AuthConfig(), AuthConfig(tokens=TOKENS)])
def test_a_preflight_of_an_allowed_page_is_answered(auth: AuthConfig) -> None:
    """Without a token, for a browser shows none before it was told that it may."""
    config = ServerConfig(auth=auth, cors=PAGES)
    answer = knock(config, PREFLIGHT, method="OPTIONS", events=parts_of(b""))
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers[b"access-control-allow-origin"] == PAGE
    assert names(answer.headers[b"access-control-allow-methods"]) == {"post"}
    allowed = names(answer.headers[b"access-control-allow-headers"])
    assert allowed == {"authorization", "content-encoding", "content-type", "x-api-key"}
    assert answer.headers[b"access-control-max-age"] == b"7200"
    assert names(answer.headers[b"vary"]) == {"origin"}
    assert answer.headers[b"access-control-allow-credentials"] == b"true"
    assert b"connection" not in answer.headers


def test_other_header_fields_may_be_allowed() -> None:
    """Besides those that exporters send."""
    cors = CorsConfig(("*",), ("X-Team", "content-type"), 60)
    answer = knock(ServerConfig(cors=cors), PREFLIGHT, method="OPTIONS")
    allowed = answer.headers[b"access-control-allow-headers"]
    assert "x-team" in names(allowed)
    assert allowed.count(b"content-type") == 1
    assert answer.headers[b"access-control-max-age"] == b"60"
    assert answer.headers[b"access-control-allow-origin"] == PAGE


@pytest.mark.parametrize(
    ("allowed", "origin"),
    [
        ("*", b"https://anything.example:8443"),
        ("*", b"null"),
        ("https://shop.example", b"https://shop.example"),
        ("https://Shop.Example", b"https://shop.example"),
        ("https://*.shop.example", b"https://eu.shop.example"),
        ("https://*.shop.example", b"https://a.b.shop.example"),
        ("http://localhost:*", b"http://localhost"),
        ("http://localhost:*", b"http://localhost:5173"),
        ("http://*.local:*", b"http://a.local:99"),
        ("http://*", b"http://intranet"),
        ("http://[::1]:*", b"http://[::1]:3000"),
        ("capacitor://localhost", b"capacitor://localhost"),
        ("null", b"null"),
    ],
)
def test_an_allowed_page_is_named_back_with_credentials(allowed: str, origin: bytes) -> None:
    """A browser in credentials mode (sendBeacon) takes no ``*``: it wants its page's origin."""
    environ = {"OTLP2PARQUET_SERVER_CORS_ALLOWED_ORIGINS": allowed}
    config = load(environ=environ, folder=Path("/nonexistent")).config.server
    for method, rest in (("OPTIONS", PREFLIGHT[1:]), ("POST", [PROTOBUF])):
        answer = knock(config, [(b"origin", origin), *rest], method=method)
        assert answer.headers[b"access-control-allow-origin"] == origin
        assert answer.headers[b"access-control-allow-credentials"] == b"true"
        assert names(answer.headers[b"vary"]) == {"origin"}


@pytest.mark.parametrize(
    ("allowed", "origin"),
    [
        ("https://*.shop.example", b"https://shop.example"),
        ("https://*.shop.example", b"https://evilshop.example"),
        ("https://*.shop.example", b"https://evil.example/.shop.example"),
        ("https://*.shop.example", b"https://eu.shop.example:8443"),
        ("https://*.shop.example", b"http://eu.shop.example"),
        ("https://*.shop.example", b"https://eu.shopxexample"),
        ("https://*.shop.example", b"https://.shop.example"),
        ("http://localhost:*", b"http://localhost:80.evil.example"),
        ("http://localhost:*", b"http://localhost.evil.example"),
        ("http://*", b"http://intranet:8080"),
        ("https://shop.example", b""),
    ],
)
def test_a_wildcard_is_no_open_door(allowed: str, origin: bytes) -> None:
    """It stands for names before the host's rest, or for a port, and for nothing else."""
    config = ServerConfig(cors=CorsConfig(allowed_origins=(allowed,)))
    answer = knock(config, [(b"origin", origin), *PREFLIGHT[1:]], method="OPTIONS")
    assert answer.status == REACHED
    assert not [name for name in answer.headers if name.startswith(b"access-control")]


NOT_ALLOWED = [
    b"https://shop.example.evil.example",
    b"https://evil.example",
    b"http://shop.example",
    b"https://shop.example:8443",
    b"https://sub.shop.example",
    b"null",
    b"",
    b"*",
]


@pytest.mark.parametrize("origin", NOT_ALLOWED)
def test_other_pages_are_not(origin: bytes) -> None:
    """An origin is scheme, host and port, compared whole."""
    headers = [(b"origin", origin), *PREFLIGHT[1:]]
    answer = knock(ServerConfig(cors=PAGES), headers, method="OPTIONS")
    assert answer.status == REACHED
    assert not [name for name in answer.headers if name.startswith(b"access-control")]


def test_an_options_request_that_is_no_preflight_goes_on() -> None:
    """Only a browser's question is answered at the door."""
    answer = knock(ServerConfig(cors=PAGES), [(b"origin", PAGE)], method="OPTIONS")
    assert answer.status == REACHED
    answer = knock(ServerConfig(cors=PAGES), PREFLIGHT, method="POST")
    assert answer.status == REACHED


@pytest.mark.parametrize("token", [b"first-secret", b"wrong"])
def test_answers_to_an_allowed_page_can_be_read_by_it(token: bytes) -> None:
    """Successes and refusals alike, and when to come again."""
    config = ServerConfig(auth=AuthConfig(tokens=TOKENS), cors=PAGES)
    answer = knock(config, [(b"origin", PAGE), PROTOBUF, (b"x-api-key", token)])
    assert answer.status == (REACHED if token == b"first-secret" else 401)
    assert answer.headers[b"access-control-allow-origin"] == PAGE
    assert names(answer.headers[b"access-control-expose-headers"]) == {"retry-after"}
    assert names(answer.headers[b"vary"]) == {"origin"}
