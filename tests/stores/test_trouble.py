"""A bucket that makes trouble: what is raised, what is there then, and what a retry meets."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, BinaryIO

import pytest

from otlp2parquet import BatchBuilder
from otlp2parquet.core.files import plan_files
from otlp2parquet.errors import (
    NameTakenError,
    StorageError,
    StorageRefusedError,
    StorageUnavailableError,
)
from otlp2parquet.stores import UPLOAD_BYTES
from otlp2parquet.stores import obstore as obstore_store
from otlp2parquet.stores.clients import Access, open_store
from otlp2parquet.stores.location import Location
from otlp2parquet.stores.obstore import ONE_PUT_BYTES
from otlp2parquet.stores.patient import PatientStore
from otlp2parquet.stores.trouble import storage_error
from otlp2parquet.writers import ParquetWriter
from tests.components.s3 import BUCKET, Versitygw, s3_client
from tests.support.proxy import Asked, Proxy, Trouble
from tests.support.requests import logs_request
from tests.support.stores import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from otlp2parquet.stores import Store
    from tests.stores.conftest import Servers

SMALL, LARGE = b"x" * 1000, bytes(ONE_PUT_BYTES + 1)


@pytest.fixture
def proxy(servers: Servers) -> Iterator[Proxy]:
    """A proxy before a real S3 server."""
    with Proxy(servers.get("versitygw", Versitygw).port) as running:
        yield running


@pytest.fixture
def bucket(proxy: Proxy, request: pytest.FixtureRequest) -> Store:
    """A store behind the proxy, for this test alone, with little patience."""
    prefix = f"trouble/{abs(hash(request.node.nodeid))}-{time.time_ns()}"
    location = Location("s3", BUCKET, prefix, proxy.endpoint)
    return open_store(location, Access(timeout_secs=1.0))


def once(trouble: Trouble, method: str = "PUT") -> Callable[[Asked], Trouble | None]:
    """The trouble for the first request of a method, none for the others."""
    left = [trouble]

    def script(asked: Asked) -> Trouble | None:
        return left.pop() if asked.method == method and left else None

    return script


def writing(content: bytes) -> Callable[[BinaryIO], None]:
    """What writes ``content``."""

    def fill(sink: BinaryIO) -> None:
        sink.write(content)

    return fill


def read(store: Store, path: str) -> bytes:
    """The whole content of an object."""
    with store.open(path) as file:
        return file.read()


def test_one_request_for_a_small_file(proxy: Proxy, bucket: Store) -> None:
    """Up to 8 MB a file is one PUT, and nothing is asked before or after it."""
    for path, size in (("a", 10), ("b", ONE_PUT_BYTES)):
        bucket.create(path, writing(bytes(size)))
    assert [one.method for one in proxy.asked] == ["PUT", "PUT"]


def test_a_footer_is_one_request(proxy: Proxy, bucket: Store) -> None:
    """What opening reads is the end of the object: a small one is there with it."""
    bucket.create("a", writing(SMALL))
    assert read(bucket, "a") == SMALL
    assert proxy.count("GET") == 1
    assert proxy.count("HEAD") == 0


def test_a_lost_answer_is_met_by_the_next_try(proxy: Proxy, bucket: Store) -> None:
    """The request is not repeated behind our back: the caller is told, and finds its own file."""
    bucket.create("warm", writing(SMALL))  # a connection that was used may break at any time
    proxy.script = once(Trouble(lose_answer=True))
    with pytest.raises(StorageUnavailableError, match="the connection was cut"):
        bucket.create("a", writing(SMALL))
    assert proxy.count("PUT") == 2
    with pytest.raises(NameTakenError):
        bucket.create("a", writing(SMALL))
    assert read(bucket, "a") == SMALL


@pytest.mark.parametrize("rows", [1, 2])
def test_a_writer_after_a_lost_answer(proxy: Proxy, bucket: Store, rows: int) -> None:
    """The retry of a batch takes the file for its own; one of other rows it does not."""
    batches = built(1)
    writer = ParquetWriter(bucket)
    (file,) = plan_files(batches)
    batch_id = "0190a000-0000-7000-8000-000000000001"
    proxy.script = once(Trouble(lose_answer=True))
    with pytest.raises(StorageUnavailableError):
        writer.store(file, batches, batch_id)
    again = built(rows)
    (file,) = plan_files(again)
    if rows == 1:
        stored = writer.store(file, again, batch_id, existing="same")
        assert stored.was_there
        assert stored.rows == 1
    else:
        with pytest.raises(NameTakenError, match="with 1 rows; expected batch"):
            writer.store(file, again, batch_id, existing="same")


def built(rows: int) -> list[pa.RecordBatch]:
    """Rows of one group."""
    builder = BatchBuilder()
    for _ in range(rows):
        builder.append(logs_request(1), "logs", received_at=1)
    return builder.finish()


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (Trouble(status=503, code="SlowDown"), "asks to slow down"),
        (Trouble(status=429, code="TooManyRequests", retry_after=1), "asks to slow down"),
        (Trouble(status=500), "as the script says"),
        (Trouble(status=403, code="AccessDenied"), "no permission: these credentials need to"),
        (Trouble(status=403, code="RequestTimeTooSkewed"), "clock is wrong: set it"),
        (Trouble(status=400, code="ExpiredToken"), "credentials have expired: renew them"),
        (Trouble(status=403, code="InvalidAccessKeyId"), "credentials are not accepted"),
        (Trouble(status=404, code="NoSuchBucket"), "no such bucket or container: make it"),
        (Trouble(status=301, code="PermanentRedirect"), "in another region: set the region"),
        (Trouble(status=409, code="ConditionalRequestConflict"), "is under way"),
        (Trouble(cut_after=100), "the connection was cut"),
        (Trouble(hang=True), "no answer in time"),
        (Trouble(drip_secs=0.2), "no answer in time"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_trouble_that_passes(proxy: Proxy, bucket: Store, trouble: Trouble, told: str) -> None:
    """Each says what to do; the next try stores the file, or finds that the first one has."""
    proxy.script = once(trouble)
    with pytest.raises(StorageUnavailableError, match=told) as caught:
        bucket.create("a", writing(SMALL))
    assert str(caught.value).startswith(f"cannot write s3://{BUCKET}/trouble/")
    assert "\n" not in str(caught.value)
    try:
        bucket.create("a", writing(SMALL))
    except NameTakenError:
        assert trouble.drip_secs
    assert read(bucket, "a") == SMALL


def test_trouble_that_does_not_pass(proxy: Proxy, bucket: Store) -> None:
    """What the storage will never take is refused."""
    proxy.script = once(Trouble(status=400, code="EntityTooLarge"))
    with pytest.raises(StorageRefusedError, match="takes no such name, size or request"):
        bucket.create("a", writing(SMALL))


def test_taken_says_the_storage(proxy: Proxy, bucket: Store) -> None:
    """A 412 is a name that is taken, whoever took it."""
    proxy.script = once(Trouble(status=412, code="PreconditionFailed"))
    with pytest.raises(NameTakenError):
        bucket.create("a", writing(SMALL))


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    "trouble",
    [Trouble(hang=True), Trouble(cut_after=100), Trouble(status=503, code="SlowDown")],
    ids=["hang", "cut", "slow down"],
)
def test_a_large_file_survives_one_bad_request(
    proxy: Proxy, bucket: Store, method: str, trouble: Trouble
) -> None:
    """The requests of a multipart upload may be repeated, and are, a few times."""
    proxy.script = once(trouble, method)
    assert bucket.create("a", writing(LARGE)) == len(LARGE)
    assert read(bucket, "a") == LARGE


def test_a_large_file_that_cannot_be_completed(proxy: Proxy, bucket: Store) -> None:
    """It is not there, its parts are given up, and the next try stores it."""
    proxy.script = lambda asked: (
        Trouble(status=500) if asked.method == "PUT" and "partNumber=2" in asked.path else None
    )
    with pytest.raises(StorageUnavailableError):
        bucket.create("a", writing(LARGE))
    assert proxy.count("DELETE") == 1
    with pytest.raises(FileNotFoundError):
        bucket.open("a")
    proxy.script = lambda _: None
    assert bucket.create("a", writing(LARGE)) == len(LARGE)


def test_a_large_file_whose_last_answer_is_lost(proxy: Proxy, bucket: Store) -> None:
    """It is there whole, and the next try meets it."""
    proxy.script = lambda asked: (
        Trouble(lose_answer=True) if "uploadId" in asked.path and asked.method == "POST" else None
    )
    with pytest.raises(StorageError):
        bucket.create("a", writing(LARGE))
    proxy.script = lambda _: None
    with pytest.raises(NameTakenError):
        bucket.create("a", writing(LARGE))
    assert read(bucket, "a") == LARGE


def test_a_reader_survives_one_bad_request(proxy: Proxy, bucket: Store) -> None:
    """Reading may be repeated, and is."""
    bucket.create("a", writing(SMALL))
    for trouble in (Trouble(status=503), Trouble(hang=True), Trouble(cut_after=0)):
        proxy.script = once(trouble, "GET")
        assert read(bucket, "a") == SMALL


def test_a_bucket_that_hangs_ends_by_itself(proxy: Proxy, bucket: Store) -> None:
    """Every call ends within its time, however the storage hangs."""
    proxy.script = lambda _: Trouble(hang=True)
    calls: list[Callable[[], object]] = [
        lambda: bucket.create("a", writing(SMALL)),
        lambda: bucket.create("a", writing(LARGE)),
        lambda: bucket.open("a"),
        lambda: list(bucket.list()),
        lambda: bucket.delete("a"),
    ]
    ended = []

    def attempt(call: Callable[[], object]) -> None:
        with pytest.raises(StorageUnavailableError, match="no answer in time"):
            call()
        ended.append(call)

    threads = [threading.Thread(target=attempt, args=[call], daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(ended) == len(calls)


def test_nothing_leaves_the_prefix(proxy: Proxy, bucket: Store) -> None:
    """Every key that was asked for lies below the prefix."""
    bucket.create("logs/service=%2E%2E/x", writing(SMALL))
    for path in ("../x", "/x", "a/../../x"):
        with pytest.raises(ValueError, match="does not name an object below the root"):
            bucket.create(path, writing(SMALL))
    assert len(proxy.asked) == 1
    assert proxy.asked[0].path.startswith(f"/{BUCKET}/trouble/")
    keys = [one["path"] for page in s3_client(proxy.endpoint).list() for one in page]
    assert all(key.startswith("trouble/") for key in keys if "%2E%2E" in key)


class Failing(MemoryStore):
    """A store that fails transiently so many times, before or after it has done it."""

    def __init__(self, times: int, *, done: bool) -> None:
        super().__init__()
        self._times, self._done = times, done

    def create(self, path: str, fill: Callable[[BinaryIO], None]) -> int:
        """As the other's, then or not at all, an error."""
        if not self._times:
            return super().create(path, fill)
        self._times -= 1
        if self._done:
            super().create(path, fill)
        raise StorageUnavailableError("no answer")


