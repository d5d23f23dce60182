"""Objects in R2: created whole or not at all, whatever becomes of the answers."""

from __future__ import annotations

import asyncio
import logging

import pytest

from otlp2parquet.errors import NameTakenError, StorageUnavailableError
from otlp2parquet.platforms.cloudflare_worker.bucket import PAUSES_SECS, Bucket
from tests.support.worker_bench import MemoryR2, no_pause

ATTEMPTS = 1 + len(PAUSES_SECS)


def create(r2: MemoryR2, content: bytes = b"content") -> None:
    """Create one object."""
    asyncio.run(Bucket(r2, "otlp", sleep=no_pause).create("logs/a.parquet", content))


def test_an_object_is_created_with_a_condition() -> None:
    """Below the prefix; R2 checks that it is new and that it arrived whole."""
    r2 = MemoryR2()
    create(r2)
    assert r2.objects == {"otlp/logs/a.parquet": b"content"}
    assert r2.calls == ["put"]
    assert r2.options[0]["httpMetadata"] == {"contentType": "application/vnd.apache.parquet"}


def test_a_lost_answer_is_looked_up() -> None:
    """What was stored is not stored again, and nobody is refused for it."""
    r2 = MemoryR2("put lost")
    create(r2)
    assert r2.calls == ["put", "head"]
    assert list(r2.objects.values()) == [b"content"]


def test_what_the_look_up_cannot_say_the_next_attempt_does() -> None:
    """It meets its own object, and knows it by its content."""
    r2 = MemoryR2("put lost", "head fails")
    create(r2)
    assert r2.calls == ["put", "head", "put", "head"]


def test_an_attempt_that_failed_is_made_again() -> None:
    """Troubles of R2 pass, most of them."""
    r2 = MemoryR2("put fails", "head works", "put fails")
    create(r2)
    assert r2.calls == ["put", "head", "put", "head", "put"]
    assert list(r2.objects.values()) == [b"content"]


def test_a_trouble_that_stays_is_told_in_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    """R2's words may hold a key, and a key a service's name: no answer repeats it."""
    r2 = MemoryR2(*["put fails", "head works"] * ATTEMPTS)
    with caplog.at_level(logging.WARNING), pytest.raises(StorageUnavailableError) as raised:
        create(r2)
    assert r2.calls == ["put", "head"] * ATTEMPTS
    assert "10001" not in str(raised.value)
    assert all("10001" in str(vars(record)["fields"]) for record in caplog.records)
    assert len(caplog.records) == ATTEMPTS


def test_another_object_is_never_overwritten() -> None:
    """Nor taken for this one, as long as it has another content."""
    r2 = MemoryR2()
    r2.objects["otlp/logs/a.parquet"] = b"another"
    with pytest.raises(NameTakenError):
        create(r2)
    assert r2.objects == {"otlp/logs/a.parquet": b"another"}


def test_many_are_removed_in_few_calls() -> None:
    """R2 takes a thousand keys in one."""
    r2 = MemoryR2()
    names = [f"{number}" for number in range(1001)]
    r2.objects = {f"otlp/{name}": b"" for name in names} | {"else": b""}
    asyncio.run(Bucket(r2, "otlp").delete(names))
    assert list(r2.objects) == ["else"]
    assert r2.calls == ["delete", "delete"]


def test_a_removal_that_failed_says_so() -> None:
    """Whoever takes files back then knows that some may be left."""
    with pytest.raises(StorageUnavailableError):
        asyncio.run(Bucket(MemoryR2("delete fails")).delete(["a"]))
