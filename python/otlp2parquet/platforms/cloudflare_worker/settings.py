"""What a Worker's variables and secrets say, by the names that settings have everywhere.

Knows the few settings that mean something where there is no disk, no process and one bucket. They
are read here and not by ``config``, which knows all of them and the files that they may stand in: a
bundle of the size of a page is worth a second, small reader. A test holds names and spellings to
those of ``config``.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar, cast

from otlp2parquet.core.layout import DEFAULT_LAYOUT, LAYOUTS, Layout
from otlp2parquet.errors import ConfigError

T = TypeVar("T")

PREFIX: Final = "OTLP2PARQUET_"
BINDING: Final = "OTLP_BUCKET"
"""The R2 binding of the bucket that files are written to."""

DEFAULT_PAYLOAD_BYTES: Final = 8 << 20
MOST_PAYLOAD_BYTES: Final = 32 << 20
"""A Worker has 128 MB of memory, the interpreter's included."""

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "server.auth.tokens": ("SERVER_AUTH_TOKENS",),
    "server.log_level": ("SERVER_LOG_LEVEL", "LOG_LEVEL"),
    "server.path_prefix": ("SERVER_PATH_PREFIX",),
    "request.max_payload_bytes": ("REQUEST_MAX_PAYLOAD_BYTES", "MAX_PAYLOAD_BYTES"),
    "storage.layout": ("STORAGE_LAYOUT",),
    "storage.r2.prefix": ("STORAGE_R2_PREFIX", "R2_PREFIX"),
    "storage.r2.account_id": ("STORAGE_R2_ACCOUNT_ID", "R2_ACCOUNT_ID"),
    "storage.r2.bucket": ("STORAGE_R2_BUCKET", "R2_BUCKET"),
    "catalog.type": ("CATALOG_TYPE",),
    "iceberg.rest_uri": ("ICEBERG_REST_URI",),
    "iceberg.warehouse": ("ICEBERG_WAREHOUSE",),
    "iceberg.namespace": ("ICEBERG_NAMESPACE",),
    "iceberg.token": ("ICEBERG_TOKEN",),
    "iceberg.partition": ("ICEBERG_PARTITION",),
}
"""Every setting that is read here, with its names behind ``OTLP2PARQUET_``."""

CATALOGS: Final = ("none", "r2")
PARTITIONS: Final = ("day", "hour", "none")
Partition = Literal["day", "hour", "none"]

LOG_LEVELS: Final = ("trace", "debug", "info", "warn", "error")
_OTHER_LEVELS: Final = {"warning": "warn"}

