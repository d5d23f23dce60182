"""Which files are read, in which order, and what their names say of them.

Knows names and file status; opens nothing. The same files give the same order, however they
were named on the command line. Whatever is wrong with one file or folder is a ``Problem`` of its
own, and the others are found.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from otlp2parquet.captures.problems import Problem
from otlp2parquet.core import SIGNALS, Signal
from otlp2parquet.durable import reason_of

PROTOBUF_SUFFIXES: Final = (".pb", ".binpb", ".otlp", ".protobuf")
JSON_SUFFIXES: Final = (".json", ".jsonl", ".ndjson")
COMPRESSION_SUFFIXES: Final = (".gz", ".gzip", ".zst", ".zstd")
OWN_FOLDER: Final = ".otlp2parquet"
"""What is written beside the tables is no capture, whatever it is called."""

# What rotation appends: a number, a date, both.
_ROTATED: Final = re.compile(r"(?:[._-]\d[\d.:TZ_-]*)+$")
_WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")


@dataclass(frozen=True, slots=True)
class InputFile:
    """A regular file; ``path`` as it was given or found.

    ``signal`` is what the caller says of all requests, or ``None``. ``named`` are the signals that
    the file's name holds as words: of use where a request does not tell its own.
    """

    path: Path
    signal: Signal | None
    named: tuple[Signal, ...]
    is_json: bool
    """Whether the name promises JSON; what is in the file decides."""
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Inputs:
    """What was found: files to read, in order, how many others, and what is wrong."""

    files: tuple[InputFile, ...]
    ignored: int
    problems: tuple[Problem, ...]


def find_inputs(paths: Iterable[str | os.PathLike[str]], signal: Signal | None = None) -> Inputs:
    """Files of ``paths`` and, below folders, every file whose name looks like OTLP.

    A file met twice counts once. Below folders, files with other extensions and hidden ones are
    ignored and counted; a file that is named itself is taken whatever it is called. Links to
    folders are followed, each real folder once. ``signal`` is what all requests are said to be.
    """
    named: dict[tuple[str, ...], tuple[Path, os.stat_result]] = {}
    problems: list[Problem] = []
    ignored = 0
    for path in map(Path, paths):
        status = _status(path, problems)
        if status is None:
            continue
        if not stat.S_ISDIR(status.st_mode):
            named.setdefault(_order(path), (path, status))
            continue
        for below in _files_below(path, problems):
            if not _looks_like_otlp(below.name):
                ignored += 1
            elif (status := _status(below, problems)) is not None:
                named.setdefault(_order(below), (below, status))
    files: list[InputFile] = []
    seen: set[tuple[int, int]] = set()
    for _, (path, status) in sorted(named.items(), key=lambda item: item[0]):
        if not stat.S_ISREG(status.st_mode):
            reason = "is not a regular file: expected a file or a folder"
            problems.append(Problem(str(path), None, reason))
            continue
        # Through another link, or through a folder and by itself, a file is still one file.
        identity = (status.st_dev, status.st_ino)
        if status.st_ino and identity in seen:
            continue
        seen.add(identity)
        files.append(_described(path, status, signal))
    return Inputs(tuple(files), ignored, tuple(problems))


def _status(path: Path, problems: list[Problem]) -> os.stat_result | None:
    """What the system says of a path, or ``None`` and a problem more: it may say anything."""
    try:
        return path.stat()
    except (OSError, ValueError) as error:
        problems.append(_unreadable(path, error))
        return None


def _unreadable(path: Path, error: OSError | ValueError) -> Problem:
    # A ValueError is what Python itself says of a name with a NUL in it.
    reason = reason_of(error) if isinstance(error, OSError) else str(error)
    return Problem(str(path), None, f"cannot be read: {reason}")


def _order(path: Path) -> tuple[str, ...]:
    try:
        return path.absolute().parts
    except OSError:  # the folder that we are in has been removed
        return path.parts


def _files_below(start: Path, problems: list[Problem]) -> Iterator[Path]:
    """Everything below a folder that is no folder, and every real folder once."""
    seen: set[tuple[int, int]] = set()
    folders = [start]
    while folders:
        folder = folders.pop()
        try:
            status = folder.stat()
            identity = (status.st_dev, status.st_ino)
            if status.st_ino and identity in seen:
                continue  # behind a link, perhaps one that leads to a folder above it
            seen.add(identity)
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            problems.append(_unreadable(folder, error))
            continue
        for entry in entries:
            path = folder / entry.name
            try:
                is_folder = entry.is_dir()
            except OSError as error:
                problems.append(_unreadable(path, error))
                continue
            if not is_folder:
                yield path
            elif entry.name != OWN_FOLDER:
                folders.append(path)


def _base(name: str) -> str:
    """The name in lower case, without what rotation and compression appended."""
    base = name.lower()
    while True:
        shorter = _ROTATED.sub("", base)
        for suffix in COMPRESSION_SUFFIXES:
            shorter = shorter.removesuffix(suffix)
        if shorter == base:
            return base
        base = shorter


def _looks_like_otlp(name: str) -> bool:
    return not name.startswith(".") and _base(name).endswith(PROTOBUF_SUFFIXES + JSON_SUFFIXES)


def _described(path: Path, status: os.stat_result, signal: Signal | None) -> InputFile:
    words = {word.lower() for word in _WORDS.findall(path.name)}
    named = tuple(one for one in SIGNALS if one in words)
    is_json = _base(path.name).endswith(JSON_SUFFIXES)
    return InputFile(path, signal, named, is_json, status.st_size, max(status.st_mtime_ns, 0))
