"""Server-sent events, read as the standard says."""

from __future__ import annotations

import json
from typing import Any, NamedTuple


class Event(NamedTuple):
    """One event; ``data`` is what its JSON holds."""

    name: str
    data: Any
    number: int | None = None


def events_in(text: bytes) -> list[Event]:
    """The whole events of a stream that may have been cut; comments are left out."""
    found = []
    for block in text.decode().split("\n\n")[:-1]:
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            if name:
                assert name not in fields, "our events have each field once"
                fields[name] = value.removeprefix(" ")
        if "data" in fields:
            number = int(fields["id"]) if "id" in fields else None
            found.append(Event(fields.get("event", "message"), json.loads(fields["data"]), number))
    return found
