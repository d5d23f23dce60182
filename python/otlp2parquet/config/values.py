"""The kinds of value a setting can have: how each is read, checked and shown.

Knows one value at a time; it must not know which setting it belongs to, where it came from, or
that other settings exist. Every kind reads two spellings: a TOML value, and the text of an
environment variable. A value that does not fit raises ``ValueError`` with what was found and
what was expected, and no other error.
"""

# ruff: noqa: TRY004 - a wrong type is a wrong value here: one error class for the caller

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Generic, NamedTuple, TypeVar

T = TypeVar("T")

_LONGEST_QUOTE = 80
_LAST_PORT = 65_535

_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>(\*\.)?[a-z0-9._-]+|\*|\[[0-9a-f:.]+\])"
    r"(?P<port>:(\d{1,5}|\*))?/?"
)
_OWN_PORT = {"http": ":80", "https": ":443"}

_URL_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+/?")

_NUMBER_AND_UNIT = re.compile(r"(?P<number>\d+(\.\d*)?|\.\d+)\s*(?P<unit>[A-Za-z]+)", re.ASCII)
_DURATIONS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_SIZES = {"b": 1} | {
    f"{prefix}{unit}": base**power
    for power, prefix in enumerate("kmgt", 1)
    for unit, base in (("b", 1000), ("ib", 1024))
}

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})


class Address(NamedTuple):
    """A host (name or IP address, without brackets) and a TCP port; port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """One kind of value. ``expected`` completes the sentence "expected ..."."""

    expected: str
    from_toml: Callable[[object], T]
    from_text: Callable[[str], T]
    show: Callable[[T], object]
    """The value as plain TOML or JSON data (text, number, bool, list)."""


def found(value: object) -> str:
    """A value as an error message quotes it: one line and short, whatever it is."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 3] + "..."


def _same(value: T) -> object:
    return value


def _bounds(minimum: int | None, maximum: int) -> str:
    if maximum in (LARGEST_NUMBER, LARGEST_SIZE):  # so large that a reader is not told of it first
        return f" of at least {minimum}" if minimum is not None else ""
    return f" from {minimum} to {maximum}" if minimum is not None else f" of at most {maximum}"


LARGEST_NUMBER: Final = (1 << 31) - 1
LARGEST_SIZE: Final = 1 << 60
LONGEST_SECS: Final = 31_536_000.0
"""What a setting takes where nothing less is its most: numbers that every library below takes, too;
a year. Whoever means "without a bound" is served as well."""


def integer(*, minimum: int | None = None, maximum: int = LARGEST_NUMBER) -> Kind[int]:
    """A whole number within bounds that are themselves allowed."""
    expected = "a whole number" + _bounds(minimum, maximum)

    def check(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"found {found(value)}, expected {expected}")
        if minimum is not None and value < minimum:
            raise ValueError(f"found {value}, expected {expected}")
        if value > maximum:
            raise ValueError(f"found {found(value)}, expected {expected}, {maximum} at most")
        return value

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise ValueError(f"found {found(text)}, expected {expected}") from None
        return check(number)

    return Kind(expected, check, parse, _same)


def _with_unit(text: str, units: Mapping[str, int | float]) -> float | None:
    """The number that ``text`` names with one of ``units`` (lower case); None if it does not."""
    match = _NUMBER_AND_UNIT.fullmatch(text.strip())
    unit = units.get(match["unit"].lower()) if match else None
    return float(match["number"]) * unit if match and unit is not None else None


def seconds(*, maximum: float = LONGEST_SECS, zero: bool = False) -> Kind[float]:
    """A duration, decimals allowed: in seconds, or a text with a unit."""
    bounds = " from 0" if zero else " above 0"
    if maximum != LONGEST_SECS:
        bounds += f" to {maximum:g}"
    expected = f'a number of seconds{bounds}, or one with a unit ("500ms", "10s", "5m", "1h")'

    def check(value: object) -> float:
        number = _with_unit(value, _DURATIONS) if isinstance(value, str) else value
        if not isinstance(number, int | float) or isinstance(number, bool):
            raise ValueError(f"found {found(value)}, expected {expected}")
        # Written so that NaN fails it too.
        if not (number >= 0 if zero else number > 0) or number == float("inf"):
            raise ValueError(f"found {found(value)}, expected {expected}")
        if number > maximum:
            raise ValueError(f"found {found(value)}, expected {expected}, {maximum:.0f} at most")
        return float(number)

    def parse(text: str) -> float:
        try:
            number: object = float(text)
        except ValueError:
            number = text
        return check(number)

    return Kind(expected, check, parse, _same)


