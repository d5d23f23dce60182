"""Where rows belong: the folder of a table, service and hour, as relative path text.

Knows the layouts of docs/schema.md ("Paths") and nothing of any file system: it only makes
text. The text never leaves the prefix it is joined to, whatever the service calls itself,
and two services with different names never share a folder of a layout that names services.
"""

import re
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final, Literal, get_args

from otlp2parquet.core.schema import TABLE_FOLDERS

Layout = Literal["service", "hour", "classic", "table"]
"""How files are laid out in folders: see ``partition_path``."""

ALL_LAYOUTS: Final[tuple[Layout, ...]] = get_args(Layout)
LAYOUTS: Final[tuple[Layout, ...]] = ("service", "hour", "classic")
"""Those that an operator chooses among; a catalog has its own."""

CATALOG_LAYOUT: Final[Layout] = "table"
DEFAULT_LAYOUT: Final[Layout] = "service"

UNKNOWN_SERVICE: Final = "unknown-service"
MAX_SERVICE_BYTES: Final = 128

_ALLOWED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_HASH_HEX_DIGITS: Final = 32  # 128 bits: a collision cannot be searched for in practice
_CUT_BYTES: Final = MAX_SERVICE_BYTES - 1 - _HASH_HEX_DIGITS


def partition_path(
    table: str, service: str | None, hour: datetime, layout: Layout = DEFAULT_LAYOUT
) -> str:
    """The folder for the rows of one table, service and hour, relative to the storage root.

    No leading or trailing slash. By ``layout``:

    - ``service``: ``logs/service=checkout/date=2026-07-01/hour=9``, which Spark, DuckDB, polars
      and Athena read as the columns service, date and hour;
    - ``hour``: ``logs/date=2026-07-01/hour=9``, all services together;
    - ``table``: ``otel_logs/date=2026-07-01/hour=9``, where a catalog knows what lies where: the
      first part stands for the table's own folder, and is in no path;
    - ``classic``: ``logs/checkout/year=2026/month=07/day=01/hour=09``, for trees that go on.

    ``service`` is the ServiceName, ``None`` or empty when there is none. ``hour`` is any moment
    of the hour, with a time zone; the path is in UTC.

    Raises ``ValueError`` for an unknown table or layout and for an ``hour`` without a time zone.
    """
    folder = TABLE_FOLDERS.get(table)
    if folder is None:
        raise ValueError(f"unknown table {table!r}: expected one of {', '.join(TABLE_FOLDERS)}")
    utc = utc_hour(hour)
    if layout == "classic":
        day = f"year={utc.year:04}/month={utc.month:02}/day={utc.day:02}"
        return f"{folder}/{service_folder(service)}/{day}/hour={utc.hour:02}"
    # The hour is not padded: DuckDB takes 09 for a text and 10 for a number.
    day = f"date={utc.year:04}-{utc.month:02}-{utc.day:02}/hour={utc.hour}"
    if layout == "service":
        return f"{folder}/service={service_folder(service)}/{day}"
    if layout == "table":
        return f"{table}/{day}"
    if layout == "hour":
        return f"{folder}/{day}"
    raise ValueError(f"unknown layout {layout!r}: expected one of {', '.join(ALL_LAYOUTS)}")


def utc_hour(moment: datetime) -> datetime:
    """The beginning of the hour in which ``moment`` lies, in UTC; both are with a time zone."""
    if moment.tzinfo is None:
        raise ValueError(f"hour {moment.isoformat()} has no time zone: expected an aware datetime")
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def service_folder(service: str | None) -> str:
    """The text that stands for a service in a path.

    ASCII letters, digits, ``-``, ``_`` and ``.`` stand for themselves, every other byte of the
    UTF-8 text is ``%XX``; so is a leading ``.`` or ``_``, because Spark, Hive and Athena skip
    such folders. Past 128 bytes the text is cut behind a whole character and ends in ``~`` and a
    hash of the whole name; ``~`` occurs nowhere else, so a cut name never equals an uncut one.

    What readers make of it by undoing ``%XX`` is UTF-8: DuckDB, polars and pyarrow refuse a
    whole table for one folder where it is not.
    """
    if not service:
        return UNKNOWN_SERVICE
    # No more than can count: a service may call itself by megabytes.
    head = service[: MAX_SERVICE_BYTES + 1]
    # A lone surrogate, which Arrow never holds, is not UTF-8: another character and the hash
    # stand for it.
    readable = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", head)
    pieces = [_encoded(character) for character in readable]
    if pieces[0] in ("_", "."):
        pieces[0] = f"%{ord(pieces[0]):02X}"
    encoded = "".join(pieces)
    if readable == head and len(encoded) <= MAX_SERVICE_BYTES:
        return encoded
    while len(encoded) > _CUT_BYTES:
        encoded = encoded.removesuffix(pieces.pop())
    name = service.encode("utf-8", "surrogatepass")
    return f"{encoded}~{sha256(name).hexdigest()[:_HASH_HEX_DIGITS]}"


def _encoded(character: str) -> str:
    """A character as it stands in a path."""
    if character in _ALLOWED:
        return character
    return "".join(f"%{byte:02X}" for byte in character.encode())
