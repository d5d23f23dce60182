"""What became of one export request, in words that no protocol owns.

Every platform takes export requests and gets an ``Outcome``; HTTP, gRPC, Lambda and the Worker
each derive their own status from its ``kind``. Knows the package's errors. It must not know status
codes, header fields or sockets. Nothing that a sender wrote in a body is ever part of a message.
"""

from typing import Final, Literal, NamedTuple

from otlp2parquet.errors import (
    DecodeError,
    LogError,
    OtlpError,
    StoppingError,
    TooLargeError,
    UnsupportedError,
)

Kind = Literal[
    # Taken: the rows are kept as the durability mode promises.
    "kept",
    "partly kept",
    # Refused for good: sending the same request again cannot help.
    "bad data",
    "unsupported",
    "too large",
    # Refused for now: the same request may be taken later, and should be sent again.
    "memory",
    "log",
    "storage",
    "cut body",
    "slow body",
    "stopping",
    "internal",
]
"""``partly kept``: some of the records are bad for good and left out, the others are kept.
``memory``: there is no room to hold the body. ``log`` and ``storage``: what makes a request durable
does not work now. ``cut body``: the body ended before it was complete. ``slow body``: it came too
slowly. ``stopping``: the process takes no more rows. ``internal``: a defect of ours."""

TAKEN: Final = frozenset[Kind]({"kept", "partly kept"})
FOR_GOOD: Final = frozenset[Kind]({"bad data", "unsupported", "too large"})

RETRY_AFTER_SECS: Final = 1
"""How long who is refused for now should wait before sending the request again."""


class Outcome(NamedTuple):
    """What became of one request; made once for each, so it is a tuple and nothing more."""

    kind: Kind
    message: str = ""
    """Why it was refused, why records were left out, or (``kept``) a warning; else empty."""
    offset: int | None = None
    """Of bad data: the byte offset in the decompressed body at which reading stopped."""
    path: str = ""
    """Of bad data: the OTLP field path there."""
    accepted: int = 0
    rejected: int = 0
    """Records left out because they are bad for good."""
    body_bytes: int | None = None
    """Length of the body as sent; None when it was not read to its end."""

    @property
    def is_taken(self) -> bool:
        """Whether it is acknowledged."""
        return self.kind in TAKEN

    @property
    def may_be_sent_again(self) -> bool:
        """Whether the same request may be taken later."""
        return self.kind not in TAKEN and self.kind not in FOR_GOOD

    @property
    def text(self) -> str:
        """The message with the place, unless the message names that itself."""
        place = []
        if self.offset is not None and str(self.offset) not in self.message:
            place.append(f"at byte {self.offset}")
        if self.path and self.path not in self.message:
            place.append(f"in {self.path}")
        return " ".join([self.message, *place])


class RefusedError(Exception):
    """Raised where a request is given up on the way; ``outcome`` says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


CUT_BODY: Final = Outcome("cut body", "the body ended before it was complete, send it again")
SLOW_BODY: Final = Outcome("slow body", "the body came too slowly, send it again")
NO_MEMORY: Final = Outcome(
    "memory", "the server's memory is full of rows that are not stored yet, send it again"
)
STOPPING: Final = Outcome(
    "stopping", "the server is stopping and takes no more rows, send it again"
)


def too_large(limit: int) -> Outcome:
    """The outcome of a body beyond ``limit`` bytes."""
    return Outcome("too large", f"the body is larger than {limit} bytes, the most taken here")


def taken(accepted: int, rejected: int, message: str, body_bytes: int) -> Outcome:
    """The outcome of a request whose rows are kept."""
    kind: Kind = "partly kept" if rejected else "kept"
    return Outcome(kind, message, None, "", accepted, rejected, body_bytes)


def empty(media_type: str) -> Outcome:
    """The outcome of a body of no bytes, whatever its encoding.

    Zero bytes are a valid empty protobuf message and an empty sequence of JSON lines, but they
    are not a JSON document. ``media_type`` is what ``process_otlp`` calls ``content_type``.
    """
    if media_type == "application/json":
        return Outcome("bad data", "the body is empty, expected a JSON object", body_bytes=0)
    return Outcome("kept", body_bytes=0)


def of_error(error: BaseException, body_bytes: int | None = None) -> Outcome:
    """The outcome of a request that ``error`` ended.

    What is nobody's foreseen trouble may be told by nobody: its text could hold anything, also what
    the client sent. It is refused for now, so that the data stays with the client.
    """
    if isinstance(error, DecodeError):
        return Outcome("bad data", str(error), error.offset, error.path, body_bytes=body_bytes)
    if isinstance(error, UnsupportedError):
        return Outcome("unsupported", str(error), body_bytes=body_bytes)
    if isinstance(error, TooLargeError):
        return Outcome("too large", str(error), body_bytes=body_bytes)
    if isinstance(error, StoppingError):
        return Outcome("stopping", str(error), body_bytes=body_bytes)
    if isinstance(error, LogError):
        return Outcome("log", str(error), body_bytes=body_bytes)
    if isinstance(error, OtlpError):
        return Outcome("storage", str(error), body_bytes=body_bytes)
    return Outcome("internal", "internal trouble, see the server's log", body_bytes=body_bytes)
