"""Captures in S3 become files: each version of an object once, over an S3 server."""

from __future__ import annotations

import errno
import gzip
import json
import time
from typing import TYPE_CHECKING, Any

import obstore
import pyarrow.parquet as pq
import pytest

from otlp2parquet.catalogs.connection import connect, connection_of
from otlp2parquet.errors import ConfigError, StorageRefusedError, StorageUnavailableError
from otlp2parquet.platforms.aws_lambda import function as lambda_function
from otlp2parquet.platforms.aws_lambda import settings as lambda_settings
from otlp2parquet.platforms.aws_lambda.claims import FOLDER, Claim
from otlp2parquet.platforms.aws_lambda.metrics import Metrics
from otlp2parquet.stores.obstore import ObstoreStore
from otlp2parquet.writers import ParquetWriter
from tests.components.s3 import BUCKET, CREDENTIALS, Versitygw, keys_in, s3_client
from tests.support.lambda_bench import FunctionBench
from tests.support.lambda_events import SCHEDULED, event_bridge, notification, queued
from tests.support.memory_store import KilledError
from tests.support.requests import logs_request
from tests.support.rest_catalog import RestCatalogServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CAPTURES = "captures"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Versitygw]:
    """An S3 server with a bucket for tables and one for captures."""
    folder = tmp_path_factory.mktemp("s3")
    (folder / "s3" / CAPTURES).mkdir(parents=True)
    with Versitygw(folder) as running:
        yield running


class S3Bench:
    """A function that writes below a prefix of its own in the bucket."""

    def __init__(self, server: Versitygw, folder: Path) -> None:
        self.server = server
        self.prefix = folder.name
        self.folder = folder
        self.environ = {
            "OTLP2PARQUET_STORAGE_BACKEND": "s3",
            "OTLP2PARQUET_S3_BUCKET": BUCKET,
            "OTLP2PARQUET_STORAGE_S3_PREFIX": self.prefix,
        }

    def function(self, **more: str) -> FunctionBench:
        """A new environment of the function."""
        return FunctionBench(self.folder, {**self.environ, **more})

    def put(self, key: str, body: bytes, bucket: str = CAPTURES) -> dict[str, Any]:
        """Store a capture, and give S3's event of it."""
        made = obstore.put(s3_client(self.server.endpoint, bucket), key, body)
        return notification(bucket, key, str(made["e_tag"]).strip('"'), len(body))

    @property
    def keys(self) -> list[str]:
        """What lies below the prefix."""
        return [key for key in keys_in(self.server.endpoint) if key.startswith(f"{self.prefix}/")]

    @property
    def rows(self) -> int:
        """Rows in all files below the prefix."""
        folder = self.server.log_path.parent / "s3" / BUCKET
        found = [folder / key for key in self.keys if key.endswith(".parquet")]
        return sum(pq.read_metadata(path).num_rows for path in found)


