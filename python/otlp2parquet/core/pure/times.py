"""Times: OTLP's nanoseconds as the tables' microseconds and the nanoseconds beside them."""

from typing import Final

NANOS_PER_HOUR: Final = 3_600_000_000_000

NO_TIME: Final = (None, None)


def given(nanos: int) -> tuple[int | None, int | None]:
    """A time and its nanoseconds; "a time of 0 in OTLP means not given and is null"."""
    return divmod(nanos, 1000) if nanos else NO_TIME


def of_row(nanos: int, fallback: int) -> tuple[int, int | None]:
    """The Timestamp of a row; ``fallback`` stands in for 0, without nanoseconds."""
    return divmod(nanos, 1000) if nanos else (fallback // 1000, None)
