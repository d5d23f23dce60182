"""What can go wrong in an append, in words, and whose record it costs.

While all goes well nobody keeps track of places: an error there is that something is wrong, and
``explain`` finds where by walking the payload a second time. Knows no message and no table.
"""

from typing import Final, NamedTuple

from otlp2parquet.core.pure.limits import ATTRIBUTES, DEPTH

TRUNCATED: Final = "found the end of the message inside a field, expected more bytes"
VARINT_TOO_LONG: Final = "found a varint longer than 10 bytes, expected at most 10"
TAG_TOO_LARGE: Final = "found a field tag above 32 bits, expected at most 5 bytes"
FIELD_NUMBER_ZERO: Final = "found field number 0, expected 1 or more"
WIRE_TYPE: Final = "found wire type {}, expected 0, 1, 2, 3 or 5"
LENGTH_TOO_LONG: Final = "found a length of more than 5 bytes, expected at most 5"
LENGTH_BEYOND_END: Final = "found a length that reaches beyond the enclosing message"
PACKED_LENGTH: Final = "found packed 64-bit values whose length is not a multiple of 8"
UNMATCHED_END_GROUP: Final = "found an end-group tag without its start-group tag"
GROUPS_TOO_DEEP: Final = "found groups nested deeper than 100"


class MalformedError(Exception):
    """Bytes that are not a message of the expected type, at an offset in the payload.

    The readers of records raise it where they notice, which may be behind the place; the walk of
    ``well_formed`` raises it at the place, with the path of the innermost message that holds it.
    """

    def __init__(self, offset: int = 0, message: str = TRUNCATED) -> None:
        super().__init__(message)
        self.offset = offset
        self.message = message
        self.path = ""


class Reject(NamedTuple):
    """Why a record that is well-formed is not stored, and where in the payload the reason is."""

    offset: int
    why: str


class RejectError(Exception):
    """Ends the reading of one record, or of what records share; the request goes on."""

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(why)
        self.reject = Reject(offset, why)


def too_many_attributes(found: int) -> str:
    """The reason that a list is too long."""
    return f"found {found} attributes in one list, expected at most {ATTRIBUTES}"


TOO_DEEP: Final = f"found a value nested deeper than {DEPTH} arrays and key-value lists"
OLD_KIND: Final = (
    "found a metric kind of OTLP 0.8, expected gauge, sum, histogram, exponential histogram or "
    "summary"
)
OLD_LABELS: Final = "found the labels of OTLP 0.8, expected attributes in their place"


def count_too_large(found: int) -> str:
    """The reason that a count does not fit."""
    return f"found a count of {found}, expected at most {(1 << 63) - 1}"


def duration_too_long(start: int, end: int) -> str:
    """The reason that a span's end minus its start does not fit."""
    return f"found start {start} ns and end {end} ns, expected a duration within 64 bits"


# Limits of a whole request -------------------------------------------------------------------


def payload_too_large(found: int, limit: int) -> str:
    """The payload, or the protobuf that its JSON stands for, has more bytes than allowed."""
    return f"found a payload of {found} bytes, expected at most {limit}"


def too_many_records(limit: int) -> str:
    """There are more log records, spans or data points than allowed."""
    return f"found more than {limit} records in one request"


def too_many_nested(limit: int) -> str:
    """There are more events, links and exemplars than allowed."""
    return f"found more than {limit} span events, links and exemplars in one request"


def too_many_groups(limit: int) -> str:
    """There are more (table, service, hour) groups than allowed."""
    return f"found more than {limit} groups of table, service and hour in one request"


def too_many_parts(limit: int) -> str:
    """There are more parts of messages that are given more than once than allowed."""
    return f"found more than {limit} parts of messages given more than once"


def too_much_memory(limit: int) -> str:
    """The records take more memory as rows than the request's size allows them."""
    return (
        f"found a request that takes more than {limit} bytes of memory as rows, "
        "expected at most that"
    )


def too_much_repeated(limit: int) -> str:
    """Resources, scopes and metrics, written into every row, take more bytes than allowed."""
    return (
        f"found resource, scope and metric values that take more than {limit} bytes when "
        "written into every row"
    )
