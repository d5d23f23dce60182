"""Docker's json-file driver: an object a line, whose member ``log`` is what a container wrote.

Its text ends in a line break where the container's line ended; longer lines are cut into several
objects. Shippers (Fluent Bit, Promtail) copy the object and may drop the line break: then a text
that is a whole document is a line.
"""

from collections.abc import Sequence

from otlp2parquet.captures.framings.torn import OPENING
from otlp2parquet.captures.wrappings.members import Member, text_of
from otlp2parquet.captures.wrappings.unwrapped import LogLine
from otlp2parquet.core import recognize_json


def unwrap(text: bytes, found: Sequence[Member]) -> LogLine | None:
    """The line, or part of a line, that a container wrote."""
    by_name = {member.name: text[member.begin : member.end] for member in found}
    written = text_of(by_name.get(b"log", b""))
    if written is None:
        return None
    stream = text_of(by_name.get(b"stream", b'"stdout"')) or b"stdout"
    ends = written.endswith(b"\n")
    begins_anew = OPENING.match(written) is not None
    if not ends and begins_anew:
        ends = recognize_json(written)[0] == "whole"
    return LogLine(
        "docker stderr" if stream == b"stderr" else "docker stdout",
        written,
        ends,
        begins_anew=begins_anew,
    )
