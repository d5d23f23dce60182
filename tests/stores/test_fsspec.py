"""What fsspec adds to what all stores promise: other schemes, large files, secrets in URLs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, BinaryIO

import fsspec
import pytest

from otlp2parquet.errors import (
    ConfigError,
    NameTakenError,
    StorageRefusedError,
    StorageUnavailableError,
)
from otlp2parquet.stores.fsspec import FsspecStore
from tests.components.s3 import BUCKET, KEY_ID, SECRET, Versitygw
from tests.support.proxy import Asked, Proxy, Trouble

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stores.conftest import Servers


def write(sink: BinaryIO) -> None:
    """An object's content."""
    sink.write(b"x")


def test_a_scheme_that_nobody_knows() -> None:
    """It is said at the start, with the URL."""
    with pytest.raises(ConfigError, match="cannot be used"):
        FsspecStore("nothing://x")


def test_without_fsspec(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how to get it."""
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ConfigError, match=r"pip install 'otlp2parquet\[fsspec\]'"):
        FsspecStore("memory://x")


def test_a_password_is_not_in_the_name() -> None:
    """The root stands in plans, logs and pages."""

    class Fake(fsspec.AbstractFileSystem):  # type: ignore[misc]
        protocol = "fakesftp"

    fsspec.register_implementation("fakesftp", Fake, clobber=True)
    store = FsspecStore("fakesftp://me:secret@host/folder/")
    assert store.root == "fakesftp://me@host/folder"


def test_no_bucket(servers: Servers) -> None:
    """A missing bucket is trouble, and not an object that is missing."""
    endpoint = servers.get("versitygw", Versitygw).endpoint
    store = FsspecStore("s3://absent/x", key=KEY_ID, secret=SECRET, endpoint_url=endpoint)
    with pytest.raises(StorageUnavailableError, match="no such bucket"):
        store.create("a", write)


def test_nothing_answers() -> None:
    """A storage that is down is told as such."""
    store = FsspecStore(
        "s3://b-1/x",
        key=KEY_ID,
        secret=SECRET,
        endpoint_url="http://127.0.0.1:1",
    )
    with pytest.raises(StorageUnavailableError, match="nothing answers there"):
        store.create("a", write)


def test_a_lost_answer(servers: Servers) -> None:
    """The library repeats the request, which finds the name taken by its own object: seen."""
    left: list[Trouble] = []

    def script(asked: Asked) -> Trouble | None:
        return left.pop() if left and asked.method == "PUT" else None

    with Proxy(servers.get("versitygw", Versitygw).port, script) as proxy:
        store = FsspecStore(
            f"s3://{BUCKET}/lost", key=KEY_ID, secret=SECRET, endpoint_url=proxy.endpoint
        )
        store.create("warm", write)  # only on a connection that was used is a request repeated
        left.append(Trouble(lose_answer=True))
        store.create("a", write)
        assert proxy.count("PUT") == 3
        with pytest.raises(NameTakenError):
            store.create("a", write)


def test_a_file_system_that_repeats(monkeypatch: pytest.MonkeyPatch, servers: Servers) -> None:
    """Where a library may have sent a request twice, "taken" is no word to rely on at once."""
    endpoint = servers.get("versitygw", Versitygw).endpoint
    store = FsspecStore(f"s3://{BUCKET}/twice", key=KEY_ID, secret=SECRET, endpoint_url=endpoint)
    monkeypatch.setattr(store, "_marks", False)

    def overtaken(sink: BinaryIO) -> None:
        sink.write(b"mine")
        FsspecStore(
            f"s3://{BUCKET}/twice", key=KEY_ID, secret=SECRET, endpoint_url=endpoint
        ).create("a", write)

    with pytest.raises(StorageUnavailableError, match="the name was taken meanwhile"):
        store.create("a", overtaken)
    with pytest.raises(NameTakenError):
        store.create("a", write)


def test_a_file_system_that_cannot(tmp_path: Path) -> None:
    """What it has no call for is refused for good."""

    class ReadOnly(fsspec.AbstractFileSystem):  # type: ignore[misc]
        protocol = "readonly"

        def exists(self, path: str, **_: Any) -> bool:
            return path == ""

        def makedirs(self, path: str, exist_ok: bool = False) -> None:  # noqa: FBT001, FBT002 - fsspec's
            """There are no folders."""

    assert tmp_path.is_dir()
    fsspec.register_implementation("readonly", ReadOnly, clobber=True)
    with pytest.raises(StorageRefusedError):
        FsspecStore("readonly://x").create("a", write)


def test_temporary_files_are_not_listed(tmp_path: Path) -> None:
    """Where files are moved, what is half-written has a name of its own, and goes."""
    store = FsspecStore(f"file://{tmp_path}/root", auto_mkdir=True)

    def look(sink: BinaryIO) -> None:
        sink.write(bytes(9 << 20))
        assert list(store.list()) == []

    store.create("logs/a", look)
    (tmp_path / "root" / "logs" / ".b.0123456789abcdef.tmp").write_bytes(b"half")
    assert [one.path for one in store.list()] == ["logs/a"]
    assert {path.name for path in (tmp_path / "root" / "logs").iterdir()} == {
        "a",
        ".b.0123456789abcdef.tmp",
    }
