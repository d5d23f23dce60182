"""A file in a local folder is there whole and durable, or not at all, whatever fails.

What all stores promise is in ``test_contract``; here is what a file system adds to it.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

from otlp2parquet.errors import (
    NameTakenError,
    StorageError,
    StorageRefusedError,
    StorageUnavailableError,
)
from otlp2parquet.stores import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
    assert LocalStore(root).create(NAME, fill) == len(CONTENT)
    assert files(root) == [NAME]
    assert (root / NAME).read_bytes() == CONTENT


def test_hidden_until_whole(tmp_path: Path) -> None:
    """While it is written, only a name exists that begins with a dot and is no .parquet."""
    seen: list[str] = []

    def look(sink: BinaryIO) -> None:
        fill(sink)
        sink.flush()
        seen.extend(entry.name for entry in (tmp_path / NAME).parent.iterdir())

    LocalStore(tmp_path).create(NAME, look)
    assert len(seen) == 1
    assert seen[0].startswith(".")
    assert not seen[0].endswith(".parquet")


def test_dangling_link_is_a_taken_name(tmp_path: Path) -> None:
    """A symbolic link to nowhere is not written through."""
    (tmp_path / NAME).parent.mkdir(parents=True)
    (tmp_path / NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NameTakenError):
        LocalStore(tmp_path).create(NAME, fill)
    assert files(tmp_path) == []


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
        LocalStore(root).create(NAME, fill)
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
        folder = LocalStore(root)
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
            LocalStore(tmp_path / "root").create(NAME, fill)
    assert str(caught.value) == f"cannot write {tmp_path / 'root' / NAME}: {reason}"


def test_disk_full_while_writing(tmp_path: Path) -> None:
    """A real refusal of a write (a file size limit) leaves nothing behind."""

    def fill_too_much(sink: BinaryIO) -> None:
        sink.write(bytes(4 << 20))

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        with pytest.raises(StorageError, match="file too large"):
            LocalStore(tmp_path).create(NAME, fill_too_much)
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
    with pytest.raises(StorageRefusedError, match="not a directory"):
        LocalStore(root).create(NAME, fill)
    assert place.read_bytes() == b"mine"


@pytest.mark.parametrize("was_there", [True, False])
def test_a_root_that_is_gone_is_not_made_again(tmp_path: Path, *, was_there: bool) -> None:
    """A volume that is not mounted: nothing may be written where it will be hidden later."""
    root, away = tmp_path / "root", tmp_path / "away"
    if was_there:
        root.mkdir()
    folder = LocalStore(root)
    folder.create(NAME, fill)
    root.rename(away)
    for name in (NAME, "logs/other/hour=09/b.parquet"):
        with pytest.raises(StorageUnavailableError, match="no such file or directory"):
            folder.create(name, fill)
    # What was there is not taken for gone for good, either.
    for call in (folder.open, folder.delete, lambda name: list(folder.list(name))):
        with pytest.raises(StorageUnavailableError, match="no such file or directory"):
            call(NAME)
    assert not root.exists()
    away.rename(root)
    with pytest.raises(NameTakenError):
        folder.create(NAME, fill)
    folder.create("logs/other/hour=09/b.parquet", fill)


def test_a_storage_that_goes_while_a_temporary_file_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing stays open, and what it left goes with the next file of its folder."""
    root, away = tmp_path / "root", tmp_path / "away"
    store = LocalStore(root)
    store.create(NAME, fill)
    lock = fcntl.flock

    def locking(descriptor: int, how: int) -> None:
        lock(descriptor, how)
        if how == fcntl.LOCK_EX:
            root.rename(away)
            root.write_text("in the way")

    before = len(list(Path("/dev/fd").iterdir()))
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", locking)
        with pytest.raises(StorageError):
            store.create("logs/other/hour=09/b.parquet", fill)
    assert len(list(Path("/dev/fd").iterdir())) == before
    assert list(away.rglob("*.tmp")) != []
    root.unlink()
    away.rename(root)
    store.create("logs/other/hour=09/b.parquet", fill)
    assert list(root.rglob("*.tmp")) == []


