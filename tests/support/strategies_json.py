"""Hypothesis strategies for OTLP/JSON: messages spelled in every way that JSON and OTLP allow.

Starts from message objects of the official classes and writes the text with a speller of its
own, because the interesting spellings are those that no library writes: integers as ``"1e3"``,
keys with escapes, members given twice, null members, unknown keys with anything below them, and
values of a wrong type. As in ``strategies``, a tape of choices decides, and 0 is the plainest.
"""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FieldDescriptor
from hypothesis import strategies as st

from otlp2parquet.core.signals import SIGNALS
from tests.support.oracle import REQUESTS
from tests.support.oracle_json import ID_SIZES
from tests.support.strategies import Tape, fill, mutated, tapes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.message import Message

    from otlp2parquet import Signal

F = FieldDescriptor

JUNK = (
    "1", '"x"', "{}", "[]", "null", "true", '"true"', "-1", "1.5", "1e400", '"NaN"', '""', "[null]",
    "[1]", '{"a":[{}]}', "18446744073709551616", "9223372036854775808", "-9223372036854775809",
    "4294967296", "2147483648", '"SPAN_KIND_SERVER"', '"AAAA"', '"AAECAwQFBgcICQoLDA0ODw=="',
    '"0123456789abcdef"', '"abc"', "[{}]", '{"values":null}', "[1,null]", "[[],{}]", "1e3",
)  # fmt: skip
"""Values that fit somewhere and nowhere else."""

SPACES = ("", "", " ", "\n", "\t\r\n ")


class Speller:
    """Writes messages as JSON text. ``odd`` allows what costs records, or is only just legal."""

    def __init__(self, tape: Tape, *, odd: bool) -> None:
        self.tape = tape
        self.odd = odd
        self.style = tape.below(3)
        """0: compact, 1: as json.dumps writes by default, 2: anything."""

    def spaces(self, after: str = "") -> str:
        """White space between tokens."""
        if self.style == 1:
            return " " if after in {",", ":"} else ""
        return self.tape.pick(SPACES) if self.style == 2 else ""

    def joined(self, opening: str, parts: Iterable[str], closing: str) -> str:
        """A list or an object."""
        separator = f"{self.spaces()},{self.spaces(',')}"
        return f"{opening}{self.spaces()}{separator.join(parts)}{self.spaces()}{closing}"

    def text(self, value: str) -> str:
        """A string, with more escapes than it needs here and there."""
        plain = json.dumps(value, ensure_ascii=bool(self.tape.below(2)))
        if self.tape.rarely(10):
            plain = plain.replace("/", "\\/")
        if self.tape.rarely(10) and value and "\\" not in plain and value[0].isascii():
            plain = f'"\\u{ord(value[0]):04X}{plain[2:]}'
        if self.odd and self.tape.rarely(20):
            lone = self.tape.pick(("\\ud83d", "\\uDE00", "\\udfff\\ud800", "\\ud83d\\ud83d\\ude00"))
            plain = f"{plain[:-1]}{lone}{self.tape.pick(('', 'x'))}" + '"'
        return plain

    def integer(self, value: int) -> str:
        """A number or a string, in the usual or an unusual spelling."""
        spelled = str(value)
        way = self.tape.below(8)
        if way == 5:
            spelled += self.tape.pick((".0", ".000", "e0", "E+0", "e-0"))
        elif way == 6:
            spelled += "0" * 3 + "e-3" if value else ".0e9"
        elif way == 7 and spelled.endswith("0") and value:
            bare = spelled.rstrip("0")
            spelled = f"{bare}e{len(spelled) - len(bare)}"
        return f'"{spelled}"' if self.tape.below(2) else spelled

    def double(self, value: float) -> str:
        """A number, a numeric string, or one of the three names."""
        if math.isnan(value):
            return '"NaN"'
        if math.isinf(value):
            return '"Infinity"' if value > 0 else '"-Infinity"'
        spelled = self.tape.pick((repr(value), f"{value:.17e}"))
        return f'"{spelled}"' if self.tape.rarely(4) else spelled

    def bytes(self, field: FieldDescriptor, value: bytes) -> str:
        """Hex for ids, base64 for the rest."""
        if field.name in ID_SIZES:
            if len(value) == ID_SIZES[field.name] and self.tape.rarely(20):
                return json.dumps(base64.b64encode(value).decode())
            spelled = value.hex()
            way = self.tape.below(3)
            return json.dumps((spelled, spelled.upper(), spelled.capitalize())[way])
        encode = self.tape.pick((base64.b64encode, base64.urlsafe_b64encode))
        spelled = encode(value).decode()
        return json.dumps(spelled.rstrip("=") if self.tape.below(2) else spelled)

    def scalar(self, field: FieldDescriptor, value: Any) -> str:
        """A value of a scalar field."""
        if field.type == F.TYPE_STRING:
            return self.text(value)
        if field.type == F.TYPE_BYTES:
            return self.bytes(field, value)
        if field.type == F.TYPE_BOOL:
            return "true" if value else "false"
        if field.type == F.TYPE_DOUBLE:
            return self.double(value)
        if field.type == F.TYPE_ENUM and self.tape.below(2):
            known = field.enum_type.values_by_number
            if value in known:
                return f'"{known[value].name}"'
        return self.integer(value)

    def value(self, field: FieldDescriptor, value: Any) -> str:
        """One value or list item of a field."""
        if self.odd and self.tape.rarely(120):
            return self.tape.pick(JUNK)
        if field.message_type is not None:
            return self.message(value)
        return self.scalar(field, value)

    def key(self, field: FieldDescriptor) -> str:
        """A key: lowerCamelCase, or what is read as well."""
        name = field.name if self.tape.rarely(6) else field.json_name
        if self.tape.rarely(40):
            return f'"\\u{ord(name[0]):04x}{name[1:]}"'
        return f'"{name}"'

    def member(self, field: FieldDescriptor, spelled: str) -> str:
        """A key and its value."""
        return f"{self.key(field)}{self.spaces()}:{self.spaces(':')}{spelled}"

    def message(self, message: Message) -> str:
        """An object."""
        members = []
        for field, value in message.ListFields():
            if field.is_repeated:
                spelled = self.joined("[", [self.value(field, item) for item in value], "]")
            else:
                spelled = self.value(field, value)
            if self.odd:
                while self.tape.rarely(25):
                    earlier = self.tape.pick((*JUNK, spelled))
                    other = self.tape.pick((field, *self.rivals(field)))
                    members.append(self.member(other, earlier))
            members.append(self.member(field, spelled))
        if not self.tape.is_at_end:  # else none is chosen
            members.extend(
                self.member(field, "null")
                for field in message.DESCRIPTOR.fields
                if self.tape.rarely(30)
            )
        if self.tape.rarely(20):
            junk = self.tape.pick(JUNK)
            members.append(f'"{self.tape.pick(("unknown", "", "Key", "time_unixNano"))}":{junk}')
        if self.odd and self.tape.rarely(4):
            members = self.tape.shuffled(members)
        return self.joined("{", members, "}")

    @staticmethod
    def rivals(field: FieldDescriptor) -> list[FieldDescriptor]:
        """The members of the field's oneof."""
        oneof = field.containing_oneof
        return list(oneof.fields) if oneof is not None else []


