"""Down to the medium: the calls after which bytes and names survive a power cut.

Knows what each system calls them, and takes the nearest safe one where a call is missing. Must
not know which files these are.
"""

import contextlib
import errno
import os
import sys
from pathlib import Path


def sync_file(descriptor: int) -> None:
    """Make a file's bytes and size durable. Plain fsync on macOS stops at the drive's cache."""
    if sys.platform == "darwin":
        import fcntl  # noqa: PLC0415 - Windows has none

        with contextlib.suppress(OSError):  # not on every file system
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def sync_data(descriptor: int) -> None:
    """As ``sync_file``, without the times: all that reading the bytes again needs."""
    if sys.platform == "linux":
        os.fdatasync(descriptor)
    else:
        sync_file(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable. Windows has no such call; it journals names."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a network file system that cannot sync a folder
            raise
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder with its parents, and every name on the way durable.

    The nearest two names are synced also when they were there: whoever made them may have died
    before that. A parent that may not be read keeps what it has.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in dict.fromkeys([*missing, path, path.parent]):
        with contextlib.suppress(PermissionError):
            sync_folder(folder.parent)


def try_folder(path: Path) -> None:
    """Raise ``OSError`` if the folder could not be made, or not be written; changes nothing."""
    import tempfile  # noqa: PLC0415 - only where there is a disk

    nearest = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not nearest.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    # What a system says of rights is not all: it may be mounted without writing. The file has no
    # name, or none for long.
    with tempfile.TemporaryFile(dir=nearest):
        pass


def mount_of(path: Path) -> Path:
    """The mount point of the file system on which ``path`` lies, or its nearest parent."""
    path = path.resolve()
    while not os.path.ismount(path) and path != path.parent:
        path = path.parent
    return path


def check_mounted(mount: Path) -> None:
    """Raise ``OSError`` if nothing is mounted any more where something was.

    What is written to the folder below is hidden as soon as the volume is back.
    """
    if not os.path.ismount(mount) and mount != mount.parent:
        raise OSError(errno.ENODEV, "its file system is not mounted any more")


def reason_of(error: OSError) -> str:
    """What the system says, as our messages say it."""
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]
