"""Requests of the plain client: where they go, what lets them in, and how long they wait."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from otlp2parquet.catalogs.plain import RestClient, RestOptions
from otlp2parquet.errors import CatalogRefusedError, CatalogUnavailableError
from tests.support.plain_catalog import fetch, plain_catalog
from tests.support.rest_catalog import Fault, RestCatalogServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RestCatalogServer]:
    """A catalog."""
    with RestCatalogServer(tmp_path) as running:
        yield running


def test_the_configuration_is_obeyed(server: RestCatalogServer) -> None:
    """Its prefix is in every path, the warehouse is asked for, and it is asked once."""
    server.prefix = "abc"
    catalog = plain_catalog(server, rest={"warehouse": "acc ount_bucket"}, namespace=("a", "b"))
    asyncio.run(catalog.load("otel_logs"))
    asyncio.run(catalog.load("otel_logs"))
    assert [path for _, path in server.requests].count("/v1/config") == 1
    assert server.queries[0] == "warehouse=acc+ount_bucket"
    assert {path.startswith("/v1/abc/namespaces") for _, path in server.requests[1:]} == {True}
    assert server.requests[-1] == ("GET", "/v1/abc/namespaces/a%1Fb/tables/otel_logs")


def test_a_token_is_sent_and_not_shown(server: RestCatalogServer) -> None:
    """In every request, and in no text."""
    catalog = plain_catalog(server, rest={"token": "hush"})
    asyncio.run(catalog.load("otel_logs"))
    assert {headers.get("Authorization") for headers in server.headers} == {"Bearer hush"}
    assert "hush" not in repr(RestOptions("http://x", token="hush", credential="a:hush"))  # noqa: S106


def test_tokens_are_asked_for_and_renewed(server: RestCatalogServer) -> None:
    """By id and secret; an expired one costs a request that changes nothing no attempt."""
    server.credential = "id:secret"
    catalog = plain_catalog(server, rest={"credential": "id:secret"})
    asyncio.run(catalog.load("otel_logs"))
    assert server.tokens_given == 1
    server.tokens.clear()
    table = asyncio.run(catalog.load("otel_logs"))
    assert server.tokens_given == 2
    server.tokens.clear()
    before = len(server.requests)
    with pytest.raises(CatalogUnavailableError, match="the token has expired"):
        asyncio.run(table.append([], {}))
    assert len(server.requests) == before + 1
    asyncio.run(asyncio.run(catalog.load("otel_logs")).append([], {}))
    assert server.tokens_given == 3


def test_a_wrong_credential_is_refused(server: RestCatalogServer) -> None:
    """For good: nothing but another one helps."""
    server.credential = "id:secret"
    for given in ({"credential": "id:wrong"}, {"token": "old"}, {}):
        with pytest.raises(CatalogRefusedError, match="401"):
            asyncio.run(plain_catalog(server, rest=given).load("otel_logs"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((200, b"<html>"), CatalogUnavailableError),
        ((200, b"[]"), CatalogUnavailableError),
        ((200, b"{}"), CatalogUnavailableError),
        ((302, b""), CatalogRefusedError),
        ((404, b""), CatalogRefusedError),
        ((502, b"bad gateway"), CatalogUnavailableError),
    ],
)
def test_what_is_no_catalog_is_an_error(
    answer: tuple[int, bytes], expected: type[Exception]
) -> None:
    """Whatever stands in front of it."""

    async def ask(*_: Any) -> tuple[int, bytes]:
        return answer

    client = RestClient(RestOptions("http://x"), ask)
    with pytest.raises(expected):
        asyncio.run(client.load_table(("otlp", "otel_logs")))


def test_no_request_waits_for_ever() -> None:
    """A catalog that takes a request and says nothing is one that is away."""

    async def ask(*_: Any) -> tuple[int, bytes]:
        await asyncio.Event().wait()
        raise AssertionError

    client = RestClient(RestOptions("http://x", timeout_secs=0.01), ask)
    with pytest.raises(CatalogUnavailableError, match=r"no answer within 0\.01 s"):
        asyncio.run(client.load_table(("otlp", "otel_logs")))


def test_a_catalog_that_was_away_is_found_later(server: RestCatalogServer) -> None:
    """The configuration is asked for again."""
    server.script = lambda _method, _path: Fault(503, "away")
    catalog = plain_catalog(server, fetch)
    with pytest.raises(CatalogUnavailableError, match="away"):
        asyncio.run(catalog.load("otel_logs"))
    server.script = lambda _method, _path: None
    asyncio.run(catalog.load("otel_logs"))
