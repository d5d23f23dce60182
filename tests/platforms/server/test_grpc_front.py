"""Whether there is a gRPC front: nothing about it keeps OTLP/HTTP from being served."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import pytest

from otlp2parquet.config import Address, AuthConfig, Config, ServerConfig
from otlp2parquet.core.auth import Tokens
from otlp2parquet.core.otlp_grpc import METHODS
from otlp2parquet.platforms.server.grpc_front import GrpcFront
from tests.support.asgi_bench import Bench, logs_request

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGS = next(iter(METHODS))
CONFIG = Config(
    server=ServerConfig(grpc_addr=Address("127.0.0.1", 0), auth=AuthConfig(tokens=("old",)))
)


@pytest.fixture
def bench() -> Iterator[Bench]:
    """An application over a recorder."""
    with Bench() as made:
        yield made


async def admitted(address: str, token: str) -> bool:
    """Whether a call with this token is taken."""
    async with grpc.aio.insecure_channel(address) as channel:
        metadata = (("authorization", f"Bearer {token}"),)
        try:
            await channel.unary_unary(LOGS)(logs_request(1), metadata=metadata, timeout=30)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED  # noqa: PT017 - the other outcome
            return False
        return True


@pytest.mark.parametrize("when", ["before", "during", "after"])
def test_tokens_that_are_renewed_while_it_starts_are_not_lost(bench: Bench, when: str) -> None:
    """A SIGHUP may come at any time: the old secret opens nothing afterwards."""

    async def scenario() -> tuple[bool, bool]:
        front = GrpcFront(CONFIG, bench.app)
        starting = asyncio.ensure_future(front.start())
        if when == "before":
            front.tokens = Tokens(("new",))
        if when == "during":
            await asyncio.sleep(0)
            front.tokens = Tokens(("new",))
        await starting
        if when == "after":
            front.tokens = Tokens(("new",))
        try:
            return await admitted(front.address, "new"), await admitted(front.address, "old")
        finally:
            await front.stop(1)

    assert asyncio.run(scenario()) == (True, False)


@pytest.mark.parametrize("error", [RuntimeError("broken"), AttributeError("aio"), OSError("taken")])
def test_whatever_is_wrong_with_it_ends_nothing(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    """The log says that HTTP is served without it; tokens and a stop find nobody."""

    def make(_: GrpcFront) -> None:
        raise error

    monkeypatch.setattr(GrpcFront, "_make", make)

    async def scenario() -> None:
        front = GrpcFront(CONFIG, bench.app)
        await front.start()
        assert not front.address
        front.tokens = Tokens(("new",))
        front.expire()
        await front.stop(0)

    asyncio.run(scenario())
    assert "OTLP/gRPC is not served, OTLP/HTTP is" in caplog.text


def test_a_call_that_waits_to_hear_outlives_the_refusal_of_others(bench: Bench) -> None:
    """At a stop, who has sent all learns what became of it; who has not, may come again."""

    async def scenario() -> tuple[object, object]:
        front = GrpcFront(Config(server=ServerConfig(grpc_addr=Address("127.0.0.1", 0))), bench.app)
        await front.start()
        taking, go_on = asyncio.Event(), asyncio.Event()
        take = bench.app.exports.take

        async def slowly(head: object, read: object) -> object:
            outcome = await take(head, read)  # type: ignore[arg-type]
            taking.set()
            await go_on.wait()
            return outcome

        bench.app.exports.take = slowly  # type: ignore[method-assign, assignment]
        async with grpc.aio.insecure_channel(front.address) as channel:
            whole = channel.unary_unary(LOGS)(logs_request(1), timeout=30)
            silent = channel.stream_unary(LOGS)(timeout=30)
            await asyncio.wait_for(taking.wait(), 30)
            stopping = asyncio.ensure_future(front.stop(30))
            await asyncio.sleep(0)
            front.expire()
            taking.clear()
            go_on.set()
            codes = await whole.code(), await silent.code()
            await stopping
        return codes

    assert asyncio.run(scenario()) == (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)
    assert bench.rows == 1


def test_a_defect_of_ours_leaves_the_data_with_the_client(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """UNKNOWN, which grpcio would say, has clients throw it away."""

    async def fails(_head: object, _read: object) -> object:
        raise ZeroDivisionError

    async def scenario() -> object:
        front = GrpcFront(Config(server=ServerConfig(grpc_addr=Address("127.0.0.1", 0))), bench.app)
        await front.start()
        bench.app.exports.take = fails  # type: ignore[method-assign, assignment]
        async with grpc.aio.insecure_channel(front.address) as channel:
            call = channel.unary_unary(LOGS)(logs_request(1), timeout=30)
            code = await call.code()
        await front.stop(1)
        return code

    assert asyncio.run(scenario()) is grpc.StatusCode.UNAVAILABLE
    assert "unforeseen" in caplog.text