def test_a_mount_point_without_its_volume_is_a_storage_that_is_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The empty folder below is there, and takes nothing: it would be hidden by the volume."""
    mounts = {str(tmp_path)}
    monkeypatch.setattr("os.path.ismount", lambda path: str(path) in mounts)
    below = tmp_path / "data"
    stores = [LocalStore(tmp_path), LocalStore(below)]
    for store in stores:
        store.create(NAME, fill)
    mounts.clear()
    for store in stores:
        with pytest.raises(
            StorageUnavailableError, match="its file system is not mounted any more"
        ):
            store.create("logs/other/hour=09/b.parquet", fill)
        for call in (store.open, store.delete, lambda name, of=store: list(of.list(name))):
            with pytest.raises(StorageUnavailableError, match="is not mounted"):
                call("nothing")
        with pytest.raises(StorageUnavailableError, match="is not mounted"):
            list(store.list())
    mounts.add(str(tmp_path))
    for store in stores:
        store.create("logs/other/hour=09/b.parquet", fill)


WRITER = f"""
import sys
from otlp2parquet.errors import NameTakenError
from otlp2parquet.stores import LocalStore
def fill(sink):
    sink.write(b"theirs")
    sink.flush()
    print("writing", flush=True)
    sys.stdin.readline()
try:
    LocalStore(sys.argv[1]).create({NAME!r}, fill)
except NameTakenError:
    print("taken", flush=True)
"""


@pytest.fixture
def other_writer(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that is in the middle of writing the same name."""
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        yield process
        process.kill()


def temporary_files(root: Path) -> list[str]:
    """Names that no reader looks at."""
    return [path.name for path in root.rglob("*") if path.name.startswith(".")]


def test_two_processes_write_one_name(tmp_path: Path, other_writer: subprocess.Popen[str]) -> None:
    """Neither removes what the other is writing: one file is there, and the slower is told."""
    theirs = temporary_files(tmp_path)
    assert len(theirs) == 1
    LocalStore(tmp_path).create(NAME, fill)
    assert temporary_files(tmp_path) == theirs
    told, _ = other_writer.communicate("go on\n", timeout=60)
    assert told == "taken\n"
    assert files(tmp_path) == [NAME]
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_leftovers_of_a_killed_process(tmp_path: Path, other_writer: subprocess.Popen[str]) -> None:
    """What a dead writer left goes as soon as something is written into the folder."""
    other_writer.kill()
    other_writer.wait()
    (left,) = temporary_files(tmp_path)
    store = LocalStore(tmp_path)
    store.create("logs/elsewhere/x", fill)
    assert temporary_files(tmp_path) == [left]
    store.create(str(Path(NAME).with_name("other.parquet")), fill)
    assert temporary_files(tmp_path) == []


@pytest.mark.parametrize("instead", ["nothing", "a file"])
def test_leftovers_of_a_storage_that_came_back(tmp_path: Path, instead: str) -> None:
    """What could not be removed while the disk was away goes with the next write there."""
    root, away = tmp_path / "root", tmp_path / "away"
    store = LocalStore(root)
    store.create(NAME, fill)
    other = str(Path(NAME).with_name("other.parquet"))

    def vanish(sink: BinaryIO) -> None:
        fill(sink)
        root.rename(away)
        if instead == "a file":
            root.write_text("in the way")

    with pytest.raises(StorageError):
        store.create(other, vanish)
    assert len(temporary_files(away)) == 1
    if instead == "a file":
        root.unlink()
    away.rename(root)
    store.create(other, fill)
    assert temporary_files(root) == []


