"""What every store promises, whatever lies behind it; writers see only this.

Knows names and bytes. A path is relative, with ``/``, and never leaves the store's root. Whoever
calls may be on any thread.

Errors are of three kinds, and nothing else is raised for what a storage does:
``StorageUnavailableError`` (transient: the same call may succeed later), ``StorageRefusedError``
(permanent: it will not until somebody changes something), ``NameTakenError``. A path that is none
is the caller's mistake, a ``ValueError``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol, runtime_checkable

UPLOAD_BYTES: Final = 33 << 20
"""The most that a store over the network holds in memory of one object while it is created."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a listing: its path below the root and its size in bytes."""

    path: str
    bytes: int


class Store(Protocol):
    """A place for files. Safe for several threads."""

    @property
    def root(self) -> str:
        """What names the store in plans and logs: an absolute path, a URL."""

    def create(self, path: str, fill: Callable[[BinaryIO], None]) -> int:
        """Make the object ``path`` from what ``fill`` writes to the sink; its size in bytes.

        When this returns the object is whole and durable under its name. After an error it is
        not there, or (an answer was lost) it is there whole: who tries again meets
        ``NameTakenError`` and looks. ``fill`` is not called when the name is known to be taken.
        What ``fill`` itself raises passes through, and nothing is left behind.
        """

    def open(self, path: str) -> BinaryIO:
        """Open an object for reading, with ``seek``; ``FileNotFoundError`` if it is not there.

        Reading from it raises the errors of this module, as every call does.
        """

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """The objects below the folder ``prefix``, in no order; what is half-written is not one."""

    def delete(self, path: str) -> None:
        """Remove an object, durably; one that is not there is removed already."""


@runtime_checkable
class Replaces(Protocol):
    """A store that can also put an object in the place of another one, at once.

    Nothing of a server does: only who makes a file anew that a person asked for.
    """

    def replace(self, path: str, fill: Callable[[BinaryIO], None]) -> int:
        """As ``Store.create``, whatever has the name: that is there until the new one is."""


def replace(store: Store, path: str, fill: Callable[[BinaryIO], None]) -> int:
    """Make the object ``path`` in the place of another one; its size in bytes.

    A store that cannot do it at once has neither for a moment.
    """
    if isinstance(store, Replaces):
        return store.replace(path, fill)
    store.delete(path)
    return store.create(path, fill)


def writing(content: bytes) -> Callable[[BinaryIO], None]:
    """The ``fill`` of an object whose content is there as a whole."""

    def fill(sink: BinaryIO) -> None:
        sink.write(content)

    return fill


def checked_path(path: str) -> str:
    r"""``path`` if it names something below a root, on every storage; else ``ValueError``.

    It is relative, its components are separated by one ``/``, none is empty, ``.`` or ``..``, and
    it has neither ``\``, which separates on Windows, nor NUL, which ends it in C.
    """
    if {"", ".", ".."} & set(path.split("/")) or "\\" in path or "\0" in path:
        raise ValueError(
            f"path {path[:300]!r} does not name an object below the root: expected names with a "
            "single / between them"
        )
    return path
