"""A Worker's answers without the runtime: the server's, and a 200 for what is in the bucket."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from otlp2parquet import ParquetWriter, plan_files, process_otlp
from otlp2parquet.core.status import status_protobuf
from otlp2parquet.platforms.cloudflare_worker import application, storing
from otlp2parquet.platforms.cloudflare_worker.settings import WorkerSettings
from tests.support.answer_matrix import LIMIT, OUTCOMES, SECRET, answer, cases
from tests.support.requests import logs_request, metrics_request, traces_request
from tests.support.tables import BATCH_ID
from tests.support.worker_bench import PROTOBUF, WatchedRows, WorkerBench, chunked

if TYPE_CHECKING:
    from pathlib import Path

SIGNALS = {
    "logs": logs_request(3),
    "traces": traces_request(3),
    "metrics": metrics_request(3),
}
TABLES_OF_METRICS = 5


def length(number: int) -> tuple[bytes, bytes]:
    """The field that announces a body."""
    return (b"content-length", str(number).encode())


@pytest.mark.parametrize("outcome", [name for name in OUTCOMES if name != "503"])
def test_a_worker_answers_the_same(outcome: str) -> None:
    """Byte for byte what the server answers, but that it cannot read zstd; 200s are stored."""
    bench = WorkerBench(tokens=("another", SECRET), max_payload_bytes=LIMIT)
    kept = 0
    for case in cases():
        if case.outcome != outcome:
            continue
        got, same = bench.ask(case.method, case.path, case.headers, case.body), answer(case)
        if case.encoding == "zstd" and case.body and same.status in {200, 400}:
            assert got.status == 415, case
            assert b"zstd" in got.body
            continue
        assert (got.status, got.body, got.headers) == (same.status, same.body, same.headers), case
        kept += {"ok": 2, "partial": 1}.get(outcome, 0)
    assert bench.rows == kept
    assert bench.application.held_bytes == 0


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("form", ["protobuf", "JSON"])
def test_trouble_of_the_bucket_is_a_503(signal: str, form: str) -> None:
    """With Retry-After, in the request's format; nothing of the request is left."""
    bench = WorkerBench(*["put fails", "head works"] * 30)
    got = bench.ask(path=f"/v1/{signal}", body=SIGNALS[signal])
    assert got.status == 503
    assert (b"retry-after", b"1") in got.headers
    assert got.body == status_protobuf(14, got.message)
    assert "10001" not in got.message
    assert bench.r2.objects == {}
    assert form


@pytest.mark.parametrize("signal", SIGNALS)
def test_the_files_are_those_of_a_server(signal: str, tmp_path: Path) -> None:
    """Names by plan, rows, schema, field ids and what the footer says of the file."""
    bench = WorkerBench(prefix="otlp")
    bench.application = application.Application(WorkerSettings(), batch_id=lambda: BATCH_ID)
    assert bench.ask(path=f"/v1/{signal}", body=SIGNALS[signal]).status == 200
    writer = ParquetWriter(tmp_path, compression="gzip")
    batches = process_otlp(SIGNALS[signal], signal, received_at=1).batches  # type: ignore[arg-type]
    paths = []
    for file in plan_files(batches):
        rows = [batch for batch in batches if batch.table == file.table]
        paths.append(writer.store(file, rows, BATCH_ID).path)
    assert sorted(bench.r2.objects) == [f"otlp/{path}" for path in sorted(paths)]
    for path in paths:
        there, here = pq.read_table(tmp_path / path), bench.table(f"otlp/{path}")
        assert here.equals(there)
        assert here.schema.equals(there.schema, check_metadata=True)
        footer = pq.read_metadata(pa.BufferReader(bench.r2.objects[f"otlp/{path}"])).metadata
        assert footer.items() >= {
            (name, value)
            for name, value in pq.read_metadata(tmp_path / path).metadata.items()
            if name.startswith(b"otlp2parquet")
        }


@pytest.mark.parametrize("layout", ["service", "hour", "classic"])
def test_groups_that_share_a_path_share_a_file(layout: str) -> None:
    """As everywhere: services are clustered in it."""
    bench = WorkerBench(layout=layout)
    body = logs_request(2, "b") + logs_request(2, "a") + logs_request(1, "b")
    assert bench.ask(body=body).status == 200
    found = {key: bench.table(key)["ServiceName"].to_pylist() for key in bench.r2.objects}
    if layout == "hour":
        assert list(found.values()) == [["a", "a", "b", "b", "b"]]
    else:
        assert sorted(found.values()) == [["a", "a"], ["b", "b", "b"]]


def test_the_second_file_that_fails_takes_the_first_one_back() -> None:
    """Who is refused finds nothing there twice once it has sent again."""
    bench = WorkerBench("put works", "put works", *["put fails", "head works"] * 30)
    assert bench.ask(path="/v1/metrics", body=SIGNALS["metrics"]).status == 503
    assert bench.r2.objects == {}
    assert bench.r2.calls[-1] == "delete"
    bench.r2.faults.clear()
    assert bench.ask(path="/v1/metrics", body=SIGNALS["metrics"]).status == 200
    assert len(bench.r2.objects) == TABLES_OF_METRICS
    assert bench.rows == 3 * TABLES_OF_METRICS