def test_only_our_own_leftovers_go(tmp_path: Path) -> None:
    """A hidden file of another program is no temporary file of ours."""
    place = (tmp_path / NAME).parent
    place.mkdir(parents=True)
    others = [".hidden", ".x.tmp", ".x.parquet.0123.tmp", "x.0123456789abcdef.tmp"]
    for name in [*others, ".x.parquet.0123456789abcdef.tmp"]:
        (place / name).touch()
    LocalStore(tmp_path).create(NAME, fill)
    assert {path.name for path in place.iterdir()} == {*others, "id.parquet"}


def test_leftovers_where_there_are_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There a temporary file is anybody's until it is a day old."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    place = (tmp_path / NAME).parent
    place.mkdir(parents=True)
    old, young = (place / f".x.{digit * 16}.tmp" for digit in "ab")
    old.touch()
    young.touch()
    long_ago = old.stat().st_mtime - 25 * 60 * 60
    os.utime(old, (long_ago, long_ago))
    LocalStore(tmp_path).create(NAME, fill)
    assert temporary_files(tmp_path) == [young.name]
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_a_temporary_file_that_is_removed_before_it_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes between the two calls takes it for abandoned: then another one is made."""
    flock = fcntl.flock
    removed: list[str] = []

    def overtaken(descriptor: int, operation: int) -> None:
        if not removed:
            removed.extend(temporary_files(tmp_path))
            (tmp_path / NAME).with_name(removed[0]).unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", overtaken)
    LocalStore(tmp_path).create(NAME, fill)
    assert len(removed) == 1
    assert files(tmp_path) == [NAME]
    assert (tmp_path / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOSPC, StorageUnavailableError),
        (errno.EDQUOT, StorageUnavailableError),
        (errno.EIO, StorageUnavailableError),
        (errno.EACCES, StorageUnavailableError),
        (errno.EROFS, StorageUnavailableError),
        (errno.ESTALE, StorageUnavailableError),
        (errno.EMFILE, StorageUnavailableError),
        (errno.ENAMETOOLONG, StorageRefusedError),
        (errno.EINVAL, StorageRefusedError),
        (errno.ELOOP, StorageRefusedError),
        (errno.EFBIG, StorageRefusedError),
    ],
)
def test_kinds_of_errors(tmp_path: Path, code: int, kind: type[StorageError]) -> None:
    """What an operator can mend is tried again; a name or a size that cannot be is refused."""
    step = [name for name, _ in calls_of_one_create(tmp_path / "undisturbed")].index("open")
    with pytest.MonkeyPatch.context() as patch:
        Calls(patch, fail_at=step, code=code)
        with pytest.raises(kind):
            LocalStore(tmp_path / "root").create(NAME, fill)


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    """The file system's own answer, as an error of a store."""
    store = LocalStore(tmp_path)
    name = f"logs/{'x' * 300}"
    with pytest.raises(StorageRefusedError, match=r"cannot write .*: file name too long"):
        store.create(name, fill)
    with pytest.raises(StorageRefusedError, match=r"cannot read .*: file name too long"):
        store.open(name)


def test_the_longest_name(tmp_path: Path) -> None:
    """A file may be called by all that the file system allows, its temporary one as well."""
    name = "x" * 255
    LocalStore(tmp_path).create(name, fill)
    assert files(tmp_path) == [name]


def test_reading_fails_as_the_store_does(tmp_path: Path) -> None:
    """A file that cannot be read is a storage that is down, not a file without content."""
    (tmp_path / "x").symlink_to("/proc/self/mem")  # it has nothing at its beginning
    with (
        LocalStore(tmp_path).open("x") as file,
        pytest.raises(StorageUnavailableError, match=r"cannot read .*x: input/output error"),
    ):
        file.read(10)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO])