@pytest.fixture
def s3(server: Versitygw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> S3Bench:
    """The bench, with the credentials and the endpoint in the environment, as on AWS."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.endpoint)
    monkeypatch.setattr(lambda_function, "FOLDER", str(tmp_path / "tmp"))
    return S3Bench(server, tmp_path)


def capture(*counts: int) -> bytes:
    """Requests of logs in one file, each after its length, as the Collector writes them."""
    parts = []
    first = 0
    for count in counts:
        body = logs_request(count, first=first)
        parts.append(len(body).to_bytes(4, "big") + body)
        first += count
    return b"".join(parts)


def test_an_object_is_converted_once(s3: S3Bench) -> None:
    """However often, by whichever way and to whichever environment its event comes."""
    event = s3.put("logs/in.pb", capture(3, 4))
    (record,) = event["Records"]
    made = record["s3"]["object"]
    other = event_bridge(CAPTURES, made["key"], made["eTag"], made["size"])
    with s3.function() as bench:
        assert bench.handle(event) == {"objects": 1}
        assert s3.rows == 7
        for again in (event, other):
            bench.handle(again)
        assert [one["converted_rows"] for one in bench.metrics if "converted_rows" in one] == [7]
    with s3.function() as bench:
        bench.handle(event)
        assert bench.handle(queued(event)) == {"batchItemFailures": []}
    assert s3.rows == 7
    assert [key.rpartition("/")[2] for key in s3.keys if FOLDER in key] == ["done"]


def test_another_content_under_the_name_is_another_object(s3: S3Bench) -> None:
    """Also if it repeats what was there before: it is what that object says."""
    with s3.function() as bench:
        bench.handle(s3.put("logs/same.pb", capture(3)))
        bench.handle(s3.put("logs/same.pb", capture(3, 4)))
        assert s3.rows == 3 + 7
        bench.handle(s3.put("logs/copy.pb", capture(3)))
        assert s3.rows == 3 + 7 + 3


def test_an_object_that_was_replaced_is_left_to_its_own_event(s3: S3Bench) -> None:
    """What is read is the content that the event tells of, or nothing."""
    first = s3.put("logs/replaced.pb", capture(3))
    second = s3.put("logs/replaced.pb", capture(5))
    with s3.function() as bench:
        # Told of twice, too: nobody holds what is not there.
        assert bench.handle(first) == bench.handle(first) == {"objects": 1}
        assert s3.rows == 0
        bench.handle(second)
    assert s3.rows == 5


def test_a_bucket_that_keeps_versions_no_more(s3: S3Bench) -> None:
    """All that is put there has the version "null": its content tells one from the next."""
    with s3.function() as bench:
        for count in (3, 4):
            event = s3.put("logs/unversioned.pb", capture(count))
            event["Records"][0]["s3"]["object"]["versionId"] = "null"
            bench.handle(event)
    assert s3.rows == 3 + 4


def test_a_key_of_any_script_is_read(s3: S3Bench) -> None:
    """Its letters may be more bytes than a file's name has here."""
    event = s3.put(f"{'ログ' * 20}/" * 5 + "logs.pb", capture(3))
    with s3.function() as bench:
        bench.handle(event)
    assert s3.rows == 3


@pytest.mark.parametrize(
    "body",
    [
        "no JSON",
        {"Type": "Notification", "Message": "{}"},
        {"Records": "none"},
        {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}]},
    ],
)
def test_a_message_that_cannot_be_read_stays(s3: S3Bench, body: object) -> None:
    """What is said to be done is removed from its queue; the other messages do not suffer."""
    good = s3.put("logs/good.pb", capture(3))
    with s3.function() as bench:
        failed = bench.handle(queued(body, good, {"Event": "s3:TestEvent"}))
        assert failed == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
    assert s3.rows == 3


def test_a_disk_that_is_full_costs_one_message(
    s3: S3Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object that is larger than a function's disk does not hold up those behind it."""
    large, small = s3.put("logs/large.pb", capture(9)), s3.put("logs/small.pb", capture(3))
    fetch = ObstoreStore.fetch

    def fail(self: ObstoreStore, path: str, sink: Any, **kwargs: Any) -> None:
        if path == "logs/large.pb":
            raise OSError(errno.ENOSPC, "No space left on device")
        fetch(self, path, sink, **kwargs)

    monkeypatch.setattr(ObstoreStore, "fetch", fail)
    with s3.function() as bench:
        failed = bench.handle(queued(large, small))
        assert failed == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
    assert s3.rows == 3


def test_compressed_json_lines(s3: S3Bench) -> None:
    """What is in an object decides, as for ``convert``."""
    line = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {}}] * 3}]}]})
    with s3.function() as bench:
        bench.handle(
            s3.put("firehose/2026/07/01/09/x-1-2026", gzip.compress(f"{line}\n".encode() * 2))
        )
    assert s3.rows == 6


