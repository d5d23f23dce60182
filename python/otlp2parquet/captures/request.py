"""One export request as it was read from a capture, and the capture that it is read from.

Knows what a reader of a form needs: the bytes, the file's name for messages, the limit, and how a
request or a problem is told. Must not know which form is read.
"""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from otlp2parquet.captures.input_file import InputFile
from otlp2parquet.captures.problems import Problem
from otlp2parquet.captures.signals import likeliest, plausible
from otlp2parquet.captures.source import Source
from otlp2parquet.core.signals import SIGNALS, Signal


class Request(NamedTuple):
    """One export request as read.

    ``offset`` counts the bytes of the decompressed file before the payload, ``position`` those
    of the file itself that have been read by then.
    """

    file: InputFile
    signal: Signal
    content_type: Literal["application/x-protobuf", "application/json"]
    offset: int
    payload: bytes
    position: int


Found = Iterator[Request | Problem]
"""What every reader gives: requests in order, and a problem where one cannot be had."""


class Capture:
    """A file that is being read: ``source`` are its bytes, with all compression undone.

    ``limit`` is the largest request that is taken, in bytes. ``position`` counts bytes of the file
    itself. ``start`` is where the request begins that is being read: a break is told there.
    """

    def __init__(
        self,
        file: InputFile,
        source: Source,
        limit: int,
        *,
        position: Callable[[], int],
        packed: str = "file",
        place: str = "frame",
    ) -> None:
        self.file = file
        self.source = source
        self.limit = limit
        self.position = position
        self.packed = packed
        self.place = place
        self.start = 0

    def problem(self, offset: int | None, reason: str) -> Problem:
        """What is wrong at a place of this file."""
        return Problem(str(self.file.path), offset, reason)

    def torn(self, error: Exception) -> Problem:
        """The data breaks within the request that begins at ``start``."""
        return self.problem(
            self.start, f"the {self.packed} data breaks in the {self.place} here: {error}"
        )

    def json(self, signal: Signal, offset: int, payload: bytes) -> Request:
        """A request in JSON."""
        return Request(self.file, signal, "application/json", offset, payload, self.position())

    def protobuf(self, offset: int, payload: bytes) -> Request | Problem:
        """A request in protobuf, of the signal that was said if its bytes allow that."""
        told, by = self.told_signal()
        if told is None:
            signal = likeliest(payload)
            if signal is None:
                return self.problem(offset, self._untold(payload))
        else:
            signal = told
            fitting = plausible(payload)
            if fitting and told not in fitting:
                fits = " or ".join(fitting)
                return self.problem(
                    offset,
                    f"the request that begins here fits {fits}, not {told}, which {by} says: "
                    "left out; --signal says otherwise for a file",
                )
        return Request(
            self.file, signal, "application/x-protobuf", offset, payload, self.position()
        )

    def told_signal(self) -> tuple[Signal | None, str]:
        """The signal that was said of all requests, and what says so."""
        if self.file.signal is not None:
            return self.file.signal, "--signal"
        if len(self.file.named) == 1:
            return self.file.named[0], "the name"
        return None, ""

    def _untold(self, payload: bytes) -> str:
        found = " and ".join(self.file.named) or "none"
        content = " and ".join(plausible(payload)) or "none"
        return (
            f"does not tell its signal: found {found} in its name, and {content} fits its content; "
            f"expected exactly one of {', '.join(SIGNALS)}, or say --signal"
        )
