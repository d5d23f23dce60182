"""Which servers write into a storage, as they say themselves: a note of each, on this machine.

Knows files. Must not know sockets or requests. A server writes a note when it listens, and removes
it when it stops. It holds a lock on the note, which goes with the process however that ends, so a
note that can be locked is one of a server that is gone. A note is for convenience: where none can
be written or read, nobody is kept from serving.
"""

import contextlib
import json
import logging
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from otlp2parquet.batches.log.disk import SystemDisk
from otlp2parquet.config import Config
from otlp2parquet.config.settings import LOG_FOLDER

log = logging.getLogger(__name__)

FOLDER: Final = "servers"

_NAME: Final = re.compile(r"[0-9a-f]{16}\.json")
_MOST_BYTES: Final = 1 << 16
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


@dataclass(frozen=True, slots=True)
class ServerNote:
    """A server that runs: where it is reached from this machine, and where its files go."""

    url: str
    storage: str
    pid: int
    is_trusted: bool = True
    """Whether we, or root, have written it. Who else may write there must not be sent a token."""


def notes_folder(config: Config) -> Path:
    """Where the notes of servers of this configuration lie.

    Beside the files if they are on the disk: who asks about a folder knows no more than that.
    """
    if config.storage.backend == "fs":
        return config.storage.fs.path / LOG_FOLDER / FOLDER
    return config.log_path / FOLDER


def local_url(scheme: str, host: str, port: int) -> str:
    """The URL by which this machine reaches a server that listens on ``host``."""
    host = _EVERYWHERE.get(host, host)
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


@contextlib.contextmanager
def announced(folder: Path, url: str, storage: str) -> Iterator[None]:
    """A note of this process in ``folder``, as long as the context lasts."""
    disk, path, descriptor = SystemDisk(), folder / f"{secrets.token_hex(8)}.json", None
    try:
        disk.make_folder(folder)
        _remove_stale(folder)
        descriptor = disk.create(path)
        disk.lock(descriptor)
        note = {"url": url, "storage": storage, "pid": os.getpid()}
        disk.write(descriptor, 0, [json.dumps(note).encode()])
    except OSError as error:
        log.debug("no note of this server could be written into %s: %s", folder, error)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            disk.unlink(path)
            folder.rmdir()  # if it was the last one
        if descriptor is not None:
            disk.close(descriptor)


def notes_of(folder: Path, storage: str) -> list[ServerNote]:
    """The notes in ``folder`` of servers that run, and write into ``storage``."""
    found, trusted = [], _trusted_users()
    for path in _notes(folder):
        try:
            with path.open("rb") as file:
                note = json.loads(file.read(_MOST_BYTES))
                is_trusted = os.fstat(file.fileno()).st_uid in trusted
            url, root, pid = str(note["url"]), str(note["storage"]), int(note["pid"])
            server = ServerNote(url, root, pid, is_trusted)
        except (OSError, ValueError, LookupError, TypeError):
            continue  # it is being written, or removed, or none of ours
        if server.storage == storage and not _is_stale(path):
            found.append(server)
    return found


def _trusted_users() -> set[int]:
    # Windows has no such numbers, and says 0 of every file.
    return {0, os.getuid()} if hasattr(os, "getuid") else {0}


def _notes(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    except OSError:
        return []


def _is_stale(path: Path) -> bool:
    disk = SystemDisk()
    try:
        descriptor = disk.open(path, write=False)
    except OSError:
        return True
    try:
        disk.lock(descriptor)
    except OSError:
        return False
    finally:
        disk.close(descriptor)
    return True


def _remove_stale(folder: Path) -> None:
    for path in _notes(folder):
        if _is_stale(path):
            path.unlink(missing_ok=True)
