"""A pull reader over JSON text (RFC 8259): tokens in place, nothing built, nothing recursive.

It knows JSON and no message. Text inside of strings is given as it stands, escapes and invalid
UTF-8 included: what becomes of those is the tables' rule, not JSON's. Every string and number that
is passed over is checked all the same: a request is JSON or it is not.
"""

import re
from typing import Final

from otlp2parquet.core.pure.otlp_json.fault import JsonMalformedError, JsonMisfitError, found
from otlp2parquet.core.pure.otlp_json.strings import unescaped

_SPACES: Final = re.compile(rb"[ \n\r\t]*")
_PLAIN: Final = re.compile(rb'[^"\\\x00-\x1f]*')
_PLAIN_STRING: Final = re.compile(rb'"([^"\\\x00-\x1f]*)"')
_ESCAPE: Final = re.compile(rb'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_NUMBER: Final = re.compile(rb"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")

OBJECT, LIST, QUOTE, COMMA, COLON, NULL = b'{[",:n'
END_OBJECT, END_LIST = b"}]"
NUMBERS: Final = frozenset(b"-0123456789")
_SPACE: Final = frozenset(b" \n\r\t")
_BEGINS_VALUE: Final = frozenset(b'{["-0123456789tfn')

_FOUND: Final = {
    **dict.fromkeys(NUMBERS, "a number"),
    **dict.fromkeys(b"tf", "a boolean"),
    **dict.fromkeys(b"}]", "a closing bracket"),
    OBJECT: "an object",
    LIST: "a list",
    QUOTE: "text",
    NULL: "null",
    COMMA: "a comma",
    COLON: "a colon",
}
_LITERALS: Final = {b"t"[0]: b"true", b"f"[0]: b"false", NULL: b"null"}


class Reader:
    """A position in the text: ``at`` never passes ``end``, behind which nothing is seen."""

    def __init__(self, text: bytes, at: int = 0) -> None:
        self.text = text
        self.at = at
        self.end = len(text)

    def byte(self) -> int:
        """The byte at hand; 0, with which no token begins, at the end."""
        return self.text[self.at] if self.at < self.end else 0

    def peek(self) -> int:
        """Pass over white space, and give the byte at hand then."""
        if self.at < self.end:
            byte = self.text[self.at]
            if byte not in _SPACE:
                return byte
            match = _SPACES.match(self.text, self.at, self.end)
            self.at = match.end() if match else self.at
        return self.byte()

    def take(self, byte: int) -> bool:
        """Pass over white space and this byte, if it is the next one."""
        is_next = self.peek() == byte
        self.at += is_next
        return is_next

    def found(self) -> str:
        """What stands here, by its kind."""
        if self.at >= self.end:
            return "the end of the text"
        return _FOUND.get(self.byte(), "a character that begins no JSON value")

    def unexpected(self, expected: str) -> JsonMalformedError:
        """The error of text that is not JSON."""
        return JsonMalformedError(self.at, found(self.found(), expected))

    def misfit(self, expected: str) -> JsonMisfitError | JsonMalformedError:
        """The error of a value that is another than OTLP has here."""
        # What begins no value is not JSON, whatever was expected here.
        if self.byte() in _BEGINS_VALUE:
            return JsonMisfitError(self.at, found(self.found(), expected))
        return self.unexpected("a value")

    def read_colon(self) -> None:
        """Read the colon between a key and its value."""
        if not self.take(COLON):
            raise self.unexpected("a colon after the key")

    def read_raw_string(self) -> tuple[bytes, bool]:
        """Read a string, whose opening quote is at hand; gives whether it has escapes."""
        match = _PLAIN_STRING.match(self.text, self.at, self.end)
        if match:
            self.at = match.end()
            return match[1], False
        text, start, at = self.text, self.at + 1, self.at + 1
        while True:
            plain = _PLAIN.match(text, at, self.end)
            at = plain.end() if plain else at
            if at >= self.end:
                raise JsonMalformedError(at, found("the end of the text", "a closing quote"))
            if text[at] == QUOTE:
                self.at = at + 1
                return text[start:at], True
            if text[at] != 0x5C:
                raise JsonMalformedError(at, found("a control character inside text", "it escaped"))
            escape = _ESCAPE.match(text, at, self.end)
            if not escape:
                raise JsonMalformedError(
                    at, found("a backslash that begins no escape", "one of JSON's escapes")
                )
            at = escape.end()

    def read_string(self) -> bytes:
        """Read a string, whose opening quote is at hand: the text as it was meant."""
        raw, is_escaped = self.read_raw_string()
        return unescaped(raw) if is_escaped else raw

    def read_number(self) -> bytes:
        """Read a number: its text, which follows the grammar of RFC 8259, section 6."""
        end = number_end(self.text, self.at, self.end)
        if end is None:
            raise JsonMalformedError(self.at, found("an incomplete number", "digits"))
        start, self.at = self.at, end
        return self.text[start:end]

    def read_literal(self, literal: bytes) -> None:
        """Read ``true``, ``false`` or ``null``, whichever it is said to be."""
        if not self.text.startswith(literal, self.at, self.end):
            raise JsonMalformedError(self.at, found("an unknown word", "a value"))
        self.at += len(literal)

    def skip_value(self) -> None:
        """Pass over a value of any size and depth."""
        # What is open: 1 for an object, 0 for a list.
        brackets = bytearray()
        while True:
            byte = self.peek()
            if byte == OBJECT:
                self.at += 1
                if not self.take(END_OBJECT):
                    brackets.append(1)
                    self._skip_key()
                    continue
            elif byte == LIST:
                self.at += 1
                if not self.take(END_LIST):
                    brackets.append(0)
                    continue
            elif byte == QUOTE:
                self.read_raw_string()
            elif byte in NUMBERS:
                self.read_number()
            elif byte in _LITERALS:
                self.read_literal(_LITERALS[byte])
            else:
                raise self.unexpected("a value")
            # A value ended: so do the brackets that close behind it.
            while True:
                if not brackets:
                    return
                is_object = brackets[-1]
                byte = self.peek()
                if byte == COMMA:
                    self.at += 1
                    if is_object:
                        self._skip_key()
                    break
                if byte != (END_OBJECT if is_object else END_LIST):
                    closing = "brace" if is_object else "bracket"
                    raise self.unexpected(f"a comma or a closing {closing}")
                self.at += 1
                brackets.pop()

    def _skip_key(self) -> None:
        if self.peek() != QUOTE:
            raise self.unexpected("a key in quotes")
        self.read_raw_string()
        self.read_colon()


def number_end(text: bytes, at: int, end: int) -> int | None:
    """Where the JSON number ends that begins at ``at``; None if it is incomplete, or none."""
    match = _NUMBER.match(text, at, end)
    if not match:
        return None
    if match[2] is None and match.end() < end:
        following = text[match.end()]
        # Neither a point nor an exponent without digits.
        if following in b"eE" or (match[1] is None and following == 0x2E):
            return None
    return match.end()