_SIZE: Final = re.compile(r"(?P<number>\d+(\.\d*)?|\.\d+)\s*(?P<unit>[A-Za-z]*)", re.ASCII)
_UNITS: Final = {"": 1, "b": 1} | {
    f"{prefix}{unit}": base**power
    for power, prefix in enumerate("kmg", 1)
    for unit, base in (("b", 1000), ("ib", 1024))
}
_LONGEST_QUOTE: Final = 80
_PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]+)+/?")
_URL: Final = re.compile(r"https?://[!-~]+")
_WORD: Final = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class CatalogSettings:
    """The Iceberg catalog that files are committed to: R2's own, or another of its protocol."""

    uri: str
    warehouse: str
    bucket: str
    """The name of the bucket behind the binding, as it stands in the URIs of its objects."""
    token: str = field(default="", repr=False)
    namespace: tuple[str, ...] = ("otlp",)
    partition: Partition = "day"


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What holds for all requests of a Worker."""

    tokens: tuple[str, ...] = ()
    """Secrets, one of which a request must show; none of them and the endpoint is open."""
    log_level: str = "info"
    path_prefix: str = ""
    max_payload_bytes: int = DEFAULT_PAYLOAD_BYTES
    layout: Layout = DEFAULT_LAYOUT
    prefix: str = ""
    """The folder in the bucket below which files lie; empty for none. With a catalog its tables
    lie where it puts them, and receipts below this folder."""
    catalog: CatalogSettings | None = None
    warnings: tuple[str, ...] = ()


def read_settings(variables: Mapping[str, str]) -> WorkerSettings:
    """The settings that variables and secrets give. Raises ``ConfigError`` with all that is wrong.

    A variable with the prefix and another name has no effect here, which is a warning.
    """
    reader = _Reader(variables)
    settings = WorkerSettings(
        tokens=reader.read("server.auth.tokens", _tokens, ()),
        log_level=reader.read("server.log_level", _log_level, "info"),
        path_prefix=reader.read("server.path_prefix", _path_prefix, ""),
        max_payload_bytes=reader.read("request.max_payload_bytes", _size, DEFAULT_PAYLOAD_BYTES),
        layout=reader.read("storage.layout", _layout, DEFAULT_LAYOUT),
        prefix=reader.read("storage.r2.prefix", _folder, ""),
        catalog=_catalog(reader),
        warnings=tuple(reader.warnings()),
    )
    if reader.errors:
        raise ConfigError("\n  ".join(["the configuration does not fit a Worker:", *reader.errors]))
    return settings


class _Reader:
    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = {
            name.removeprefix(PREFIX): value
            for name, value in variables.items()
            if name.startswith(PREFIX)
        }
        self.errors: list[str] = []

    def read(self, setting: str, parse: Callable[[str], T], default: T) -> T:
        """The value of a setting; what is wrong with it is remembered."""
        for name in NAMES[setting]:
            text = self._variables.get(name)
            if text is None:
                continue
            try:
                return parse(text)
            except ValueError as error:
                self.errors.append(f"{setting} ({PREFIX}{name}): {error}")
                break
        return default

    def is_wrong(self, setting: str) -> bool:
        """Whether something was found wrong with a setting."""
        return any(error.startswith(f"{setting} (") for error in self.errors)

    def warnings(self) -> list[str]:
        """What is set and has no effect."""
        known = {name for names in NAMES.values() for name in names}
        return [
            f"{PREFIX}{name} has no effect in a Worker"
            for name in sorted(self._variables.keys() - known)
        ]


def _found(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return quoted if len(quoted) <= _LONGEST_QUOTE else quoted[: _LONGEST_QUOTE - 3] + "..."


def _tokens(text: str) -> tuple[str, ...]:
    items = (item.strip() for line in text.splitlines() for item in line.split(","))
    given = tuple(dict.fromkeys(item for item in items if item))
    expected = "a list of tokens of visible ASCII characters, without commas"
    if not given:  # an empty secret must not open the Worker to everybody
        raise ValueError(f"found none, expected {expected}")
    for item in given:
        # A printed configuration masks a token with asterisks; that is not one.
        if not item.isascii() or not item.isprintable() or " " in item or not item.strip("*"):
            raise ValueError(f"found another text, expected {expected}")
    return given


def _log_level(text: str) -> str:
    level = _OTHER_LEVELS.get(text.lower(), text.lower())
    if level not in LOG_LEVELS:
        raise ValueError(f"found {_found(text)}, expected one of {', '.join(LOG_LEVELS)}")
    return level


def _path_prefix(text: str) -> str:
    if text in ("", "/"):
        return ""
    if not _PATH.fullmatch(text):
        raise ValueError(f'found {_found(text)}, expected a path such as "/otlp"')
    return text.removesuffix("/")


def _size(text: str) -> int:
    match = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(match["unit"].lower()) if match else None
    size = 0
    if match and unit is not None and (match["unit"] or match["number"].isdigit()):
        size = int(float(match["number"]) * unit)
    if not 1 <= size <= MOST_PAYLOAD_BYTES:
        raise ValueError(
            f"found {_found(text)}, expected a number of bytes from 1 to {MOST_PAYLOAD_BYTES}, or "
            'a size with a unit ("8MiB", "1.5 MB")'
        )
    return size


def _layout(text: str) -> Layout:
    layout = text.lower()
    if layout not in LAYOUTS:
        raise ValueError(f"found {_found(text)}, expected one of {', '.join(LAYOUTS)}")
    return layout


def _folder(text: str) -> str:
    folder = text.strip().strip("/")
    parts = folder.split("/")
    if folder and ({"", ".", ".."} & set(parts) or "\\" in folder or "\0" in folder):
        raise ValueError(f"found {_found(text)}, expected a path without empty parts")
    return folder


def _catalog(reader: _Reader) -> CatalogSettings | None:
    """How the catalog is reached; what R2's own is called follows from account and bucket."""
    account = reader.read("storage.r2.account_id", _word, "")
    bucket = reader.read("storage.r2.bucket", _word, "")
    uri = reader.read("iceberg.rest_uri", _url, "")
    token = reader.read("iceberg.token", str.strip, "")
    settings = CatalogSettings(
        uri or f"https://catalog.cloudflarestorage.com/{account}/{bucket}",
        reader.read("iceberg.warehouse", str.strip, "") or f"{account}_{bucket}",
        bucket,
        token,
        reader.read("iceberg.namespace", _namespace, ("otlp",)),
        reader.read("iceberg.partition", _partition, "day"),
    )
    if reader.read("catalog.type", _catalog_type, "none") == "none":
        return None
    needed = {"storage.r2.bucket": bucket}
    if not uri:
        needed |= {"storage.r2.account_id": account, "iceberg.token": token}
    for setting, value in needed.items():
        if not value and not reader.is_wrong(setting):
            name = PREFIX + NAMES[setting][-1]
            reader.errors.append(f"{setting} ({name}): found none, expected one for the catalog r2")
    return settings


def _catalog_type(text: str) -> str:
    catalog = text.lower()
    if catalog not in CATALOGS:
        raise ValueError(
            f"found {_found(text)}, which a Worker cannot commit to, expected one of "
            f"{', '.join(CATALOGS)}"
        )
    return catalog


def _partition(text: str) -> Partition:
    partition = text.lower()
    if partition not in PARTITIONS:
        raise ValueError(f"found {_found(text)}, expected one of {', '.join(PARTITIONS)}")
    return cast("Partition", partition)


def _namespace(text: str) -> tuple[str, ...]:
    parts = tuple(text.strip().split("."))
    if not all(parts):
        raise ValueError(f'found {_found(text)}, expected a name such as "otlp" or "a.b"')
    return parts


def _url(text: str) -> str:
    url = text.strip().rstrip("/")
    if url and not _URL.fullmatch(url):
        raise ValueError(
            f"found {_found(text)}, expected a URL that begins with https:// or http://"
        )
    return url


def _word(text: str) -> str:
    word = text.strip()
    if word and not _WORD.fullmatch(word):
        raise ValueError(f"found {_found(text)}, expected letters, digits, dots, - and _")
    return word