def test_what_was_cut_off_is_completed(s3: S3Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of two files fails: the event comes again, and finds the first one."""
    other = logs_request(2, service="other")
    event = s3.put("logs/cut.pb", capture(3) + len(other).to_bytes(4, "big") + other)
    store = ParquetWriter.store
    calls = 0

    def fail(self: ParquetWriter, *args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise StorageUnavailableError("away")
        return store(self, *args, **kwargs)

    monkeypatch.setattr(ParquetWriter, "store", fail)
    with s3.function() as bench, pytest.raises(StorageUnavailableError):
        bench.handle(event)
    assert s3.rows == 3
    with s3.function() as bench:
        bench.handle(event)
    assert s3.rows == 5
    assert len([key for key in s3.keys if key.endswith(".parquet")]) == 2


def test_two_at_once_are_not(s3: S3Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes second is told to come again; also a message of a queue is."""
    event = s3.put("logs/twice.pb", capture(3))
    met: list[Any] = []
    store = ParquetWriter.store

    def meanwhile(self: ParquetWriter, *args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(ParquetWriter, "store", store)
        with s3.function() as other:
            try:
                other.handle(event)
            except StorageUnavailableError as error:
                met.append(str(error))
            met.append(other.handle(queued(event)))
        return store(self, *args, **kwargs)

    monkeypatch.setattr(ParquetWriter, "store", meanwhile)
    with s3.function() as bench:
        bench.handle(event)
    assert "another invocation" in met[0]
    assert met[1] == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
    assert s3.rows == 3


def test_our_own_objects_are_no_captures(s3: S3Bench) -> None:
    """A trigger on the bucket of the tables would feed on itself."""
    event = s3.put(f"{s3.prefix}/logs/x.pb", capture(3), BUCKET)
    with s3.function() as bench:
        assert bench.handle(event) == {"objects": 1}
    assert s3.rows == 0


def test_a_key_that_is_no_path_is_refused(s3: S3Bench) -> None:
    """With an error that says so, not with a conversion of something else."""
    with s3.function() as bench, pytest.raises(StorageRefusedError, match="key"):
        bench.handle(notification(CAPTURES, "a//b/../c.pb", "e", 1))


def test_without_a_bucket_nothing_can_be_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So nothing is converted, and the error says what is missing."""
    monkeypatch.setattr(lambda_settings, "FOLDER", str(tmp_path / "tmp"))
    arn = "arn:aws:s3tables:us-east-1:000000000000:bucket/telemetry"
    settings = lambda_settings.function_settings({"OTLP2PARQUET_ICEBERG_BUCKET_ARN": arn})
    made = lambda_function.Function(settings, Metrics("bench"))
    with pytest.raises(ConfigError, match=r"storage\.backend"):
        made.handle(notification(CAPTURES, "x.pb", "e", 1))
    made.close()


def test_what_cannot_be_converted_is_told_and_counted(
    s3: S3Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """The rest is converted; a metric is what an alarm can look at."""
    with s3.function() as bench, caplog.at_level("WARNING", logger="otlp2parquet"):
        bench.handle(s3.put("logs/bad.pb", capture(3) + b"\x00\x00\x00\x02\x0a\x7f"))
        (counted,) = [one for one in bench.metrics if "left_out_parts" in one]
    assert (counted["converted_rows"], counted["left_out_parts"]) == (3, 1)
    assert [record.message for record in caplog.records] == ["a part of an object is odd"]


def test_an_attempt_that_was_killed_is_taken_over_and_committed_once(
    s3: S3Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed behind its receipts; they are committed; the event comes again, to somebody else.

    An environment that ran out of memory cannot give its claim up, and need not: AWS's first retry
    comes when it is over. The receipts that the second attempt makes are those of the same node, so
    the table knows them.
    """
    event = s3.put("logs/killed.pb", capture(3))
    done, give_up = Claim.done, Claim.give_up

    def die(_self: Any) -> None:
        raise KilledError

    (tmp_path / "catalog").mkdir()
    with RestCatalogServer(tmp_path / "catalog") as catalog:
        first = {"OTLP2PARQUET_ICEBERG_REST_URI": catalog.uri}
        monkeypatch.setattr(Claim, "done", die)
        monkeypatch.setattr(Claim, "give_up", lambda _self: None)
        with s3.function(**first) as bench, pytest.raises(KilledError):
            bench.handle(event)
        monkeypatch.setattr(Claim, "done", done)
        monkeypatch.setattr(Claim, "give_up", give_up)
        with s3.function(**first) as bench, pytest.raises(StorageUnavailableError):
            bench.handle(event)
        with s3.function(**first) as bench:
            # Whoever converted it is gone, so its receipts need not wait for an hour.
            assert bench.handle(SCHEDULED)["rows"] == 3
        (held,) = [key for key in s3.keys if FOLDER in key]
        client = s3_client(s3.server.endpoint)
        until = json.loads(bytes(obstore.get(client, held).bytes()))["until"]
        assert until < time.time() + 60
        obstore.put(client, held, json.dumps({"until": time.time()}).encode())
        with s3.function(**first) as bench:
            assert bench.handle(event) == {"objects": 1}
            assert bench.assembly.commits is not None
            assert bench.assembly.commits.committer.counts.already == 1
            tables = connect(connection_of(bench.settings.config))
        assert tables.load_table(("otlp", "otel_logs")).scan().to_arrow().num_rows == 3
    assert [key for key in s3.keys if "receipts" in key] == []
