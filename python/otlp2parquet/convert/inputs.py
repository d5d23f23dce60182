"""Which files are converted, in which order, and what their names say of them.

Knows names and file status; opens nothing. The same files give the same order, however they
were named on the command line.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from otlp2parquet.convert.problems import Problem
from otlp2parquet.core import SIGNALS, Signal
from otlp2parquet.durable import reason_of

REQUEST_SUFFIXES: Final = (".pb", ".binpb", ".otlp")
LINES_SUFFIXES: Final = (".jsonl", ".ndjson")
JSON_SUFFIXES: Final = (".json", *LINES_SUFFIXES)
_COMPRESSIONS: Final[dict[str, Literal["gzip", "zstd"]]] = {".gz": "gzip", ".zst": "zstd"}
_SUFFIXES: Final = REQUEST_SUFFIXES + JSON_SUFFIXES
_EXPECTED: Final = f"{', '.join(_SUFFIXES)}, with .gz or .zst after it if compressed"


@dataclass(frozen=True, slots=True)
class InputFile:
    """A regular file of OTLP requests; ``path`` as it was given or found.

    ``signal`` is None where each request tells its own: in JSON, unless the caller says one.
    """

    path: Path
    signal: Signal | None
    compression: Literal["gzip", "zstd"] | None
    size: int
    mtime_ns: int
    format: Literal["protobuf", "json", "json lines"] = "protobuf"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What was found: files to convert, in order, how many others, and what is wrong."""

    files: tuple[InputFile, ...]
    ignored: int
    problems: tuple[Problem, ...]


def find_inputs(paths: Iterable[str | os.PathLike[str]], signal: Signal | None = None) -> Inputs:
    """Files of ``paths`` and, below folders, every file that looks like OTLP.

    A file met twice counts once. Files in folders with another extension, or hidden ones, are
    ignored and counted; a file named itself must fit or is a problem. The signal is ``signal``;
    else JSON tells it itself, and the name of any other file contains one of logs, traces and
    metrics.
    """
    named: dict[tuple[str, ...], Path] = {}
    problems: list[Problem] = []
    ignored = 0
    for path in map(Path, paths):
        if not path.is_dir():
            named.setdefault(_order(path), path)
            continue
        for below in _files_below(path, problems):
            if _looks_like_otlp(below.name):
                named.setdefault(_order(below), below)
            else:
                ignored += 1
    files: list[InputFile] = []
    seen: set[tuple[int, int]] = set()
    for _, path in sorted(named.items()):
        found = _describe(path, signal, seen)
        if isinstance(found, Problem):
            problems.append(found)
        elif found is not None:
            files.append(found)
    return Inputs(tuple(files), ignored, tuple(problems))


def _order(path: Path) -> tuple[str, ...]:
    return path.absolute().parts


def _files_below(folder: Path, problems: list[Problem]) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        problems.append(Problem(str(error.filename), None, f"cannot be read: {reason_of(error)}"))

    for parent, _, names in os.walk(folder, onerror=unreadable):
        for name in names:
            yield Path(parent, name)


def _split(name: str) -> tuple[str, Literal["gzip", "zstd"] | None]:
    """The name without its compression suffix, and the compression."""
    for suffix, compression in _COMPRESSIONS.items():
        if name.lower().endswith(suffix):
            return name[: -len(suffix)], compression
    return name, None


def _looks_like_otlp(name: str) -> bool:
    return not name.startswith(".") and _split(name)[0].lower().endswith(_SUFFIXES)


def _describe(
    path: Path, signal: Signal | None, seen: set[tuple[int, int]]
) -> InputFile | Problem | None:
    """The file, what is wrong with it, or ``None`` when it was met under another name."""
    try:
        status = path.stat()
    except OSError as error:
        return Problem(str(path), None, f"cannot be read: {reason_of(error)}")
    if not stat.S_ISREG(status.st_mode):
        return Problem(str(path), None, "is not a regular file: expected a file or a folder")
    name, compression = _split(path.name)
    if not name.lower().endswith(_SUFFIXES):
        return Problem(str(path), None, f"has an unknown extension: expected {_EXPECTED}")
    file_format: Literal["protobuf", "json", "json lines"] = "protobuf"
    if name.lower().endswith(JSON_SUFFIXES):
        file_format = "json lines" if name.lower().endswith(LINES_SUFFIXES) else "json"
    if signal is None and file_format == "protobuf":
        matches = [one for one in SIGNALS if one in name.lower()]
        if len(matches) != 1:
            found = " and ".join(matches) or "none"
            reason = (
                f"does not tell its signal: found {found} in its name, expected exactly one of "
                f"{', '.join(SIGNALS)}; or say --signal"
            )
            return Problem(str(path), None, reason)
        signal = matches[0]
    # Through another link, or through a folder and by itself, a file is still one file.
    identity = (status.st_dev, status.st_ino)
    if status.st_ino and identity in seen:
        return None
    seen.add(identity)
    modified = max(status.st_mtime_ns, 0)
    return InputFile(path, signal, compression, status.st_size, modified, file_format)
