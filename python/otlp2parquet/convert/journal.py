"""What has been converted into an output, and what was begun: kept beside it, in any store.

A batch is planned before its first file is written: the plan names the requests that go into it and
the files that come out. When all of them are stored the plan is done. Whoever finds a plan that is
not done (the process was killed, the disk was full) completes just this batch, or finds its files;
so a request is in the output once, wherever a run was cut off. Plans that are done become sorted
files of names (``keys``).

Knows the store's promises: an object is there whole and durable, or not at all. One process at a
time may have the journal of an output (``lock``). Must not know what a request holds.
"""

import contextlib
import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

from otlp2parquet.batch_id import new_batch_id
from otlp2parquet.captures.inputs import OWN_FOLDER
from otlp2parquet.convert.keys import KeyFile, content_of, mergeable, write_keys, write_merged
from otlp2parquet.convert.lock import locked, locked_in
from otlp2parquet.convert.naming import NAME, Name
from otlp2parquet.core.files import PlannedFile
from otlp2parquet.errors import StorageRefusedError
from otlp2parquet.stores import LocalStore, Store

FOLDER: Final = f"{OWN_FOLDER}/converted"
"""Begins with a dot, so that readers of tables pass over it."""

_FORMAT: Final = 1
_PLAN, _DONE, _KEYS = ".plan", ".done", ".keys"
_AGAIN: Final = f"{FOLDER}/again"
_SORTED_AT_ONCE: Final = 16 << 20  # bytes of names


@dataclass(frozen=True, slots=True)
class ConversionPlan:
    """One batch: the requests that go into it, in order, and the files that come out.

    ``also`` are further names by which the requests are known from then on. ``undated`` holds, by
    place, the time that stood in where a request gave none: it stays when the batch is completed
    later. ``again`` is the conversion that was asked for once more, or empty.
    """

    batch_id: str
    files: tuple[PlannedFile, ...]
    names: Sequence[Name]
    also: Sequence[Name] = ()
    undated: Mapping[int, int] = field(default_factory=dict)
    again: bytes = b""

    @property
    def path(self) -> str:
        """Where the plan lies in the store."""
        return f"{FOLDER}/{self.batch_id}{_PLAN}"

    def write(self, sink: BinaryIO) -> None:
        """Write the plan: a line of JSON, then the names."""
        head = {
            "format": _FORMAT,
            "batch_id": self.batch_id,
            "again": self.again.hex(),
            "requests": len(self.names),
            "undated": list(self.undated.items()),
            "files": [file.to_json() for file in self.files],
        }
        sink.write(json.dumps(head).encode() + b"\n")
        words = array("Q")
        for name in (*self.names, *self.also):
            words.extend(name)
        sink.write(words.tobytes())

    @classmethod
    def read(cls, head: Mapping[str, Any], entries: bytes) -> "ConversionPlan":
        """The plan that was written."""
        names = list(NAME.iter_unpack(entries))
        files = tuple(PlannedFile.from_json(*file) for file in head["files"])
        return cls(
            head["batch_id"],
            files,
            names[: head["requests"]],
            names[head["requests"] :],
            dict(head["undated"]),
            bytes.fromhex(head["again"]),
        )