def test_a_root_that_cannot_be_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """A store is made all the same; it is the calls that fail, until the root is well again."""
    stat = Path.stat

    def fail(path: Path, **options: bool) -> os.stat_result:
        if path == tmp_path / "root":
            raise OSError(code, os.strerror(code))
        return stat(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", fail)
        store = LocalStore(tmp_path / "root")
        with pytest.raises(StorageUnavailableError):
            list(store.list())
    # It counts as one that was there: it is not made in the place where it will come back.
    with pytest.raises(StorageUnavailableError):
        store.create(NAME, fill)
    (tmp_path / "root").mkdir()
    store.create(NAME, fill)


def test_behind_symbolic_links(tmp_path: Path) -> None:
    """A folder on another disk is listed; one that leads back to itself ends."""
    store = LocalStore(tmp_path / "root")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    store.create("a/x", fill)
    (tmp_path / "root/logs").symlink_to(elsewhere)
    store.create("logs/y", fill)
    (elsewhere / "again").symlink_to(tmp_path / "root")
    (elsewhere / "nowhere").symlink_to(tmp_path / "nothing")
    os.mkfifo(elsewhere / "pipe")
    assert sorted(one.path for one in store.list()) == ["a/x", "logs/y"]


def test_a_removal_is_durable(tmp_path: Path) -> None:
    """Also one that was made before: whoever made it may have died before its sync."""
    store = LocalStore(tmp_path)
    store.create(NAME, fill)
    for _ in range(2):
        with pytest.MonkeyPatch.context() as patch:
            calls = Calls(patch)
            store.delete(NAME)
        assert calls.made[-1] == ("fsync", str((tmp_path / NAME).parent))
    assert files(tmp_path) == []


def test_a_name_lost_to_another_is_durable(tmp_path: Path) -> None:
    """Who is told that the name is taken may rely on it, also if it was taken meanwhile."""

    def overtaken(sink: BinaryIO) -> None:
        fill(sink)
        (tmp_path / NAME).write_bytes(b"theirs")

    with pytest.MonkeyPatch.context() as patch:
        calls = Calls(patch)
        with pytest.raises(NameTakenError):
            LocalStore(tmp_path).create(NAME, overtaken)
    assert calls.made[-1] == ("fsync", str((tmp_path / NAME).parent))


def test_a_folder_above_is_removed(tmp_path: Path) -> None:
    """All folders of a service may go, and its next hour is written all the same."""
    store = LocalStore(tmp_path)
    store.create("logs/svc/hour=1/x", fill)
    shutil.rmtree(tmp_path / "logs")
    store.create("logs/svc/hour=2/y", fill)
    assert files(tmp_path) == ["logs/svc/hour=2/y"]


def test_removed_folder_is_made_again(tmp_path: Path) -> None:
    """A retention job may remove a folder between two writes."""
    folder = LocalStore(tmp_path)
    folder.create(NAME, fill)
    for path in sorted(tmp_path.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    folder.create(NAME, fill)
    assert files(tmp_path) == [NAME]


def test_found_file_is_made_durable(tmp_path: Path) -> None:
    """A file found in place may be of a process that died before its sync: it is synced."""
    LocalStore(tmp_path).create(NAME, fill)
    with pytest.MonkeyPatch.context() as patch:
        calls = Calls(patch)
        with pytest.raises(NameTakenError):
            LocalStore(tmp_path).create(NAME, fill)
    assert ("fsync", str((tmp_path / NAME).parent)) in calls.made
    assert ("fsync", str(tmp_path)) in calls.made


@pytest.fixture(params=["renameat2", "rename"])
def no_links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file system without hard links, with and without a rename that never overwrites."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    if request.param == "rename":
        monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())
    return str(request.param)


def test_without_hard_links(tmp_path: Path, no_links: str) -> None:
    """Where links are missing a rename does it, and still overwrites nothing."""
    folder = LocalStore(tmp_path)
    folder.create(NAME, fill)
    assert files(tmp_path) == [NAME]

    def overtaken(sink: BinaryIO) -> None:
        sink.write(b"mine")
        (tmp_path / "x.parquet").write_bytes(b"theirs")

    with pytest.raises(NameTakenError):
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
    LocalStore(tmp_path).create(NAME, fill)
    assert files(tmp_path) == [NAME]
