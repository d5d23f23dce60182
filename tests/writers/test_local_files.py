"""A file in a local folder is there whole and durable, or not at all, whatever fails."""

from __future__ import annotations

import errno
import os
import resource
import threading
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

from otlp2parquet.errors import StorageError
from otlp2parquet.writers import local_files
from otlp2parquet.writers.local_files import LocalFolder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = "logs/svc/hour=09/id.parquet"
CONTENT = b"whole" * 1000


def fill(sink: BinaryIO) -> None:
    """What the Parquet writer would do."""
    sink.write(CONTENT)


def files(root: Path) -> list[str]:
    """Every file below ``root``."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_creates_with_folders(tmp_path: Path) -> None:
    """The file, its folders and the root itself are made; the size is given."""
    root = tmp_path / "a" / "b"
    assert LocalFolder(root).create(NAME, fill) == len(CONTENT)
    assert files(root) == [NAME]
    assert (root / NAME).read_bytes() == CONTENT


def test_hidden_until_whole(tmp_path: Path) -> None:
    """While it is written, only a name exists that begins with a dot and is no .parquet."""
    seen: list[str] = []

    def look(sink: BinaryIO) -> None:
        fill(sink)
        sink.flush()
        seen.extend(entry.name for entry in (tmp_path / NAME).parent.iterdir())

    LocalFolder(tmp_path).create(NAME, look)
    assert len(seen) == 1
    assert seen[0].startswith(".")
    assert not seen[0].endswith(".parquet")


def test_taken_name_is_left_alone(tmp_path: Path) -> None:
    """An existing file is never overwritten, nor is new content even made."""
    folder = LocalFolder(tmp_path)
    folder.create(NAME, fill)
    with pytest.raises(FileExistsError):
        folder.create(NAME, lambda _: pytest.fail("filled in vain"))
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert files(tmp_path) == [NAME]


def test_dangling_link_is_a_taken_name(tmp_path: Path) -> None:
    """A symbolic link to nowhere is not written through."""
    (tmp_path / NAME).parent.mkdir(parents=True)
    (tmp_path / NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        LocalFolder(tmp_path).create(NAME, fill)
    assert files(tmp_path) == []


def test_one_of_many_writers_wins(tmp_path: Path) -> None:
    """When several threads create the same name, one does and the others are told."""
    folder = LocalFolder(tmp_path)
    barrier = threading.Barrier(8)
    outcomes: list[str] = []

    def meet(sink: BinaryIO) -> None:
        fill(sink)
        barrier.wait(timeout=30)

    def attempt() -> None:
        # Each has looked and found the name free before any gets to the link.
        try:
            folder.create(NAME, meet)
            outcomes.append("created")
        except FileExistsError:
            outcomes.append("exists")
        except StorageError as error:
            outcomes.append(str(error))

    def unsuspecting(path: Path) -> None:
        """Concurrent runs must not tidy away each other's temporary files here."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_files, "_remove_stale", unsuspecting)
        threads = [threading.Thread(target=attempt) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(outcomes) == ["created"] + ["exists"] * 7
    assert files(tmp_path) == [NAME]


def test_different_names_from_many_threads(tmp_path: Path) -> None:
    """Threads that need the same new folders do not trip over each other."""
    folder = LocalFolder(tmp_path / "root")
    names = [f"logs/svc/hour={hour}/{n}.parquet" for hour in range(4) for n in range(8)]
    barrier = threading.Barrier(len(names))
    errors: list[Exception] = []

    def attempt(name: str) -> None:
        barrier.wait(timeout=30)
        try:
            folder.create(name, fill)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            errors.append(error)

    threads = [threading.Thread(target=attempt, args=[name]) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert files(tmp_path / "root") == sorted(names)


class Calls:
    """Every call that changes the file system, in order; the nth can be made to fail."""

    NAMES = ("mkdir", "open", "scandir", "fsync", "link", "unlink")

    def __init__(self, patch: pytest.MonkeyPatch, fail_at: int = -1, code: int = errno.EIO) -> None:
        """Watch the calls of ``os``; call number ``fail_at`` fails with ``code``."""
        self.made: list[tuple[str, str]] = []
        self._descriptors: dict[int, str] = {}
        self._fail_at, self._code = fail_at, code
        for name in self.NAMES:
            patch.setattr(os, name, self._watch(name, getattr(os, name)))

    def _watch(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            target = arguments[1] if name == "link" else arguments[0]
            if name == "fsync":
                target = self._descriptors[target]
            self.made.append((name, str(target)))
            if len(self.made) - 1 == self._fail_at:
                raise OSError(self._code, os.strerror(self._code), str(target))
            result = real(*arguments, **options)
            if name == "open":
                self._descriptors[result] = str(target)
            return result

        return call


def calls_of_one_create(root: Path) -> list[tuple[str, str]]:
    """The calls that one undisturbed ``create`` makes."""
    with pytest.MonkeyPatch.context() as patch:
        calls = Calls(patch)
        LocalFolder(root).create(NAME, fill)
    return calls.made


def test_durable_in_the_right_order(tmp_path: Path) -> None:
    """The content is synced before it gets its name, and every folder after it gained one."""
    root = tmp_path / "root"
    made = calls_of_one_create(root)
    final = root / NAME
    (temporary,) = {target for name, target in made if name == "unlink"}
    link = made.index(("link", str(final)))
    assert made.index(("fsync", temporary)) < link
    for child in [root, *list(final.parents)[:3]]:
        assert made.index(("mkdir", str(child))) < made.index(("fsync", str(child.parent)))
    # Both names of the last folder, gone and gained, are down when create returns.
    assert made[-1] == ("fsync", str(final.parent))
    assert made.index(("unlink", temporary)) > link


def test_any_call_may_fail(tmp_path: Path) -> None:
    """Fault at every call in turn: a StorageError, no file, no temporary; and then it works."""
    total = len(calls_of_one_create(tmp_path / "undisturbed"))
    assert total > 10
    for step in range(total):
        root = tmp_path / str(step)
        folder = LocalFolder(root)
        with pytest.MonkeyPatch.context() as patch:
            calls = Calls(patch, fail_at=step)
            message = ""
            try:
                folder.create(NAME, fill)
            except StorageError as error:
                message = str(error)
        name, _ = calls.made[step]
        if name == "unlink":
            # The file is whole and has its name; that the other name stays costs nothing.
            assert not message
            assert NAME in files(root)
            continue
        assert message == f"cannot write {root / NAME}: input/output error", name
        assert files(root) == [], f"left behind when {name} failed"
        folder.create(NAME, fill)
        assert files(root) == [NAME]
        assert (root / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.ENOSPC, "no space left on device"),
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "read-only file system"),
    ],
)
@pytest.mark.parametrize("call", ["mkdir", "open", "fsync"])
def test_reason_is_told(tmp_path: Path, call: str, code: int, reason: str) -> None:
    """The error names the file and says what the system said."""
    step = [name for name, _ in calls_of_one_create(tmp_path / "undisturbed")].index(call)
    with pytest.MonkeyPatch.context() as patch:
        Calls(patch, fail_at=step, code=code)
        with pytest.raises(StorageError) as caught:
            LocalFolder(tmp_path / "root").create(NAME, fill)
    assert str(caught.value) == f"cannot write {tmp_path / 'root' / NAME}: {reason}"


