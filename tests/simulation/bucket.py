"""A bucket by script: what obstore's functions do with it, one request after another.

Knows S3's promises: a PUT that is conditional creates or says that the name is taken, the end of a
multipart upload replaces what has the name, and any request may be refused, hang, lose its answer
or be done after its sender was told that it failed. Errors are obstore's own, in S3's words. Must
not know who asks, nor what an object holds; what is known of that is looked up by its bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from obstore.exceptions import AlreadyExistsError, GenericError, NotFoundError

from tests.simulation.storage import (
    DEFECT,
    FOREIGN,
    LATE,
    REFUSED,
    UNANSWERED,
    UNAVAILABLE,
    Storage,
    Stored,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.simulation.faults import Faults, Rule
    from tests.simulation.scheduler import Scheduler

T = TypeVar("T")

THROTTLED: Final = "throttled"
CONFLICT: Final = "conflict"
DENIED: Final = "denied"

TIMEOUT_SECS: Final = 30.0
"""After this time a client gives a request up."""
REPEATS: Final = 2
_PAUSE_SECS: Final = 0.2

_WORDS: Final = {
    UNAVAILABLE: "error sending request: connection closed before message completed",
    UNANSWERED: "error sending request: connection reset by peer",
    LATE: "error sending request: connection reset by peer",
    THROTTLED: "503 Service Unavailable: <Error><Code>SlowDown</Code></Error>",
    DENIED: "403 Forbidden: <Error><Code>ExpiredToken</Code></Error>",
    REFUSED: "400 Bad Request: <Error><Code>EntityTooLarge</Code></Error>",
    "hang": "operation timed out",
}

Kind = tuple[str | None, int, str, tuple[str, ...]]
"""What an object holds: the batch, the part, the table and the rows."""


@dataclass(slots=True)
class StoredContent(Stored):
    """A file with its bytes."""

    content: bytes = b""


class BucketStorage(Storage):
    """One bucket; ``known`` says what objects hold, by their bytes."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.known: dict[bytes, Kind] = {}

    def stored(self, name: str, content: bytes) -> StoredContent:
        """An object as the ledger looks at it."""
        if content not in self.known:
            self.misplaced.append(f"{name} has {len(content)} bytes that nobody has encoded")
        batch_id, part, table, rows = self.known.get(content, (None, 0, "", ()))
        return StoredContent(name, batch_id, part, table, rows, content)

    def replace(self, made: StoredContent) -> None:
        """What the end of a multipart upload does. Nothing but itself may be replaced so."""
        there = self.files.get(self.key(made.name))
        if there is not None and there != made:
            self.misplaced.append(f"{made.name} of {there.batch_id} was overwritten")
        self.files[self.key(made.name)] = made


