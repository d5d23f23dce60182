"""Converting into a bucket: complete, nothing twice, whatever comes in between."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import obstore
import pytest

from otlp2parquet.convert import lock
from otlp2parquet.convert.journal import FOLDER
from otlp2parquet.errors import NameTakenError, StorageRefusedError
from otlp2parquet.stores import patient
from tests.components.s3 import BUCKET, CREDENTIALS, Versitygw, keys_in, s3_client
from tests.support.conversion import bodies, json_request, run
from tests.support.proxy import Asked, Proxy, Trouble
from tests.support.stores import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK = f"{FOLDER}/lock"


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Versitygw]:
    """An S3 server, with its credentials in the environment."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    with Versitygw(tmp_path) as server:
        yield server


@pytest.fixture
def captures(tmp_path: Path) -> Path:
    """Some files of some records."""
    folder = tmp_path / "captures"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.json").write_bytes(json_request(f"{number}a", f"{number}b"))
    return folder


ALL = {f"{number}{letter}": 1 for number in range(4) for letter in "ab"}


def in_bucket(tmp_path: Path) -> dict[str, int]:
    """How often each body is in the bucket, below ``out``."""
    return dict(bodies(tmp_path / "s3" / BUCKET / "out"))


def test_complete_and_nothing_twice(s3: Versitygw, captures: Path, tmp_path: Path) -> None:
    """The same command again finds that all is there, by what is remembered in the bucket."""
    assert run("convert", captures, "-o", s3.url("out")).exit_code == 0
    keys = keys_in(s3.endpoint)
    assert in_bucket(tmp_path) == ALL
    again = run("convert", captures, "-o", s3.url("out"))
    assert again.exit_code == 0
    assert in_bucket(tmp_path) == ALL
    assert [key for key in keys_in(s3.endpoint) if ".parquet" in key] == [
        key for key in keys if ".parquet" in key
    ]
    assert f"out/{LOCK}" not in keys


def test_trouble_in_between(
    s3: Versitygw, captures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every third request fails or loses its answer: it is tried again, and nothing is doubled."""
    monkeypatch.setattr(patient, "PAUSES_SECS", (0.001,) * 20)
    troubles = (Trouble(lose_answer=True), Trouble(status=500), Trouble(cut_after=0))

    def script(asked: Asked) -> Trouble | None:
        return troubles[asked.number // 3 % 3] if asked.number % 3 == 1 else None

    with Proxy(s3.port, script) as proxy:
        result = run("convert", captures, "-o", f"s3://{BUCKET}/out?endpoint={proxy.endpoint}")
        assert result.exit_code == 0, result.output
    assert in_bucket(tmp_path) == ALL


def test_cut_off_and_again(
    s3: Versitygw, captures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A storage that goes away for good ends it; the same command completes it later."""
    monkeypatch.setattr(patient, "PAUSES_SECS", (0.001,))
    (captures / "4.json").write_bytes(json_request("4a"))
    for last in (2, 4, 7, 11, 16, 22, 200):

        def script(asked: Asked, last: int = last) -> Trouble | None:
            return Trouble(status=500) if asked.number >= last else None

        with Proxy(s3.port, script) as proxy:
            url = f"s3://{BUCKET}/out?endpoint={proxy.endpoint}"
            if run("convert", captures, "-o", url).exit_code == 0:
                break
    else:
        pytest.fail("it never came to an end")
    assert last > 4
    assert in_bucket(tmp_path) == ALL | {"4a": 1}


def test_no_such_bucket(s3: Versitygw, captures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One message that says what to do."""
    monkeypatch.setattr(patient, "PAUSES_SECS", ())
    result = run("convert", captures, "-o", s3.url("out").replace(BUCKET, "absent"))
    assert result.exit_code == 1
    assert "there is no such bucket or container: make it, or name another" in result.stderr


def test_a_url_that_is_none(captures: Path) -> None:
    """Also for a URL."""
    result = run("convert", captures, "-o", "s3://")
    assert result.exit_code == 1
    assert "error: --output: 's3://'" in result.stderr


@pytest.mark.parametrize(
    ("owner", "is_gone"),
    [
        (f"process 99999999 on {socket.gethostname()}, {'0' * 16}", True),
        (f"process {os.getpid()} on {socket.gethostname()}, {'0' * 16}", True),
        (f"process {os.getppid()} on {socket.gethostname()}, {'0' * 16}", False),
        (f"process 99999999 on another.host, {'0' * 16}", False),
        ("something else", False),
    ],
    ids=["gone", "this one before", "another one", "elsewhere", "unknown"],
)
def test_one_conversion_at_a_time(owner: str, is_gone: bool) -> None:  # noqa: FBT001 - a parameter
    """A lock of a process that is gone is taken over; of any other, the owner is named."""
    store = MemoryStore()
    store.objects[LOCK] = owner.encode()
    if is_gone:
        with lock.locked_in(store, LOCK):
            assert b"process" in store.objects[LOCK]
        assert store.objects == {}
        return
    with (
        pytest.raises(StorageRefusedError, match="another conversion into memory: is running"),
        lock.locked_in(store, LOCK),
    ):
        pass
    assert store.objects == {LOCK: owner.encode()}


def test_not_even_oneself() -> None:
    """Two conversions of one process do not share an output."""
    store = MemoryStore()
    with (
        lock.locked_in(store, LOCK),
        pytest.raises(StorageRefusedError, match="another conversion"),
        lock.locked_in(store, LOCK),
    ):
        pass
    assert store.objects == {}


def test_a_lock_goes_with_its_owner() -> None:
    """Also after an error; and a name that another has taken meanwhile is looked at again."""
    store = MemoryStore()
    lost: list[str] = []

    def fail(call: str, path: str) -> Exception | None:
        if call == "create" and not lost:
            lost.append(path)
            return NameTakenError(path)
        return None

    store.fail = fail
    with pytest.raises(ValueError, match="x"), lock.locked_in(store, LOCK):
        raise ValueError("x")
    assert lost == [LOCK]
    assert store.objects == {}


def test_what_is_in_the_bucket_is_hidden_from_readers(s3: Versitygw, captures: Path) -> None:
    """Everything but the tables lies in a folder that begins with a dot."""
    assert run("convert", captures, "-o", s3.url("out")).exit_code == 0
    keys = [one["path"] for page in obstore.list(s3_client(s3.endpoint)) for one in page]
    assert {key.split("/")[1] for key in keys} <= {"logs", ".otlp2parquet"}