def test_disk_full_while_writing(tmp_path: Path) -> None:
    """A real refusal of a write (a file size limit) leaves nothing behind."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        with pytest.raises(StorageError, match="file too large"):
            LocalFolder(tmp_path).create(NAME, lambda sink: sink.write(bytes(4 << 20)) and None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files(tmp_path) == []


@pytest.mark.parametrize("blocked", ["", "logs", "logs/svc/hour=09"])
def test_file_where_a_folder_should_be(tmp_path: Path, blocked: str) -> None:
    """A file in the way is named as what it is; it is not removed."""
    root = tmp_path / "root"
    place = root / blocked
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"mine")
    with pytest.raises(StorageError, match="not a directory"):
        LocalFolder(root).create(NAME, fill)
    assert place.read_bytes() == b"mine"


@pytest.mark.parametrize("was_there", [True, False])
def test_a_root_that_is_gone_is_not_made_again(tmp_path: Path, *, was_there: bool) -> None:
    """A volume that is not mounted: nothing may be written where it will be hidden later."""
    root, away = tmp_path / "root", tmp_path / "away"
    if was_there:
        root.mkdir()
    folder = LocalFolder(root)
    folder.create(NAME, fill)
    root.rename(away)
    for name in (NAME, "logs/other/hour=09/b.parquet"):
        with pytest.raises(StorageError, match="no such file or directory"):
            folder.create(name, fill)
    assert not root.exists()
    away.rename(root)
    with pytest.raises(FileExistsError):
        folder.create(NAME, fill)
    folder.create("logs/other/hour=09/b.parquet", fill)


def test_failing_content_leaves_nothing(tmp_path: Path) -> None:
    """Whatever goes wrong while the content is made, also Ctrl-C, the folder stays clean."""

    def interrupted(sink: BinaryIO) -> None:
        fill(sink)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LocalFolder(tmp_path).create(NAME, interrupted)
    assert files(tmp_path) == []


def test_leftovers_of_a_killed_process(tmp_path: Path) -> None:
    """What a killed try at this file left goes, also when the file is there; others' stay."""
    folder = LocalFolder(tmp_path)
    place = (tmp_path / NAME).parent
    place.mkdir(parents=True)
    other = place / ".other.parquet.0000.tmp"
    other.touch()
    for exists in (False, True):
        (place / ".id.parquet.0000.tmp").touch()
        if exists:
            with pytest.raises(FileExistsError):
                folder.create(NAME, fill)
        else:
            folder.create(NAME, fill)
        assert sorted(entry.name for entry in place.iterdir()) == [other.name, "id.parquet"]