def size(*, minimum: int, maximum: int = LARGEST_SIZE) -> Kind[int]:
    """A number of bytes: a whole number, or a text with a unit."""
    bounds = _bounds(minimum, maximum)
    expected = f'a whole number{bounds}, or a size with a unit ("64MiB", "1.5 GB")'

    def check(value: object) -> int:
        number = value
        if isinstance(value, str):
            exact = _with_unit(value, _SIZES)
            number = None if exact is None or exact == float("inf") else int(exact)
        if not isinstance(number, int) or isinstance(number, bool):
            raise ValueError(f"found {found(value)}, expected {expected}")
        if number < minimum:
            raise ValueError(f"found {found(value)}, expected {expected}")
        if number > maximum:
            raise ValueError(f"found {found(value)}, expected {expected}, {maximum} at most")
        return number

    def parse(text: str) -> int:
        try:
            number: object = int(text)
        except ValueError:
            number = text
        return check(number)

    return Kind(expected, check, parse, _same)


def boolean() -> Kind[bool]:
    """A truth value: true or false; in the environment also 1/0, yes/no, on/off in any case."""
    expected = "true or false"

    def check(value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError(f"found {found(value)}, expected {expected}")
        return value

    def parse(text: str) -> bool:
        word = text.strip().lower()
        if word not in _TRUE | _FALSE:
            raise ValueError(f"found {found(text)}, expected {expected}")
        return word in _TRUE

    return Kind(expected, check, parse, _same)


def text() -> Kind[str]:
    """Any text that is not empty."""
    expected = "text that is not empty"

    def check(value: object) -> str:
        if not isinstance(value, str) or not value:
            raise ValueError(f"found {found(value)}, expected {expected}")
        return value

    return Kind(expected, check, check, _same)


def optional_text() -> Kind[str]:
    """Any text; an empty one says that there is none."""
    expected = "text"

    def check(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f"found {found(value)}, expected {expected}")
        return value.strip()

    return Kind(expected, check, check, _same)


def optional_url(expected: str, check: Callable[[str], object]) -> Kind[str]:
    """A URL that ``check`` takes, or none (an empty text)."""

    def judged(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f"found {found(value)}, expected {expected}")
        text = value.strip()
        if text:
            check(text)
        return text

    return Kind(expected, judged, judged, _same)


def texts(one: str) -> Kind[tuple[str, ...]]:
    """Any number of texts; ``one`` says what each is. In the environment, commas divide them."""
    expected = f"a list of {one}"

    def check(value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ValueError(f"found {found(value)}, expected {expected}")
        return parse("\n".join(value))

    def parse(text: str) -> tuple[str, ...]:
        items = (item.strip() for line in text.splitlines() for item in line.split(","))
        # Each once, in the order given.
        return tuple(dict.fromkeys(item for item in items if item))

    return Kind(expected, check, parse, list)


def pairs() -> Kind[tuple[str, ...]]:
    """``name=value`` pairs: a table or a list in TOML, comma-separated in the environment."""
    expected = "a table of texts, or name=value pairs"

    def checked(items: Iterable[object]) -> tuple[str, ...]:
        given = []
        for item in items:
            name, sign, _ = item.partition("=") if isinstance(item, str) else ("", "", "")
            if not sign or not name.strip():
                raise ValueError(f"found {found(item)}, expected {expected}")
            given.append(str(item).strip())
        return tuple(given)

    def from_toml(value: object) -> tuple[str, ...]:
        if isinstance(value, dict):
            return checked(f"{name}={one}" for name, one in _flat(value, ""))
        if isinstance(value, list):
            return checked(value)
        raise ValueError(f"found {found(value)}, expected {expected}")

    def from_text(text: str) -> tuple[str, ...]:
        return checked(part for part in text.split(",") if part.strip())

    return Kind(expected, from_toml, from_text, list)


def _flat(section: Mapping[str, object], prefix: str) -> Iterator[tuple[str, str]]:
    """Names and values: an unquoted dot in a name has made a section of it."""
    for name, value in section.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _plain_text(value)


def _plain_text(value: object) -> str:
    """A property's value as pyiceberg takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError(f"found {found(value)}, expected a text")


def tokens() -> Kind[tuple[str, ...]]:
    """What may stand in a header field as a secret, several: in a file one a line."""
    kind = texts("tokens of visible ASCII characters, without commas")

    def judged(value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:  # an empty list or file must not open the server to everybody
            raise ValueError(f"found none, expected {kind.expected}")
        for item in value:
            # A printed configuration masks a token with asterisks; that is not one.
            if not item.isascii() or not item.isprintable() or " " in item or not item.strip("*"):
                raise ValueError(f"found another text, expected {kind.expected}")
        return value

    return Kind(
        kind.expected,
        lambda value: judged(kind.from_toml(value)),
        lambda text: judged(kind.from_text(text)),
        kind.show,
    )


def origins() -> Kind[tuple[str, ...]]:
    """Origins of web pages as they are compared: lower case, without a scheme's own port."""
    kind = texts(
        'origins ("https://shop.example", "https://*.shop.example", "http://localhost:*"), or "*"'
    )

    def normal(item: str) -> str:
        if item in ("*", "null"):
            return item
        match = _ORIGIN.fullmatch(item.lower())
        if match is None:
            raise ValueError(f"found {found(item)}, expected {kind.expected}")
        scheme, host, port = match["scheme"], match["host"], match["port"] or ""
        return f"{scheme}://{host}" + ("" if port == _OWN_PORT.get(scheme) else port)

    def judged(value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(normal(item) for item in value))

    return Kind(
        kind.expected,
        lambda value: judged(kind.from_toml(value)),
        lambda text: judged(kind.from_text(text)),
        kind.show,
    )


def choice(
    available: Sequence[str],
    later: Sequence[str] = (),
    other_spellings: Mapping[str, str] = MappingProxyType({}),
) -> Kind[str]:
    """One of the words in ``available``; those in ``later`` exist, but not in this version."""
    expected = "one of " + ", ".join(available) if len(available) > 1 else available[0]

    def check(value: object) -> str:
        if isinstance(value, str):
            value = value.strip()
            value = other_spellings.get(value.lower(), value)
        if isinstance(value, str) and value.lower() in available:
            return value.lower()
        if isinstance(value, str) and value.lower() in later:
            raise ValueError(
                f"found {found(value)}, which is not available in this version, expected {expected}"
            )
        raise ValueError(f"found {found(value)}, expected {expected}")

    return Kind(expected, check, check, _same)


def address() -> Kind[Address]:
    """``host:port``; an IPv6 address stands in brackets."""
    expected = 'an address of the form "host:port"'

    def check(value: object) -> Address:
        if isinstance(value, str):
            host, colon, port = value.strip().rpartition(":")
            if host.startswith("[") and host.endswith("]"):
                host = host[1:-1]
            elif ":" in host:
                host = ""
            if colon and host and port.isascii() and port.isdigit() and int(port) <= _LAST_PORT:
                return Address(host, int(port))
        raise ValueError(f"found {found(value)}, expected {expected}")

    return Kind(expected, check, check, str)


def optional_address() -> Kind[Address | None]:
    """An address, or ``off`` for none."""
    kind = address()

    def check(value: object) -> Address | None:
        if isinstance(value, str) and value.strip().lower() == "off":
            return None
        try:
            return kind.from_toml(value)
        except ValueError as error:
            raise ValueError(f'{error}, or "off"') from error

    return Kind(
        f'{kind.expected}, or "off"',
        check,
        check,
        lambda value: "off" if value is None else str(value),
    )


def path() -> Kind[Path]:
    """A path; relative ones are taken from the folder the process starts in."""
    expected = "a path"

    def check(value: object) -> Path:
        if not isinstance(value, str) or not value or "\0" in value:
            raise ValueError(f"found {found(value)}, expected {expected}")
        try:
            return Path(value).expanduser()
        except RuntimeError as error:  # "~name" of nobody, or no home folder at all
            raise ValueError(
                f"found {found(value)}, whose home folder is unknown, expected {expected}"
            ) from error

    return Kind(expected, check, check, str)


def optional_path(*, may_be_empty: bool = True) -> Kind[Path | None]:
    """A path, or none: then something else says where. An empty text is none, if that may be."""
    kind = path()

    def check(value: object) -> Path | None:
        return None if value == "" and may_be_empty else kind.from_toml(value)

    def show(value: Path | None) -> object:
        return "" if value is None else str(value)

    return Kind(kind.expected, check, check, show)


def url_path() -> Kind[str]:
    """The path of a URL, without a trailing slash; an empty text is none."""
    expected = 'a path such as "/otlp"'

    def check(value: object) -> str:
        if value in ("", "/"):
            return ""
        if not isinstance(value, str) or not _URL_PATH.fullmatch(value):
            raise ValueError(f"found {found(value)}, expected {expected}")
        return value.removesuffix("/")

    return Kind(expected, check, check, _same)
