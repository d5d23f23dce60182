"""What can be wrong with JSON text: it is no export request at all, or a part of it does not fit.

Messages say what was found by its kind and never repeat it: text comes from strangers.
"""

from typing import NamedTuple


class Finding(NamedTuple):
    """Something wrong at a byte of the text."""

    at: int
    message: str


class JsonMalformedError(Exception):
    """Not JSON, or a wrong top level: nothing of the request counts."""

    def __init__(self, at: int, message: str) -> None:
        super().__init__(message)
        self.finding = Finding(at, message)


class JsonMisfitError(Exception):
    """JSON, and not what OTLP has here: it costs the record, or all records below."""

    def __init__(self, at: int, message: str) -> None:
        super().__init__(message)
        self.finding = Finding(at, message)


def found(what: str, expected: str) -> str:
    """The usual message."""
    return f"found {what}, expected {expected}"