class BucketClient:
    """What obstore has for a bucket; ``repeats`` is how often it sends what failed again."""

    def __init__(
        self, storage: BucketStorage, scheduler: Scheduler, faults: Faults, repeats: int
    ) -> None:
        self._storage = storage
        self._scheduler = scheduler
        self._faults = faults
        self._repeats = repeats
        self.on_late: Callable[[StoredContent], None] = lambda _: None
        """Told of what may appear although its sender was told that it failed."""

    # -- as the functions of obstore ----------------------------------------------------------

    def put(self, path: str, content: bytes, *, mode: str, use_multipart: bool) -> None:
        """``obstore.put``."""
        assert not use_multipart
        made = self._storage.stored(path, content)

        def do() -> None:
            if mode != "create":
                self._storage.replace(made)
            elif not self._storage.create(made):
                raise AlreadyExistsError(f"{path}: 412 Precondition Failed")

        self._ask("put", path, do, made)

    def head(self, path: str) -> dict[str, int]:
        """``obstore.head``."""
        return self._ask("head", path, lambda: {"size": len(self._content(path))})

    def get(self, path: str, *, options: dict[str, dict[str, int]]) -> Any:
        """``obstore.get`` with a range from the end."""
        content = self._ask("get", path, lambda: self._content(path))
        if not content:
            raise GenericError(f"{path}: 416: <Code>InvalidRange</Code>")
        tail = content[-options["range"]["suffix"] :]
        return SimpleNamespace(meta={"size": len(content)}, bytes=lambda: tail)

    def get_range(self, path: str, *, start: int, end: int) -> bytes:
        """``obstore.get_range``."""
        return self._ask("get", path, lambda: self._content(path)[start:end])

    def delete(self, path: str) -> None:
        """``obstore.delete``."""
        key = self._storage.key(path)
        self._ask("delete", path, lambda: self._storage.files.pop(key, None))

    def open_writer(self, path: str, *, buffer_size: int, max_concurrency: int) -> _Writer:
        """``obstore.open_writer``."""
        assert max_concurrency
        return _Writer(self, path, buffer_size)

    # -- one request ------------------------------------------------------------------------

    def send_part(self, path: str, call: str = "part") -> None:
        """A part of a multipart upload, or its begin or its abort: nothing that is seen."""
        self._ask(call, path, lambda: None)

    def complete(self, path: str, content: bytes) -> None:
        """The end of a multipart upload."""
        made = self._storage.stored(path, content)
        self._ask("complete", path, lambda: self._storage.replace(made), made)

    def _content(self, path: str) -> bytes:
        found = self._storage.files.get(self._storage.key(path))
        if found is None:
            raise NotFoundError(f"{path}: 404: <Code>NoSuchKey</Code>")
        return found.content if isinstance(found, StoredContent) else b""

    def _ask(
        self, call: str, path: str, do: Callable[[], T], made: StoredContent | None = None
    ) -> T:
        """A request, and those by which a client repeats it when it fails."""
        for _ in range(self._repeats):
            try:
                return self._ask_once(call, path, do, made)
            except GenericError:
                self._scheduler.block("the storage", self._scheduler.now + _PAUSE_SECS)
        return self._ask_once(call, path, do, made)

    def _ask_once(self, call: str, path: str, do: Callable[[], T], made: StoredContent | None) -> T:
        scheduler, storage = self._scheduler, self._storage
        scheduler.point(call, path)
        about = f"{storage.root}/{path}"
        rule = self._faults.next(call, about, scheduler.now) or self._faults.next(
            "store", about, scheduler.now
        )
        if rule is not None:
            scheduler.note(f"fault {rule.kind}", path)
            self._go_wrong(rule, call, path, do, made)
        storage.settle(scheduler.now)
        answer = do()
        scheduler.point("answers", path)
        return answer

    def _go_wrong(
        self,
        rule: Rule,
        call: str,
        path: str,
        do: Callable[[], object],
        made: StoredContent | None,
    ) -> None:
        """What a rule says; it comes back when the request may go on after all."""
        scheduler, storage, kind = self._scheduler, self._storage, rule.kind
        if kind == FOREIGN:
            storage.settle(scheduler.now)
            storage.create(StoredContent(path, None, 0, "", ()))
            return
        if kind == DEFECT:
            raise MemoryError
        if rule.secs and kind != LATE:
            scheduler.block("the storage", scheduler.now + min(rule.secs, TIMEOUT_SECS))
            if kind == "hang" and rule.secs < TIMEOUT_SECS:
                return
        if kind == CONFLICT:
            if call != "put":
                return
            raise AlreadyExistsError(f"{path}: 409: <Code>ConditionalRequestConflict</Code>")
        if kind == UNANSWERED:
            storage.settle(scheduler.now)
            do()
        if kind == LATE and made is not None:
            self.on_late(made)
            storage.late.append((scheduler.now + rule.secs, made))
        raise GenericError(f"Generic S3 error: {path}: {_WORDS[kind]}")


class _Writer:
    """A multipart upload: begun with the first part, there when it is completed."""

    def __init__(self, client: BucketClient, path: str, part_bytes: int) -> None:
        self._client, self._path, self._part_bytes = client, path, part_bytes
        self._content = b""
        self._sent = 0

    def write(self, buffer: bytes, /) -> int:
        """Take more, and send the parts that are full."""
        self._content += buffer
        while len(self._content) - self._sent >= self._part_bytes:
            self._client.send_part(self._path)
            self._sent += self._part_bytes
        return len(buffer)

    def close(self) -> None:
        """Send the rest, and complete it."""
        self._client.send_part(self._path, "last part")
        self._client.complete(self._path, self._content)

    def __exit__(self, *_: object) -> None:
        """Give it up."""
        self._client.send_part(self._path, "abort")


def listing(_client: BucketClient, prefix: str | None = None) -> Iterator[Any]:
    """``obstore.list``: a server asks nobody what there is."""
    raise AssertionError(f"{prefix}: nothing is listed while batches are stored")


FUNCTIONS: Final = SimpleNamespace(
    put=lambda client, *args, **kwargs: client.put(*args, **kwargs),
    head=lambda client, path: client.head(path),
    get=lambda client, path, **kwargs: client.get(path, **kwargs),
    get_range=lambda client, path, **kwargs: client.get_range(path, **kwargs),
    delete=lambda client, path: client.delete(path),
    open_writer=lambda client, path, **kwargs: client.open_writer(path, **kwargs),
    list=listing,
)
"""What stands where the store for buckets has the module ``obstore``."""
