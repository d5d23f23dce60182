"""Acknowledgements: the later of two ends settles, and a group wakes the loop once."""

from __future__ import annotations

import asyncio
import threading
from contextlib import nullcontext
from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.core import Appended, BatchBuilder
from otlp2parquet.errors import StorageError
from otlp2parquet.platforms.acknowledgements import Acknowledgement, Acknowledgements

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_SECS = 30


@pytest.fixture(scope="module")
def appended() -> Appended:
    """What an append gives."""
    return BatchBuilder().append(b"", "logs")


def elsewhere(call: Callable[[], object]) -> None:
    """Run ``call`` on a thread of its own, to its end."""
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


@pytest.mark.parametrize("first", ["appended", "kept"])
def test_the_later_of_two_outcomes_settles(appended: Appended, first: str) -> None:
    """The log's thread may be faster than the one that appends; a 200 waits for both."""

    async def scenario() -> Appended:
        answer = Acknowledgements().expect(is_kept_later=True)
        calls = [lambda: answer.report_appended(appended), lambda: answer.report_kept(None)]
        if first == "kept":
            calls.reverse()
        elsewhere(calls[0])
        await asyncio.sleep(0)
        assert not answer.future.done()
        elsewhere(calls[1])
        return await asyncio.wait_for(answer.future, PATIENCE_SECS)

    assert asyncio.run(scenario()) is appended


def test_without_a_log_the_append_settles(appended: Appended) -> None:
    """Nobody else would."""

    async def scenario() -> Appended:
        answer = Acknowledgements().expect(is_kept_later=False)
        elsewhere(lambda: answer.report_appended(appended))
        return await asyncio.wait_for(answer.future, PATIENCE_SECS)

    assert asyncio.run(scenario()) is appended


@pytest.mark.parametrize("order", list(permutations(["appended", "kept"])))
def test_what_is_not_kept_is_no_success(appended: Appended, order: tuple[str, ...]) -> None:
    """In either order the log's reason is what the task gets."""

    async def scenario() -> None:
        answer = Acknowledgements().expect(is_kept_later=True)
        for outcome in order:
            if outcome == "kept":
                answer.report_kept(StorageError("the disk is full"))
            else:
                answer.report_appended(appended)
        with pytest.raises(StorageError, match="the disk is full"):
            await asyncio.wait_for(answer.future, PATIENCE_SECS)

    asyncio.run(scenario())


def test_what_is_not_appended_waits_for_no_log() -> None:
    """The log never heard of it."""

    async def scenario() -> None:
        answer = Acknowledgements().expect(is_kept_later=True)
        elsewhere(lambda: answer.report_failed(ValueError("no")))
        with pytest.raises(ValueError, match="no"):
            await asyncio.wait_for(answer.future, PATIENCE_SECS)

    asyncio.run(scenario())


@pytest.mark.parametrize("together", [True, False])
def test_a_group_wakes_the_loop_once(
    appended: Appended, monkeypatch: pytest.MonkeyPatch, *, together: bool
) -> None:
    """Behind its last, though the loop is awake in between; and another thread's is not lost."""

    async def scenario() -> int:
        loop = asyncio.get_running_loop()
        answers = Acknowledgements()
        wakes = 0
        real = loop.call_soon_threadsafe

        def call_soon_threadsafe(callback: Callable[[], object]) -> object:
            nonlocal wakes
            wakes += 1
            return real(callback)

        monkeypatch.setattr(loop, "call_soon_threadsafe", call_soon_threadsafe)
        waiting = [answers.expect(is_kept_later=False) for _ in range(5)]
        with answers if together else nullcontext():
            for answer in waiting[1:]:
                answer.report_appended(appended)
                await asyncio.sleep(0)
            elsewhere(lambda: waiting[0].report_appended(appended))
        for answer in waiting:
            await asyncio.wait_for(answer.future, PATIENCE_SECS)
        return wakes

    assert asyncio.run(scenario()) == (1 if together else 5)


def test_a_client_that_is_gone_holds_up_nobody(appended: Appended) -> None:
    """Its answer is dropped, the next one is given."""

    async def scenario() -> Appended:
        answers = Acknowledgements()
        gone, stays = answers.expect(is_kept_later=False), answers.expect(is_kept_later=False)
        gone.future.cancel()
        with answers:
            gone.report_appended(appended)
            stays.report_appended(appended)
        return await asyncio.wait_for(stays.future, PATIENCE_SECS)

    assert asyncio.run(scenario()) is appended


def test_an_ended_loop_is_passed_over(appended: Appended) -> None:
    """What is settled behind its end wakes nobody, and the next loop has answers again."""
    answers = Acknowledgements()

    async def expect() -> Acknowledgement:
        return answers.expect(is_kept_later=False)

    for awake in (False, True):
        late = asyncio.run(expect())
        if awake:  # as if it ended between the wake-up and the telling
            answers._is_woken = True  # noqa: SLF001 - a moment that cannot be hit
        late.report_appended(appended)

        async def scenario() -> Appended:
            answer = answers.expect(is_kept_later=False)
            answer.report_appended(appended)
            return await asyncio.wait_for(answer.future, PATIENCE_SECS)

        assert asyncio.run(scenario()) is appended
