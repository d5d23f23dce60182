"""Server-sent events out of chunks of bytes.

Knows the format as the live view writes it, and JSON. Tolerates what it does not know, as the
standard says.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple


class Event(NamedTuple):
    """One event of the live view."""

    name: str
    data: dict[str, Any]


class Parser:
    """Takes chunks, however they are cut, and gives whole events."""

    def __init__(self) -> None:
        self._rest = b""
        self.last_id = ""
        """The number of the last event that had one: what to go on behind."""

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that are whole with ``chunk``."""
        *blocks, self._rest = (self._rest + chunk).split(b"\n\n")
        for block in blocks:
            fields: dict[str, str] = {}
            for line in block.decode("utf-8", "replace").split("\n"):
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
            if "id" in fields:
                self.last_id = fields["id"]
            if "data" in fields:
                try:
                    data = json.loads(fields["data"])
                except ValueError:
                    continue
                if isinstance(data, dict):
                    yield Event(fields.get("event", "message"), data)
