"""What every store promises, tried on each of them: see ``stores.protocol``."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING, BinaryIO

import pytest

from otlp2parquet import NameTakenError, StorageError
from otlp2parquet.stores import replace
from otlp2parquet.stores.obstore import ObstoreStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from otlp2parquet.stores import Store

PATH = "logs/service=checkout/date=2026-07-01/hour=9/id.parquet"
CONTENT = b"whole" * 1000

NOT_PATHS = [
    "",
    "/",
    "/etc/passwd",
    "logs/",
    "logs//a",
    "..",
    "../a",
    "logs/../../a",
    "logs/..",
    ".",
    "./a",
    "logs/./a",
    "a\\b",
    "..\\a",
    "a\0b",
]


def filling(content: bytes) -> Callable[[BinaryIO], None]:
    """What writes ``content``, in two pieces."""

    def fill(sink: BinaryIO) -> None:
        sink.write(content[:7])
        sink.write(content[7:])

    return fill


def read(store: Store, path: str) -> bytes:
    """The whole content of an object."""
    with store.open(path) as file:
        return file.read()


def listed(store: Store, prefix: str = "") -> dict[str, int]:
    """The sizes of the objects by path."""
    return {one.path: one.bytes for one in store.list(prefix)}


def test_root_names_the_store(store: Store) -> None:
    """It stands in plans and logs, and stays the same."""
    assert store.root
    assert store.root == store.root


def test_create(store: Store) -> None:
    """An object is there under its name, with its size, and nothing else is."""
    assert store.create(PATH, filling(CONTENT)) == len(CONTENT)
    assert read(store, PATH) == CONTENT
    assert listed(store) == {PATH: len(CONTENT)}


@pytest.mark.parametrize("size", [0, 1, (3 << 20) + 1, (17 << 20) + 1])
def test_any_size(store: Store, size: int) -> None:
    """Also an object without a byte, and one beyond every buffer."""
    content = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    assert store.create("x", filling(content)) == size
    assert read(store, "x") == content


@pytest.mark.parametrize(
    "path",
    ["x", "con", "a./b", "a b", ".hidden/x", "logs/service=k%C3%B6ln/x", "~", "a=b%/x", "x.tmp"],
)
def test_odd_names(store: Store, path: str) -> None:
    """Whatever is a path is a name as any other."""
    store.create(path, filling(CONTENT))
    assert read(store, path) == CONTENT
    assert listed(store) == {path: len(CONTENT)}


@pytest.mark.parametrize("content", [b"mine", bytes(20 << 20)], ids=["small", "large"])
def test_a_taken_name_is_left_alone(store: Store, content: bytes) -> None:
    """An object is never overwritten, whatever the size of what comes later."""
    store.create(PATH, filling(CONTENT))
    with pytest.raises(NameTakenError) as caught:
        store.create(PATH, filling(content))
    assert caught.value.path == PATH
    assert read(store, PATH) == CONTENT
    assert listed(store) == {PATH: len(CONTENT)}


@pytest.mark.parametrize("content", [b"other", b"much" * (3 << 20)])
def test_replace(store: Store, content: bytes) -> None:
    """Who asks for it has the new content under the name, whatever has it; others see it whole."""
    for there in (b"", CONTENT):
        if there:
            store.create("old", filling(there))
        else:
            store.delete("old")
        assert replace(store, "old", filling(content)) == len(content)
        assert read(store, "old") == content
        assert listed(store) == {"old": len(content)}
        store.delete("old")


def test_no_content_is_made_in_vain(store: Store) -> None:
    """A store that knows that a name is taken says so before its content is made."""
    store.create(PATH, filling(CONTENT))
    if isinstance(store, ObstoreStore):
        pytest.skip("it knows from the answer to its one request, and not before")
    with pytest.raises(NameTakenError):
        store.create(PATH, lambda _: pytest.fail("filled in vain"))


@pytest.mark.parametrize("content", [b"mine", bytes(20 << 20)], ids=["small", "large"])
def test_a_name_taken_meanwhile(store: Store, content: bytes) -> None:
    """Also when somebody else is faster: one of both is there, whole, and the other is told."""

    def overtaken(sink: BinaryIO) -> None:
        sink.write(content)
        store.create(PATH, filling(CONTENT))

    with pytest.raises(NameTakenError):
        store.create(PATH, overtaken)
    assert read(store, PATH) == CONTENT
    assert listed(store) == {PATH: len(CONTENT)}


def test_one_of_many_wins(store: Store) -> None:
    """When several threads create one name, one does and all others are told."""
    barrier = threading.Barrier(8)
    outcomes: list[str] = []

    def meet(sink: BinaryIO) -> None:
        # Each has found the name free before any gets to it.
        sink.write(CONTENT)
        barrier.wait(timeout=30)

    def attempt() -> None:
        try:
            store.create(PATH, meet)
            outcomes.append("created")
        except NameTakenError:
            outcomes.append("taken")
        except StorageError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["created"] + ["taken"] * 7
    assert listed(store) == {PATH: len(CONTENT)}


def test_many_names_from_many_threads(store: Store) -> None:
    """Threads that make objects in the same new folders do not trip over each other."""
    paths = [f"logs/hour={hour}/{number}" for hour in range(4) for number in range(8)]
    barrier = threading.Barrier(len(paths))
    errors: list[Exception] = []

    def attempt(path: str) -> None:
        barrier.wait(timeout=30)
        try:
            store.create(path, filling(path.encode()))
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            errors.append(error)

    threads = [threading.Thread(target=attempt, args=[path]) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert {path: read(store, path) for path in listed(store)} == {
        path: path.encode() for path in paths
    }


@pytest.mark.parametrize("error", [ValueError("no"), OSError("no"), KeyboardInterrupt()])
def test_what_fill_raises_passes_through(store: Store, error: BaseException) -> None:
    """And leaves nothing behind, so that the name is free."""

    def failing(sink: BinaryIO) -> None:
        sink.write(CONTENT)
        raise error

    with pytest.raises(type(error)) as caught:
        store.create(PATH, failing)
    assert caught.value is error
    assert listed(store) == {}
    store.create(PATH, filling(CONTENT))


def test_nothing_is_there_before_it_is_whole(store: Store) -> None:
    """A reader never sees a half-written object, by its name or in a listing."""

    def looking(sink: BinaryIO) -> None:
        sink.write(CONTENT)
        assert listed(store) == {}
        with pytest.raises(FileNotFoundError):
            store.open(PATH)

    store.create(PATH, looking)
    assert listed(store) == {PATH: len(CONTENT)}


def test_open_can_seek(store: Store) -> None:
    """The end of an object can be read without what is before it."""
    store.create(PATH, filling(b"0123456789"))
    with store.open(PATH) as file:
        assert file.seek(-3, io.SEEK_END) == 7
        assert file.read(2) == b"78"
        assert file.tell() == 9
        assert file.seek(1) == 1
        assert file.read() == b"123456789"


@pytest.mark.parametrize("path", ["nothing", "logs", "logs/nothing", f"{PATH}/nothing"])
def test_open_what_is_not_there(store: Store, path: str) -> None:
    """A name without an object, a folder's name, a name below an object: none is there."""
    store.create(PATH, filling(CONTENT))
    with pytest.raises(FileNotFoundError):
        store.open(path)