def request(tape: Tape, signal: str) -> Message:
    """A message object."""
    message: Message = REQUESTS[signal]()
    fill(message, tape)
    return message


def spelled(tape: Tape, message: Message, *, odd: bool) -> bytes:
    """The text of a message, and in odd ones bytes that are not UTF-8."""
    speller = Speller(tape, odd=odd)
    text = f"{speller.spaces()}{speller.message(message)}{speller.spaces()}".encode()
    if odd and tape.rarely(10):
        quote = text.find(b'"', tape.below(len(text)))
        if quote >= 0:
            broken = tape.pick((b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf0\x9f\x98", b"\xa9"))
            text = text[: quote + 1] + broken + text[quote + 1 :]
    return text


def _texts(*, odd: bool, largest: int = 1500) -> st.SearchStrategy[tuple[Signal, bytes]]:
    def make(signal: Signal, content: Tape, spelling: Tape) -> tuple[Signal, bytes]:
        return signal, spelled(spelling, request(content, signal), odd=odd)

    return st.builds(make, st.sampled_from(SIGNALS), tapes(largest), tapes(largest))


plain_texts = _texts(odd=False)
"""(signal, text): valid, in any spelling."""
odd_texts = _texts(odd=True)
"""(signal, text): nearly all JSON, with members twice, wrong types, invalid text."""
small_texts = _texts(odd=True, largest=80)
"""(signal, text): short enough to look at each of their prefixes."""


@st.composite
def message_and_text(draw: st.DrawFn) -> tuple[Signal, bytes, bytes]:
    """(signal, protobuf, text) of one message."""
    signal = draw(st.sampled_from(SIGNALS))
    message = request(draw(tapes(1500)), signal)
    text = spelled(draw(tapes(1500)), message, odd=False)
    return signal, message.SerializeToString(), text


@st.composite
def mutated_texts(draw: st.DrawFn) -> tuple[Signal, bytes]:
    """(signal, text): with a few random edits; some are still JSON."""
    signal, text = draw(st.one_of(plain_texts, odd_texts))
    return signal, mutated(draw(tapes(80)), text)


@st.composite
def lines(draw: st.DrawFn) -> tuple[Signal, bytes]:
    """(signal, JSON lines): several requests, blank lines, and sometimes a broken one."""
    signal = draw(st.sampled_from(SIGNALS))
    parts = []
    for _ in range(draw(st.integers(0, 4))):
        text = spelled(draw(tapes(200)), request(draw(tapes(200)), signal), odd=True)
        text = text.replace(b"\r", b" ").replace(b"\n", b" ")
        parts.append(draw(st.sampled_from([text, text, text, b"", b" \r", b"{", b"[]", b"1"])))
    return signal, b"\n".join(parts)
