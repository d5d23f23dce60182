"""What is given to a function: an event, and the error for one that is not as AWS makes them.

Knows the types of JSON. Must not know what events there are. Errors name members and types, and
what was in them only as far as it is a name, in a few printable letters: they go to logs.
"""

from collections.abc import Mapping
from typing import Any

from otlp2parquet.printable import printable

Event = Mapping[str, Any]


class EventError(ValueError):
    """An event that nobody knows, or that cannot be read."""


def object_in(event: Event, name: str) -> Event:
    """The object that a member holds; an empty one where it is missing or null."""
    value = event.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise EventError(f"{name} is {type(value).__name__}: expected an object")
    return value


def text_in(event: Event, name: str) -> str:
    """The text that a member holds."""
    value = event.get(name)
    if not isinstance(value, str):
        found = "missing" if value is None else type(value).__name__
        raise EventError(f"{name} is {found}: expected a text")
    return value


def shown(name: object, most: int = 100) -> str:
    """A name of anybody, for an error."""
    return printable(str(name)[:most])[:most]
