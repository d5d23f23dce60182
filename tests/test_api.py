"""The public names: what ``import otlp2parquet`` gives, and that it is what it says."""

from __future__ import annotations

import gzip
import inspect
import json
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pyarrow as pa
import pytest

import otlp2parquet
from otlp2parquet.core import decoder
from tests.support.requests import HOUR, START, logs_request, metrics_request
from tests.support.strategies import delimited

if TYPE_CHECKING:
    from pathlib import Path


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after ``statement``."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return set(json.loads(done.stdout))


def test_every_name_is_there() -> None:
    """Each name of ``__all__`` can be imported, is listed by ``dir``, and has a docstring."""
    for name in otlp2parquet.__all__:
        value = getattr(otlp2parquet, name)
        assert name in dir(otlp2parquet)
        if name not in {"Signal", "__version__"}:
            assert inspect.getdoc(value), name


def test_unknown_name() -> None:
    """A name that does not exist is an AttributeError, as everywhere."""
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = otlp2parquet.nothing


def test_signature_of_process_otlp() -> None:
    """The documented signature: payload and signal by place, the rest by name."""
    assert str(inspect.signature(otlp2parquet.process_otlp)).replace("'", '"') == (
        "(payload: bytes | bytearray | memoryview | str, "
        'signal: Literal["logs", "traces", "metrics"], *, '
        'content_type: str = "application/x-protobuf", content_encoding: str | None = None, '
        "received_at: int | None = None, max_memory_bytes: int | None = None) "
        "-> otlp2parquet._native.Result"
    ).replace("otlp2parquet._native.Result", inspect.formatannotation(otlp2parquet.Result))


def test_version() -> None:
    """The package, its metadata and its decoder are of one version."""
    assert otlp2parquet.__version__ == version("otlp2parquet")


def test_decoding_needs_no_pyarrow() -> None:
    """Whoever only decodes pays for no Arrow library, no server and no command line."""
    loaded = loaded_by("from otlp2parquet import BatchBuilder, partition_path, process_otlp")
    assert loaded.isdisjoint({"pyarrow", "click", "rich", "granian", "asyncio", "logging"})


def test_writers_come_when_asked_for() -> None:
    """The first use of a writer's name loads pyarrow, and the name is then the class itself."""
    assert "pyarrow" in loaded_by("from otlp2parquet import ParquetWriter")
    assert otlp2parquet.ParquetWriter is otlp2parquet.ParquetWriter


def test_plans_and_stores_need_no_pyarrow() -> None:
    """What knows only names and bytes is there without an Arrow library."""
    assert "pyarrow" not in loaded_by("from otlp2parquet import LocalStore, Store, plan_files")


