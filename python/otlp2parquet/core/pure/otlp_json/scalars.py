"""Single values: numbers, names of enums, bytes and ids, in every spelling that JSON allows.

Knows one value and what is written of it. Must not know where it stands.
"""

import re
from typing import Final, NoReturn

from otlp2parquet.core.pure.otlp_json.decimals import exact_integer, nearest_double
from otlp2parquet.core.pure.otlp_json.fault import JsonMisfitError, found
from otlp2parquet.core.pure.otlp_json.octets import describe_id, from_base64, from_hex
from otlp2parquet.core.pure.otlp_json.output import push_len
from otlp2parquet.core.pure.otlp_json.reader import NUMBERS, QUOTE, Reader, number_end
from otlp2parquet.core.pure.otlp_json.tally import BASE64_IDS
from otlp2parquet.core.pure.wire import U64

_DIGITS: Final = re.compile(rb"(?:0|[1-9][0-9]{0,18})(?![0-9.eE])")
_NOT_FINITE: Final = (b"NaN", b"Infinity", b"-Infinity")

BOUNDS: Final = {
    "Fixed64": (0, U64), "Fixed64s": (0, U64), "Uint64s": (0, U64),
    "Int64": (-(1 << 63), (1 << 63) - 1), "Sfixed64": (-(1 << 63), (1 << 63) - 1),
    "Fixed32": (0, (1 << 32) - 1), "Uint32": (0, (1 << 32) - 1),
    "Int32": (-(1 << 31), (1 << 31) - 1), "Sint32": (-(1 << 31), (1 << 31) - 1),
    "Enum": (-(1 << 31), (1 << 31) - 1),
}  # fmt: skip
"""The least and the greatest integer of each kind of field."""


class Scalars(Reader):
    """Reads single values; ``out`` is the protobuf that is written."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.out = bytearray()
        self.tally = [0] * 5

    def pass_over(self, start: int) -> None:
        """Pass over the value that begins at ``start``, if the reader is still there."""
        if self.at == start:
            self.skip_value()

    def read_integer(self, least: int, most: int) -> int:
        """Read an integer from ``least`` to ``most``: a number, or a number in quotes."""
        at, text = self.at, self.text
        is_quoted = at < self.end and text[at] == QUOTE
        match = _DIGITS.match(text, at + is_quoted, self.end)
        if match is not None:
            value = int(match[0])
            after = match.end()
            if value <= most and (not is_quoted or (after < self.end and text[after] == QUOTE)):
                self.at = after + is_quoted
                return value
        return self._read_any_integer(least, most)

    def _read_any_integer(self, least: int, most: int) -> int:
        self.peek()
        start = self.at
        is_text = self.byte() == QUOTE
        text = self._read_number_or_text("an integer")
        if text is None:
            self._restart(start, found("text that is no number", "an integer"))
        value = exact_integer(text)
        if value is None or not least <= value <= most:
            what = "a number in text" if is_text else "a number"
            self._restart(start, found(what, f"an integer from {least} to {most}"))
        return value

    def _read_number_or_text(self, expected: str) -> bytes | None:
        """The text of a number, as such or in quotes; None if those hold another text."""
        byte = self.peek()
        if byte == QUOTE:
            text = self.read_string()
            return text if number_end(text, 0, len(text)) == len(text) else None
        if byte in NUMBERS:
            return self.read_number()
        raise self.misfit(expected)

    def _restart(self, start: int, message: str) -> NoReturn:
        """Raise a misfit of the value that began at ``start``, where the reader goes back to."""
        self.at = start
        raise JsonMisfitError(start, message)

    def read_double(self) -> float:
        """Read a number, in quotes or not, or one of the names of what is not finite."""
        start = self.at
        if self.peek() == QUOTE:
            text = self.read_string()
            if text in _NOT_FINITE:
                return float(text)
            self.at = start
        number = self._read_number_or_text("a number")
        if number is None:
            self._restart(start, found("text that is no number", "a number"))
        value = nearest_double(number)
        if value is None:
            self._restart(start, found("a number beyond a double's range", "one within it"))
        return value

    def read_bool(self, byte: int) -> bool:
        """Read ``true`` or ``false``."""
        if byte == b"t"[0]:
            self.read_literal(b"true")
            return True
        if byte == b"f"[0]:
            self.read_literal(b"false")
            return False
        raise self.misfit("true or false")

    def read_enum(self, names: tuple[str, ...], byte: int) -> int:
        """Read "integers; also integer strings and the known names"."""
        least, most = BOUNDS["Enum"]
        if byte != QUOTE:
            return self.read_integer(least, most)
        start = self.at
        text = self.read_string()
        for number, name in enumerate(names):
            if name.encode() == text:
                return number
        if number_end(text, 0, len(text)) != len(text):
            self._restart(start, found("an unknown name", "a number or a name of this enum"))
        self.at = start
        return self._read_any_integer(least, most)

    def read_bytes(self, tag: bytes, byte: int) -> None:
        """Read base64 text."""
        start = self.at
        if byte != QUOTE:
            raise self.misfit("base64 text")
        raw = from_base64(self.read_string())
        if raw is None:
            self._restart(start, found("text that is not base64", "base64 text"))
        push_len(self.out, tag, raw)

    def read_id(self, tag: bytes, length: int, byte: int) -> None:
        """Read "hex, any case; empty is absent; base64 only where it is unmistakable"."""
        start = self.at
        if byte != QUOTE:
            raise self.misfit("hex text")
        text = self.read_string()
        raw = from_hex(text)
        if raw is None and text.endswith(b"="):
            raw = from_base64(text)
            if raw is not None and len(raw) == length:
                self.tally[BASE64_IDS] += 1
            else:
                raw = None
        if raw is None:
            message = found(describe_id(text), f"an id of {2 * length} hex digits")
            self._restart(start, message)
        push_len(self.out, tag, raw)