class Journal:
    """The plans of an output and the names of the requests in it.

    ``unfinished`` are the plans that an earlier run began. ``again`` converts everything once more:
    then only what this very conversion has done counts, also if it was cut off in between.
    """

    def __init__(self, store: Store, *, again: bool = False) -> None:
        self._store = store
        self._keys: dict[str, KeyFile] = {}
        self.unfinished: list[ConversionPlan] = []
        done = self._load()
        self._sort(done)
        self.again = self._begin_again() if again else b""

    @property
    def root(self) -> str:
        """What names the output."""
        return self._store.root

    @property
    def store(self) -> Store:
        """The output."""
        return self._store

    def mark_of(self, name: Name) -> int | None:
        """The mark of a request that has been converted, 0 or 1; ``None`` if it has not."""
        for keys in self._keys.values():
            mark = keys.mark_of(name)
            if mark is not None:
                return mark
        return None

    @property
    def is_empty(self) -> bool:
        """Whether no request has been converted yet."""
        return not self._keys

    def begin(self, plan: ConversionPlan) -> None:
        """Keep a plan, before the first of its files is written."""
        self._store.create(plan.path, plan.write)

    def finish(self, plan: ConversionPlan) -> None:
        """Note that all files of a plan are stored."""
        self._store.create(_done(plan.path), _write_nothing)

    def forget(self, plan: ConversionPlan) -> None:
        """Give up a plan of which no file was written."""
        self._store.delete(plan.path)

    def files_there(self, plan: ConversionPlan) -> int:
        """How many files of a plan there are."""
        there = 0
        for file in plan.files:
            with contextlib.suppress(FileNotFoundError):
                self._store.open(file.name(plan.batch_id)).close()
                there += 1
        return there

    def end(self) -> None:
        """A run has come to its end: its plans become sorted names."""
        self._sort(self._load())
        if self.again:
            # Last of all: until then the same command goes on with this very conversion.
            self._store.delete(_AGAIN)

    def close(self) -> None:
        """Let go of the files of names."""
        for keys in self._keys.values():
            keys.close()
        self._keys.clear()

    def _load(self) -> list[str]:
        """Read which plans there are; the paths of those that are done."""
        paths = {one.path for one in self._store.list(FOLDER)}
        self.unfinished.clear()
        done: list[str] = []
        for path in sorted(paths):
            if path.endswith(_KEYS):
                if path not in self._keys:
                    self._open_keys(path)
            elif path.endswith(_DONE):
                if path.removesuffix(_DONE) + _PLAN not in paths:
                    self._store.delete(path)  # its plan is among the sorted names
            elif path.endswith(_PLAN):
                if _done(path) in paths:
                    done.append(path)
                else:
                    self.unfinished.append(ConversionPlan.read(*self._read_plan(path)))
        return done

    def _begin_again(self) -> bytes:
        with contextlib.suppress(FileNotFoundError), self._store.open(_AGAIN) as file:
            return file.read()
        again = new_batch_id().encode()
        self._store.create(_AGAIN, lambda sink: _write(again, sink))
        return again

    def _read_plan(self, path: str) -> tuple[dict[str, Any], bytes]:
        with self._store.open(path) as file:
            line, _, entries = file.read().partition(b"\n")
        try:
            head = json.loads(line)
            if head["format"] != _FORMAT:
                found = head["format"]
                raise StorageRefusedError(
                    f"{self.root}/{path} has format {found}: this version reads {_FORMAT}"
                )
            if len(entries) % (NAME.size * max(head["requests"], 1)):
                raise ValueError(f"{len(entries)} bytes of names")  # noqa: TRY301
        except (ValueError, KeyError, TypeError) as error:
            raise StorageRefusedError(
                f"{self.root}/{path} is damaged ({error}): expected the plan of a batch; without "
                "it the requests of the batch count as new"
            ) from error
        return head, entries

    def _open_keys(self, path: str) -> None:
        try:
            self._keys[path] = KeyFile(content_of(self._store.open(path)))
        except ValueError as error:
            raise StorageRefusedError(
                f"{self.root}/{path} cannot be used ({error}); without it the requests in it "
                "count as new"
            ) from error

    def _sort(self, done: Sequence[str]) -> None:
        """Make sorted names of plans that are done, and few files of many.

        At every moment each name is in a plan that is done or in a file of names, or in both.
        """
        for group in self._groups(done):
            entries = b"".join(self._read_plan(path)[1] for path in group)
            self._create_keys(partial(write_keys, entries))
            for path in group:
                self._store.delete(path)
                self._store.delete(_done(path))
        if small := mergeable(list(self._keys.values())):
            self._create_keys(partial(write_merged, small))
            for path, keys in list(self._keys.items()):
                if keys in small:
                    del self._keys[path]
                    keys.close()
                    self._store.delete(path)

    def _groups(self, done: Sequence[str]) -> Iterator[list[str]]:
        """The plans in groups that are sorted in memory."""
        sizes = {one.path: one.bytes for one in self._store.list(FOLDER)} if done else {}
        group: list[str] = []
        size = 0
        for path in done:
            group.append(path)
            size += sizes.get(path, 0)
            if size >= _SORTED_AT_ONCE:
                yield group
                group, size = [], 0
        if group:
            yield group

    def _create_keys(self, fill: "partial[None]") -> None:
        path = f"{FOLDER}/{new_batch_id()}{_KEYS}"
        self._store.create(path, fill)
        self._open_keys(path)


@contextlib.contextmanager
def open_journal(output: str | Path | Store, *, again: bool = False) -> Iterator[Journal]:
    """The journal of ``output``, a folder or a store, which no other process has meanwhile.

    Raises ``StorageError`` when it cannot be had.
    """
    store = LocalStore(output) if isinstance(output, str | Path) else output
    if isinstance(store, LocalStore):
        lock = locked(Path(store.root) / FOLDER)
    else:
        lock = locked_in(store, f"{FOLDER}/lock")
    with lock:
        journal = Journal(store, again=again)
        try:
            yield journal
        finally:
            journal.close()


def _done(path: str) -> str:
    return path.removesuffix(_PLAN) + _DONE


def _write_nothing(_sink: BinaryIO) -> None:
    """The name is all that such an object says."""


def _write(data: bytes, sink: BinaryIO) -> None:
    sink.write(data)