def test_stores_and_writers_are_what_they_promise(tmp_path: Path) -> None:
    """The classes keep their protocols (mypy reads this too), and a batch finds its place."""
    store: otlp2parquet.Store = otlp2parquet.LocalStore(tmp_path)
    writer: otlp2parquet.OtlpWriter = otlp2parquet.ParquetWriter(store)
    assert writer.root == store.root == str(tmp_path)
    batches = otlp2parquet.process_otlp(logs_request(3), "logs").batches
    batch_id = otlp2parquet.new_batch_id()
    files: list[otlp2parquet.PlannedFile] = otlp2parquet.plan_files(batches, "hour")
    receipts = [writer.store(file, batches, batch_id) for file in files]
    receipt: otlp2parquet.StoredFile = receipts[0]
    times: otlp2parquet.ColumnStatistics = receipt.columns[1]
    assert (receipt.rows, times.null_count, times.lower) == (3, 0, START // 1000)
    with pytest.raises(otlp2parquet.NameTakenError):
        writer.store(files[0], batches, batch_id)


def test_result() -> None:
    """A result has a batch for each table, service and hour, and says what became of all."""
    result = otlp2parquet.process_otlp(logs_request(3) + logs_request(2, "cart"), "logs")
    assert [(batch.service, batch.num_rows) for batch in result.batches] == [
        ("checkout", 3),
        ("cart", 2),
    ]
    assert {batch.table for batch in result.batches} == {"otel_logs"}
    assert {batch.hour for batch in result.batches} == {HOUR}
    assert result.batches[0].hour.utcoffset() == UTC.utcoffset(None)
    assert (result.accepted, result.rejected, result.message) == (5, 0, "")


def test_empty_request() -> None:
    """No bytes are a request without records."""
    result = otlp2parquet.process_otlp(b"", "traces")
    assert (result.batches, result.accepted, result.rejected, result.message) == ([], 0, 0, "")


def test_gzip() -> None:
    """A gzip payload is inflated on the way in."""
    packed = gzip.compress(logs_request(3))
    result = otlp2parquet.process_otlp(packed, "logs", content_encoding="gzip")
    assert result.accepted == 3


def test_received_at() -> None:
    """Records without a time take the receive time, in nanoseconds, or the epoch."""
    undated = bytes.fromhex("0a 06 12 04 12 02 10 09".replace(" ", ""))
    (batch,) = otlp2parquet.process_otlp(undated, "logs", received_at=START).batches
    assert batch.hour == HOUR
    (batch,) = otlp2parquet.process_otlp(undated, "logs").batches
    assert batch.hour == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("payload", "options", "error"),
    [
        (b"\x0a\xff\x01", {}, otlp2parquet.DecodeError),
        (b"no gzip", {"content_encoding": "gzip"}, otlp2parquet.DecodeError),
        (b"", {"content_type": "text/plain"}, otlp2parquet.UnsupportedError),
        (b"x", {"content_encoding": "br"}, otlp2parquet.UnsupportedError),
        (
            gzip.compress(bytes((64 << 20) + 1), 1),
            {"content_encoding": "gzip"},
            otlp2parquet.TooLargeError,
        ),
    ],
)
def test_errors(payload: bytes, options: dict[str, str], error: type[Exception]) -> None:
    """Each kind of refusal is its own class, and all are OtlpError."""
    with pytest.raises(error) as caught:
        otlp2parquet.process_otlp(payload, "logs", **options)  # type: ignore[arg-type]
    assert isinstance(caught.value, otlp2parquet.OtlpError)
    assert str(caught.value)[0].islower()


def test_unknown_signal() -> None:
    """A signal that does not exist is the caller's mistake, not the payload's."""
    with pytest.raises(ValueError, match="expected logs, traces or metrics"):
        otlp2parquet.process_otlp(b"", "profiles")  # type: ignore[arg-type]


@pytest.mark.parametrize("signal", ["x" * 10_000_000, "\n" * 1000, "\U0001f600" * 1000])
def test_messages_stay_short(signal: str) -> None:
    """An argument is repeated in its error up to 64 characters."""
    with pytest.raises(ValueError, match="found signal") as caught:
        otlp2parquet.process_otlp(b"", signal)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 1000
    with pytest.raises(ValueError, match="found table") as caught:
        decoder.table_schema(signal)
    assert len(str(caught.value)) < 1000


JSON_LOG = '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"é"}}]}]}]}'


def test_payloads_of_any_kind_of_bytes() -> None:
    """Bytes, a bytearray, a memoryview (also of a part); and text, where it is JSON."""
    payload = logs_request(3)
    padded = b"xx" + payload + b"yy"
    builder = otlp2parquet.BatchBuilder()
    kinds: list[bytes | bytearray | memoryview] = [
        payload,
        bytearray(payload),
        memoryview(payload),
        memoryview(padded)[2:-2],
    ]
    for kind in kinds:
        assert otlp2parquet.process_otlp(kind, "logs").accepted == 3
        assert builder.append(kind, "logs").accepted == 3
    texts: list[str | bytes | bytearray] = [JSON_LOG, JSON_LOG.encode()]
    for text in (*texts, bytearray(JSON_LOG.encode())):
        read = otlp2parquet.process_otlp(text, "logs", content_type="application/json")
        assert pa.record_batch(read.batches[0])["Body"].to_pylist() == ["é"]
    for content_type, encoding in (
        ("application/x-protobuf", None),
        ("application/json", "gzip"),
    ):
        with pytest.raises(TypeError, match="found a payload of type str, expected bytes"):
            otlp2parquet.process_otlp(
                JSON_LOG, "logs", content_type=content_type, content_encoding=encoding
            )
    for other in (None, 7, [1], memoryview(bytes(8)).cast("Q")):
        with pytest.raises(TypeError, match="found a payload of type"):
            otlp2parquet.process_otlp(other, "logs")  # type: ignore[arg-type]