def test_an_empty_store(store: Store) -> None:
    """Before anything was created nothing is found, and nothing is wrong with that."""
    assert listed(store) == {}
    assert listed(store, "logs") == {}
    with pytest.raises(FileNotFoundError):
        store.open(PATH)
    store.delete(PATH)


def test_list(store: Store) -> None:
    """A prefix is a folder: what merely begins alike is not in it."""
    sizes = {"logs/a/x": 1, "logs/a/b/y": 2, "logs/ab/z": 3, "logs2/x": 4, "x": 5}
    for path, size in sizes.items():
        store.create(path, filling(bytes(size)))
    assert listed(store) == sizes
    assert listed(store, "logs") == {p: n for p, n in sizes.items() if p.startswith("logs/")}
    assert listed(store, "logs/a") == {"logs/a/x": 1, "logs/a/b/y": 2}
    assert listed(store, "nothing") == {}
    assert listed(store, "x") == {}
    assert listed(store, "x/y") == {}


def test_delete(store: Store) -> None:
    """An object goes, its name is free, and to remove it again is no mistake."""
    store.create(PATH, filling(CONTENT))
    store.create("other", filling(CONTENT))
    for _ in range(2):
        store.delete(PATH)
        assert listed(store) == {"other": len(CONTENT)}
    with pytest.raises(FileNotFoundError):
        store.open(PATH)
    store.create(PATH, filling(b"new"))
    assert read(store, PATH) == b"new"


@pytest.mark.parametrize("path", ["logs", f"{PATH}/nothing"])
def test_delete_what_is_no_object(store: Store, path: str) -> None:
    """A folder is no object: nothing below it is removed."""
    store.create(PATH, filling(CONTENT))
    store.delete(path)
    assert listed(store) == {PATH: len(CONTENT)}


@pytest.mark.parametrize("path", NOT_PATHS)
def test_paths_that_leave_the_root(store: Store, path: str) -> None:
    """What is no path is refused by every call, before anything is touched."""
    calls: list[Callable[[], object]] = [
        lambda: store.create(path, lambda _: pytest.fail("filled in vain")),
        lambda: store.open(path),
        lambda: store.delete(path),
    ]
    if path:
        calls.append(lambda: store.list(path))
    for call in calls:
        with pytest.raises(ValueError, match="does not name an object below the root"):
            call()
    assert listed(store) == {}