def test_a_bucket_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the sender gives up; also where nothing can be taken back."""
    monkeypatch.setattr(storing, "STORE_SECS", 0.01)
    monkeypatch.setattr(storing, "TAKE_BACK_SECS", 0.01)
    bench = WorkerBench("put hangs", "delete hangs")
    got = bench.ask(body=SIGNALS["logs"])
    assert (got.status, got.reason) == (503, "storage")
    assert bench.r2.calls == ["put", "delete"]


def test_a_name_that_is_taken_is_left_alone() -> None:
    """Its file is not ours; the sender's next attempt has another name."""
    bench = WorkerBench()
    bench.application = application.Application(WorkerSettings(), batch_id=lambda: BATCH_ID)
    assert bench.ask(body=logs_request(3)).status == 200
    before = dict(bench.r2.objects)
    got = bench.ask(body=logs_request(4))
    assert got.status == 503
    assert "checkout" not in got.message
    assert bench.r2.objects == before


def test_more_files_than_a_worker_may_store_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cloudflare counts what a Worker asks of R2; the message says what would help."""
    monkeypatch.setattr(storing, "MOST_FILES", TABLES_OF_METRICS - 1)
    bench = WorkerBench()
    got = bench.ask(path="/v1/metrics", body=SIGNALS["metrics"])
    assert got.status == 413
    assert "5 files" in got.message
    assert bench.r2.calls == []


def test_a_chunked_body_is_stopped_at_the_limit() -> None:
    """No more of it is read."""
    bench = WorkerBench(max_payload_bytes=1000)
    read = []

    async def endless() -> object:
        async def chunks() -> object:
            while True:
                read.append(1)
                yield b"x" * 300

        return await bench.answer(body=chunks())  # type: ignore[arg-type]

    assert asyncio.run(endless()).status == 413  # type: ignore[attr-defined]
    assert len(read) == 4
    assert bench.application.held_bytes == 0


def test_a_body_that_inflates_beyond_the_limit_is_too_large() -> None:
    """The limit holds for what there is to decode."""
    bench = WorkerBench(max_payload_bytes=10_000)
    body = gzip.compress(b"\x0a\x00" * 100_000)
    got = bench.ask(headers=(PROTOBUF, (b"content-encoding", b"gzip")), body=body)
    assert got.status == 413
    assert bench.r2.calls == []


def test_a_cut_body_is_never_a_200() -> None:
    """Neither a chunked one, nor one that is shorter than announced."""
    bench = WorkerBench()
    body = logs_request(3)
    for headers, chunks in [
        ((PROTOBUF,), chunked(body, cut=True)),
        ((PROTOBUF, length(len(body) + 1)), chunked(body)),
        ((PROTOBUF, length(1)), chunked()),
    ]:
        got = bench.ask(headers=headers, body=chunks)
        assert (got.status, got.reason) == (503, "cut body")
    assert bench.r2.calls == []


def test_a_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would hold memory that others need."""
    monkeypatch.setattr(application, "BODY_SECS", 0.01)
    bench = WorkerBench()

    async def ask() -> object:
        async def chunks() -> object:
            yield b"x"
            await asyncio.get_running_loop().create_future()

        return await bench.answer(body=chunks())  # type: ignore[arg-type]

    got = asyncio.run(ask())
    assert (got.status, got.reason) == (503, "slow body")  # type: ignore[attr-defined]
    assert bench.application.held_bytes == 0


def test_bodies_together_have_a_bound() -> None:
    """What does not fit beside others is refused for now; alone, it fits."""
    body = logs_request(3)
    bench = WorkerBench(max_payload_bytes=len(body))

    async def ask() -> list[int]:
        bench.r2.faults = ["put hangs"] * application.HELD_BYTES
        waiting = [
            asyncio.create_task(bench.answer(body=body)) for _ in range(application.HELD_BYTES)
        ]
        while bench.r2.faults:  # noqa: ASYNC110 - a turn of the loop is all that is waited for
            await asyncio.sleep(0)
        statuses = []
        for headers in ((PROTOBUF,), (PROTOBUF, length(len(body)))):
            got = await bench.answer(headers=headers, body=body)
            assert got.reason == "memory"
            statuses.append(got.status)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return statuses

    assert asyncio.run(ask()) == [503, 503]
    assert bench.application.held_bytes == 0
    assert bench.ask(body=body).status == 200


def test_rows_of_one_request_at_a_time_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """R2 is waited for without rows: many requests may wait for it."""
    monkeypatch.setattr(storing, "AT_ONCE", 1)
    bench, rows = WorkerBench(), WatchedRows(monkeypatch)
    bench.r2.on_call = rows.look
    assert bench.ask(path="/v1/metrics", body=SIGNALS["metrics"]).status == 200
    assert rows.seen == [0] * TABLES_OF_METRICS
    assert rows.decoded == TABLES_OF_METRICS


def test_a_defect_is_a_503(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a 500 clients throw their data away; what it was is in the log alone."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("hush")

    monkeypatch.setattr(application, "process_otlp", fail)
    got = WorkerBench().ask(body=logs_request(1))
    assert (got.status, got.reason) == (503, "internal")
    assert b"hush" not in got.body


def test_nothing_is_stored_for_a_request_without_records() -> None:
    """There is no row that a file could hold."""
    bench = WorkerBench()
    assert bench.ask().status == 200
    assert bench.r2.calls == []


def test_health_needs_no_token() -> None:
    """And says nothing but that the Worker lives."""
    bench = WorkerBench(tokens=("a",))
    assert bench.ask("GET", "/health", ()).status == 200
    assert bench.ask("HEAD", "/health", ()).status == 200
    assert bench.ask("POST", "/health", ()).status == 405