def test_threads_share_a_builder() -> None:
    """Threads that use a builder at the same time wait for each other; no row is lost."""
    builder = otlp2parquet.BatchBuilder()
    payload = logs_request(500)
    batches: list[otlp2parquet.Batch] = []
    with ThreadPoolExecutor(8) as pool:
        appended = [pool.submit(builder.append, payload, "logs") for _ in range(200)]
        finished = [pool.submit(builder.finish) for _ in range(20)]
        assert all(one.result().accepted == 500 for one in appended)
        for one in finished:
            batches += one.result()
    batches += builder.finish()
    assert sum(batch.num_rows for batch in batches) == 100_000
    assert (builder.num_rows, builder.num_groups, builder.num_bytes) == (0, 0, 0)


def test_what_things_say_of_themselves() -> None:
    """In Python's words."""
    (batch,) = otlp2parquet.process_otlp(b"\x0a\x04\x12\x02\x12\x00", "logs").batches
    assert repr(batch) == (
        "<Batch otel_logs service=None hour=1970-01-01T00:00:00+00:00 num_rows=1>"
    )
    result = otlp2parquet.process_otlp(b"", "logs")
    assert repr(result) == "<Result of 0 batches, accepted=0, rejected=0>"
    assert repr(otlp2parquet.BatchBuilder()) == "BatchBuilder(num_rows=0, num_groups=0)"
    for kind in (otlp2parquet.Batch, otlp2parquet.Result, otlp2parquet.BatchBuilder):
        for name, member in vars(kind).items():
            if inspect.isgetsetdescriptor(member):
                assert member.__doc__, f"{kind.__name__}.{name}"


def test_the_memory_of_a_request_is_the_callers_to_set() -> None:
    """A large resource above many records: refused by default, taken where memory is there."""
    records = b"\x12\x00" * 2000
    payload = delimited(1, delimited(3, b"x" * 2**17) + delimited(2, records))
    with pytest.raises(otlp2parquet.TooLargeError, match="bytes of memory"):
        otlp2parquet.process_otlp(payload, "logs")
    result = otlp2parquet.process_otlp(payload, "logs", max_memory_bytes=2**29)
    assert result.accepted == 2000
    with pytest.raises(otlp2parquet.TooLargeError):
        otlp2parquet.process_otlp(logs_request(1000), "logs", max_memory_bytes=10_000)


def test_batches_go_everywhere() -> None:
    """pyarrow, polars and DuckDB take a batch as it is, with the same rows."""
    for batch in otlp2parquet.process_otlp(metrics_request(5), "metrics").batches:
        rows = pa.record_batch(batch).to_pylist()
        assert len(rows) == batch.num_rows == 5
        assert pa.table(batch).to_pylist() == rows
        assert pl.DataFrame(batch).height == 5
        # DuckDB finds the variable by its name and reads it through its Arrow stream.
        with duckdb.connect() as connection:
            found = connection.sql("SELECT MetricName, count(*) FROM batch GROUP BY ALL")
            assert found.fetchall() == [(rows[0]["MetricName"], 5)]


def test_new_batch_ids() -> None:
    """Fresh ids are UUIDs of version 7: unique, and in the order of their milliseconds."""
    before = time.time_ns() // 1_000_000
    ids = [otlp2parquet.new_batch_id() for _ in range(1000)]
    after = time.time_ns() // 1_000_000
    assert len(set(ids)) == 1000
    for one in map(uuid.UUID, ids):
        assert one.variant == uuid.RFC_4122
        assert one.version == 7
        assert before <= one.int >> 80 <= after