def test_removed_folder_is_made_again(tmp_path: Path) -> None:
    """A retention job may remove a folder between two writes."""
    folder = LocalFolder(tmp_path)
    folder.create(NAME, fill)
    for path in sorted(tmp_path.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    folder.create(NAME, fill)
    assert files(tmp_path) == [NAME]


def test_found_file_is_made_durable(tmp_path: Path) -> None:
    """A file found in place may be of a process that died before its sync: it is synced."""
    LocalFolder(tmp_path).create(NAME, fill)
    with pytest.MonkeyPatch.context() as patch:
        calls = Calls(patch)
        with pytest.raises(FileExistsError):
            LocalFolder(tmp_path).create(NAME, fill)
    assert ("fsync", str((tmp_path / NAME).parent)) in calls.made
    assert ("fsync", str(tmp_path)) in calls.made


@pytest.fixture(params=["renameat2", "rename"])
def no_links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file system without hard links, with and without a rename that never overwrites."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    if request.param == "rename":
        monkeypatch.setattr(local_files.ctypes, "CDLL", lambda *_, **__: object())
    return str(request.param)


def test_without_hard_links(tmp_path: Path, no_links: str) -> None:
    """Where links are missing a rename does it, and still overwrites nothing."""
    folder = LocalFolder(tmp_path)
    folder.create(NAME, fill)
    assert files(tmp_path) == [NAME]

    def overtaken(sink: BinaryIO) -> None:
        sink.write(b"mine")
        (tmp_path / "x.parquet").write_bytes(b"theirs")

    with pytest.raises(FileExistsError):
        folder.create("x.parquet", overtaken)
    assert (tmp_path / "x.parquet").read_bytes() == b"theirs", no_links
    assert files(tmp_path) == [NAME, "x.parquet"]


def test_link_answer_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over NFS a link that succeeded may be answered with "exists": it is ours, so it counts."""
    link = os.link

    def twice(*arguments: Any, **options: Any) -> None:
        link(*arguments, **options)
        link(*arguments, **options)

    monkeypatch.setattr(os, "link", twice)
    LocalFolder(tmp_path).create(NAME, fill)
    assert files(tmp_path) == [NAME]
