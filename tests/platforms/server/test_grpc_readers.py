"""Whose message is received when: few at a time, nobody kept out for long, all told at a stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.core.outcome import RefusedError
from otlp2parquet.platforms.server.grpc_readers import Readers

if TYPE_CHECKING:
    from collections.abc import Coroutine

NEVER = 3600.0


async def kind_of(reading: Coroutine[None, None, object]) -> str:
    """What became of a reading."""
    try:
        return str(await reading)
    except RefusedError as refused:
        return refused.outcome.kind


class Messages:
    """Messages that come when they are told to."""

    def __init__(self) -> None:
        self.asked: list[asyncio.Future[str]] = []

    async def receive(self) -> str:
        """The next one."""
        self.asked.append(asyncio.get_running_loop().create_future())
        return await self.asked[-1]


async def settled() -> None:
    """Whatever can go on has gone on."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_so_many_are_received_and_the_last_who_came_goes_on() -> None:
    """The others are not asked for theirs; every message is somebody's."""

    async def scenario() -> None:
        readers, messages = Readers(2, contended_secs=NEVER), Messages()
        tasks = [asyncio.ensure_future(readers.read(messages.receive)) for _ in range(5)]
        await settled()
        order = []
        for number in range(5):
            assert len(messages.asked) == min(5, number + 2)
            messages.asked[number].set_result(f"message {number}")
            await settled()
            order += [n for n, task in enumerate(tasks) if task.done() and n not in order]
        assert order == [0, 1, 4, 3, 2]
        assert sorted(task.result() for task in tasks) == [f"message {n}" for n in range(5)]
        assert await readers.read(lambda: asyncio.sleep(0, "again")) == "again"

    asyncio.run(scenario())


def test_who_is_slow_gives_way_to_who_waits() -> None:
    """And only then: alone, a message has its time."""

    async def scenario() -> None:
        readers, messages = Readers(2, contended_secs=0.0), Messages()
        slow = [asyncio.ensure_future(kind_of(readers.read(messages.receive))) for _ in range(2)]
        await settled()
        assert not any(task.done() for task in slow)
        assert await readers.read(lambda: asyncio.sleep(0, "good")) == "good"
        assert "slow body" in await asyncio.gather(*slow[:1])
        slow[1].cancel()

    asyncio.run(scenario())


def test_who_ends_slowly_is_told_once() -> None:
    """It is looked at again and again, until it has given its room back."""

    async def stubborn() -> str:
        try:
            await asyncio.sleep(NEVER)
        finally:
            await asyncio.sleep(0.05)
        return "never"

    async def scenario() -> None:
        readers = Readers(1, contended_secs=0.001)
        slow = asyncio.ensure_future(kind_of(readers.read(stubborn)))
        await settled()
        assert await readers.read(lambda: asyncio.sleep(0, "good")) == "good"
        assert await slow == "slow body"
        readers.stop()

    failures: list[object] = []
    with asyncio.Runner() as runner:
        runner.get_loop().set_exception_handler(lambda _, context: failures.append(context))
        runner.run(scenario())
    assert not failures


def test_nobody_receives_or_waits_without_end() -> None:
    """Each is told what it was: too slow, or without room."""

    async def scenario() -> None:
        readers = Readers(1, slow_secs=0.05, contended_secs=NEVER, queue_secs=0.01)
        messages = Messages()
        first = asyncio.ensure_future(kind_of(readers.read(messages.receive)))
        await settled()
        assert await kind_of(readers.read(messages.receive)) == "memory"
        assert await first == "slow body"
        assert len(messages.asked) == 1
        assert await readers.read(lambda: asyncio.sleep(0, "good")) == "good"

    asyncio.run(scenario())


def test_a_stop_tells_all() -> None:
    """Who receives, who waits, and who comes."""

    async def scenario() -> list[str]:
        readers, messages = Readers(1), Messages()
        tasks = [asyncio.ensure_future(kind_of(readers.read(messages.receive))) for _ in range(3)]
        await settled()
        readers.stop()
        return [*await asyncio.gather(*tasks), await kind_of(readers.read(messages.receive))]

    assert asyncio.run(scenario()) == ["stopping"] * 4


def test_room_that_was_given_to_who_is_cancelled_is_not_lost() -> None:
    """Whenever that happens: while waiting, at the very moment of the turn, while receiving."""

    async def scenario() -> None:
        readers, messages = Readers(1, contended_secs=NEVER), Messages()
        first, second, third = (
            asyncio.ensure_future(readers.read(messages.receive)) for _ in range(3)
        )
        await settled()
        second.cancel()
        messages.asked[0].set_result("message")
        await first  # the third has the turn now, and has not gone on
        third.cancel()
        await settled()
        fourth = asyncio.ensure_future(readers.read(messages.receive))
        await settled()
        fourth.cancel()
        await settled()
        assert await readers.read(lambda: asyncio.sleep(0, "good")) == "good"

    asyncio.run(scenario())


def test_a_reader_that_fails_gives_its_room_back() -> None:
    """Whatever the failure is."""

    async def fails() -> None:
        raise ZeroDivisionError

    async def scenario() -> None:
        readers = Readers(1)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await readers.read(fails)
        assert await readers.read(lambda: asyncio.sleep(0, "good")) == "good"

    asyncio.run(scenario())