@pytest.mark.parametrize("done", [True, False])
def test_patience(done: bool) -> None:  # noqa: FBT001 - a parameter
    """What passes is tried again; an answer that was lost is found in the object's content."""
    pauses: list[float] = []
    failing = Failing(1 if done else 3, done=done)
    store = PatientStore(failing, wait=pauses.append, jitter=lambda: 0.5)
    assert store.create("a", writing(SMALL)) == len(SMALL)
    assert pauses == ([1.0] if done else [1.0, 2.0, 4.0])
    assert failing.objects == {"a": SMALL}
    with pytest.raises(NameTakenError):
        store.create("a", writing(SMALL))


def test_patience_with_somebody_elses_object() -> None:
    """What has other content is not ours, whatever was lost."""
    failing = Failing(1, done=False)
    failing.objects["a"] = b"theirs"
    store = PatientStore(failing, wait=lambda _: None)
    with pytest.raises(NameTakenError):
        store.create("a", writing(SMALL))


def test_patience_ends() -> None:
    """Some trouble does not pass."""
    pauses: list[float] = []
    store = PatientStore(Failing(99, done=False), wait=pauses.append, jitter=lambda: 0.5)
    with pytest.raises(StorageUnavailableError):
        store.create("a", writing(SMALL))
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("dns error: failed to lookup address information", "the host is unknown"),
        ("tcp connect error: Connection refused", "nothing answers there"),
        ("invalid peer certificate: UnknownIssuer", "storage.ca_file"),
        ("Generic S3 error: Missing AccessKeyId", "no credentials were found"),
        ("token included in the request is expired", "the credentials have expired"),
        ("<Code>AuthorizationPermissionMismatch</Code>", "no permission"),
        ("<Code>ContainerNotFound</Code>", "no such bucket or container"),
        ("elapsed: 503ms, 403.1ms, port 429, retry_timeout: 30s", "x: "),
    ],
)
def test_words(words: str, told: str) -> None:
    """Other services' and the network's words, and numbers that are no status."""
    message = str(storage_error("x", RuntimeError(words)))
    assert told in message
    assert ("slow down" in message) is False


def test_memory_of_an_upload() -> None:
    """What a store holds of one object is what the budget is told."""
    held = obstore_store.ONE_PUT_BYTES + 5 * obstore_store.PART_BYTES
    assert (obstore_store.PARTS_AT_ONCE, held) == (4, UPLOAD_BYTES)
