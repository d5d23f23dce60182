"""The use case by itself: a head and a way to read the body in, an outcome out; no protocol."""

from __future__ import annotations

import asyncio
import gzip
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from otlp2parquet.core import outcome
from otlp2parquet.core.otlp_http import ExportHead
from otlp2parquet.core.outcome import Outcome, RefusedError, of_error
from otlp2parquet.errors import LogError, StoppingError, StorageError
from tests.support.asgi_bench import LIMIT, Bench, logs_request
from tests.support.strategies import nested

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otlp2parquet.platforms.export import Admission


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Exports over a recorder and a clock."""
    with Bench() as made:
        yield made


async def at_once(body: bytes, _admission: Admission) -> bytes:
    """A body that is here already, as in an event of Lambda or a call of gRPC."""
    return body


def take(
    bench: Bench,
    body: bytes,
    *,
    media_type: str = "application/x-protobuf",
    encoding: str | None = None,
    length: int | None = None,
) -> Outcome:
    """What becomes of one request."""
    head = ExportHead("logs", media_type, encoding, len(body) if length is None else length, "json")
    return asyncio.run(bench.app.exports.take(head, partial(at_once, body)))


def test_rows_are_kept(bench: Bench) -> None:
    """Counted, and with the length of the body as sent."""
    payload = logs_request(3)
    assert take(bench, payload) == Outcome("kept", accepted=3, body_bytes=len(payload))
    sent = gzip.compress(payload)
    assert take(bench, sent, encoding="gzip") == Outcome("kept", accepted=3, body_bytes=len(sent))
    assert bench.rows == 6
    counts = bench.app.exports.counts
    assert counts.accepted_records == {"logs": 6}
    assert counts.received_bytes == {"logs": len(payload) + len(sent)}
    assert not counts.refused


def test_a_large_body_is_decoded_on_another_thread(bench: Bench) -> None:
    """With the same outcome."""
    payload = logs_request(3000)
    assert take(bench, payload) == Outcome("kept", accepted=3000, body_bytes=len(payload))


def test_bad_records_are_left_out(bench: Bench) -> None:
    """The others are kept; how many are not, and why."""
    payload = logs_request(3, attributes=10_001)
    became = take(bench, payload)
    assert (became.kind, became.accepted, became.rejected) == ("partly kept", 2, 1)
    assert "10000" in became.message
    assert became.is_taken
    assert not became.may_be_sent_again
    assert bench.app.exports.counts.rejected_records == {"logs": 1}


@pytest.mark.parametrize(
    ("body", "media_type", "kind"),
    [
        (b"\x0a\x7f", "application/x-protobuf", "bad data"),
        (b"[]", "application/json", "bad data"),
        (b"", "application/json", "bad data"),
        (b"", "application/x-protobuf", "kept"),
        (b"", "application/x-ndjson", "kept"),
        (gzip.compress(logs_request(1, "x" * LIMIT)), "gzip", "too large"),
        (b"x", "text/plain", "unsupported"),
    ],
)
def test_what_the_body_is_decides(bench: Bench, body: bytes, media_type: str, kind: str) -> None:
    """Refused for good, with the place where that is known; nothing is kept or held."""
    encoding = media_type if media_type == "gzip" else None
    media_type = "application/x-protobuf" if encoding else media_type
    became = take(bench, body, media_type=media_type, encoding=encoding)
    assert became.kind == kind
    assert became.body_bytes == len(body)
    assert became.is_taken == (kind == "kept")
    assert not became.may_be_sent_again
    assert bench.rows == 0
    assert bench.nothing_held
    assert not bench.app.exports.counts.refused


def test_bad_data_has_its_place(bench: Bench) -> None:
    """Offset and path apart from the words, for whoever renders them elsewhere."""
    became = take(bench, logs_request(1) + nested((1, 2, 2), b"\x0a\x7fhush"))
    assert became.offset is not None
    assert "resource_logs[1]" in became.path + became.message


def test_what_gives_up_the_body_is_the_outcome(bench: Bench) -> None:
    """Whatever the platform says of it, and nothing is held."""

    async def cut(admission: Admission) -> bytes:
        admission.cover(100)
        raise RefusedError(outcome.CUT_BODY)

    head = ExportHead("logs", "application/x-protobuf", None, None, "json")
    assert asyncio.run(bench.app.exports.take(head, cut)) is outcome.CUT_BODY
    assert bench.budget.used == 0
    assert bench.app.exports.counts.refused == {"cut body": 1}


def test_transient_trouble_is_refused_for_now(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory, log, storage, a defect and the end, each by its name, and each counted."""

    async def never(_admission: Admission) -> bytes:
        pytest.fail("the body is not read")

    def unread() -> Outcome:
        head = ExportHead("logs", "application/x-protobuf", None, 10, "json")
        return asyncio.run(bench.app.exports.take(head, never))

    def fails_with(error: Exception) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise error

        monkeypatch.setattr(bench.ingest, "append", fail)

    bench.budget.take(bench.budget.limit)
    found = [unread()]
    bench.budget.give(bench.budget.limit)
    fails_with(StorageError("the disk is full"))
    found.append(take(bench, logs_request(1)))
    assert found[-1].message == "the disk is full"
    fails_with(ZeroDivisionError("hush"))
    found.append(take(bench, logs_request(1)))
    assert "hush" not in found[-1].text
    with monkeypatch.context() as patch:
        patch.setattr(bench.ingest, "refusal", lambda: "the log's disk is full")
        found.append(unread())
    assert "the log's disk is full" in found[-1].message
    bench.app.exports.stop()
    found.append(unread())
    kinds = ["memory", "storage", "internal", "log", "stopping"]
    for error, kind in ((LogError("no space left"), "log"), (StoppingError("late"), "stopping")):
        assert of_error(error).kind == kind
    assert [became.kind for became in found] == kinds
    assert all(became.may_be_sent_again and not became.is_taken for became in found)
    assert bench.app.exports.counts.refused == dict.fromkeys(kinds, 1)
    assert bench.nothing_held


def test_a_body_that_is_read_while_the_stop_begins_is_refused(bench: Bench) -> None:
    """Its rows could not be stored any more, and the client keeps them."""

    async def late(_admission: Admission) -> bytes:
        bench.app.exports.stop()
        return logs_request(1)

    head = ExportHead("logs", "application/x-protobuf", None, None, "json")
    became = asyncio.run(bench.app.exports.take(head, late))
    assert (became.kind, became.body_bytes) == ("stopping", len(logs_request(1)))
    assert bench.rows == 0
