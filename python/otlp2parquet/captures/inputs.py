"""Which files are read, in which order, and what is wrong with any.

Knows names and file status. A file that is named is taken whatever it is called; below a folder,
one whose name promises OTLP is, and of any other the first bytes are looked at. The same files
give the same order, however they were named on the command line. Whatever is wrong with one file
or folder is a ``Problem`` of its own, and the others are found.
"""

import os
import stat
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from otlp2parquet.captures.forms import passed_over
from otlp2parquet.captures.input_file import (
    Format,
    InputFile,
    promises_json,
    promises_otlp,
    signals_in,
)
from otlp2parquet.captures.problems import Problem
from otlp2parquet.core.signals import Signal
from otlp2parquet.durable import reason_of

OWN_FOLDER: Final = ".otlp2parquet"
"""What is written beside the tables is no capture, whatever it is called."""
STDIN: Final = "-"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What was found: files to read, in order, how many others of which kind, what is wrong."""

    files: tuple[InputFile, ...]
    passed_over: Mapping[str, int]
    """Files below folders that are not read, by the reason."""
    problems: tuple[Problem, ...]


def find_inputs(
    paths: Iterable[str | os.PathLike[str]],
    signal: Signal | None = None,
    form: Format | None = None,
) -> Inputs:
    """Files of ``paths`` and, below folders, every file that is a capture by name or content.

    A file met twice counts once. Hidden files below folders are passed over and counted, and so is
    what is no capture; a file that is named itself is taken whatever it is. ``-`` is standard
    input. Links to folders are followed, each real folder once. ``signal`` is what all requests are
    said to be, ``form`` the form of all files.
    """
    search = _Search(signal, form)
    for path in paths:
        if path == STDIN:
            search.stdin()
        else:
            search.path(Path(path))
    return search.result()


class _Search:
    """What has been found so far."""

    def __init__(self, signal: Signal | None, form: Format | None) -> None:
        self._signal = signal
        self._form = form
        self._named: dict[tuple[str, ...], tuple[Path, os.stat_result, bool]] = {}
        self._stdin: list[InputFile] = []
        self._problems: list[Problem] = []
        self._passed_over: Counter[str] = Counter()

    def stdin(self) -> None:
        """Standard input is read too, before all files."""
        if not self._stdin:
            now = time.time_ns()
            path = Path(STDIN)
            self._stdin.append(
                InputFile(
                    path,
                    self._signal,
                    named=(),
                    is_json=False,
                    size=0,
                    mtime_ns=now,
                    format=self._form,
                    is_stdin=True,
                )
            )

    def path(self, path: Path) -> None:
        """A file, or a folder and all below it."""
        status = _status(path, self._problems)
        if status is None:
            return
        if not stat.S_ISDIR(status.st_mode):
            self._named[_order(path)] = (path, status, True)
            return
        for below in _files_below(path, self._problems):
            if below.name.startswith("."):
                self._passed_over["hidden"] += 1
            elif (status := _status(below, self._problems)) is not None:
                self._named.setdefault(_order(below), (below, status, False))

    def result(self) -> Inputs:
        """All of it, in order; every file once."""
        files = self._stdin
        seen: set[tuple[int, int]] = set()
        for _, (path, status, is_named) in sorted(self._named.items(), key=lambda item: item[0]):
            is_promising = is_named or promises_otlp(path.name)
            if not stat.S_ISREG(status.st_mode):
                if is_promising:
                    reason = "is not a regular file: expected a file or a folder"
                    self._problems.append(Problem(str(path), None, reason))
                else:
                    self._passed_over["no regular file"] += 1
                continue
            # Through another link, or through a folder and by itself, a file is still one file.
            identity = (status.st_dev, status.st_ino)
            if status.st_ino and identity in seen:
                continue
            file = self._described(path, status)
            if not is_promising and self._form is None and not self._is_capture(file):
                continue
            seen.add(identity)
            files.append(file)
        return Inputs(tuple(files), dict(self._passed_over), tuple(self._problems))

    def _described(self, path: Path, status: os.stat_result) -> InputFile:
        return InputFile(
            path,
            self._signal,
            signals_in((path.name, path.parent.name)),
            promises_json(path.name),
            status.st_size,
            max(status.st_mtime_ns, 0),
            self._form,
        )

    def _is_capture(self, file: InputFile) -> bool:
        """Whether the content of a file below a folder tells that it is a capture."""
        try:
            reason = passed_over(file)
        except (OSError, ValueError) as error:
            self._problems.append(_unreadable(file.path, error))
            return False
        if reason:
            self._passed_over[reason] += 1
        return not reason


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
