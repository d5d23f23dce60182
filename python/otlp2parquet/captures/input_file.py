"""A file to read, and what its name says of it.

Knows names. What a name says is a hint; what a file holds decides.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from otlp2parquet.core.signals import SIGNALS, Signal

Format = Literal["json", "protobuf", "length-prefixed", "varint-delimited"]

PROTOBUF_SUFFIXES: Final = (".pb", ".binpb", ".otlp", ".protobuf", ".proto")
JSON_SUFFIXES: Final = (".json", ".jsonl", ".ndjson")
COMPRESSION_SUFFIXES: Final = (".gz", ".gzip", ".zst", ".zstd")

# What rotation appends: a number, a date, both.
_ROTATED: Final = re.compile(r"(?:[._-]\d[\d.:TZ_-]*)+$")
_WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")


@dataclass(frozen=True, slots=True)
class InputFile:
    """A regular file, or what comes on standard input; ``path`` as it was given or found.

    ``signal`` is what the caller says of all requests, or ``None``. ``named`` are the signals that
    the file's name, or else the folder's, holds as words: of use where a request does not tell its
    own. ``format`` is the form that the caller says it has, or ``None``: its content tells.
    """

    path: Path
    signal: Signal | None
    named: tuple[Signal, ...]
    is_json: bool
    """Whether the name promises JSON; what is in the file decides."""
    size: int
    mtime_ns: int
    format: Format | None = None
    is_stdin: bool = False


def signals_in(names: Iterable[str]) -> tuple[Signal, ...]:
    """The signals in the first of ``names`` that holds one as a whole word."""
    for name in names:
        words = {word.lower() for word in _WORDS.findall(name)}
        if found := tuple(one for one in SIGNALS if one in words):
            return found
    return ()


def base_name(name: str) -> str:
    """The name in lower case, without what rotation and compression appended."""
    base = name.lower()
    while True:
        shorter = _ROTATED.sub("", base)
        for suffix in COMPRESSION_SUFFIXES:
            shorter = shorter.removesuffix(suffix)
        if shorter == base:
            return base
        base = shorter


def promises_otlp(name: str) -> bool:
    """Whether a name ends as those of captures do."""
    return base_name(name).endswith(PROTOBUF_SUFFIXES + JSON_SUFFIXES)


def promises_json(name: str) -> bool:
    """Whether a name ends as those of JSON do."""
    return base_name(name).endswith(JSON_SUFFIXES)
