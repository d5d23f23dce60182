"""Wrappings: requests inside of what others put around them.

    docker          the lines of Docker's json-file driver, and what copies them
    line_prefix     the lines of CRI; time stamps and names of pods and services before lines
    tempo           Tempo's answers to a query for a trace
    bare_resources  a ResourceLogs, ResourceSpans or ResourceMetrics without its request
    unwrapped       what a wrapping gives
    members         the members of a JSON object, found without reading their values

The text of a request is cut out as it is; nothing of it is written anew. Knows what the outermost
object is called, and no file.
"""

from otlp2parquet.captures.wrappings import bare_resources, docker, tempo
from otlp2parquet.captures.wrappings.members import members
from otlp2parquet.captures.wrappings.unwrapped import LogLine, Unwrapped

__all__ = ["WRAPPINGS", "LogLine", "Unwrapped", "unwrapped"]

WRAPPINGS = (tempo, bare_resources, docker)
"""Each has ``unwrap(text, members)``, which gives what is inside, or None."""


def unwrapped(text: bytes) -> Unwrapped | LogLine | None:
    """What is inside of a whole JSON document that is no request; None if no wrapping is known."""
    found = members(text)
    if not found:
        return None
    return next((inner for one in WRAPPINGS if (inner := one.unwrap(text, found))), None)
