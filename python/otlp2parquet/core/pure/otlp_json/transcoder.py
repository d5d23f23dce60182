"""JSON text -> protobuf bytes of the same export request, in one pass.

The readers of protobuf are the one door to the tables, so JSON and protobuf of one request give the
same rows by construction. Here is what JSON has and protobuf does not: null, keys given twice,
values of a wrong type. Records that are not what OTLP says are left out here, with their count and
reason; limits of single records are the protobuf readers' business.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from struct import pack
from typing import Final, NamedTuple, NoReturn

from otlp2parquet.core.pure import limits
from otlp2parquet.core.pure.error import TOO_DEEP, payload_too_large, too_many_records
from otlp2parquet.core.pure.fields import DESCRIPTORS, ENUMS, Descriptor, Field
from otlp2parquet.core.pure.otlp_json.decimals import exact_integer, nearest_double
from otlp2parquet.core.pure.otlp_json.fault import (
    Finding,
    JsonMalformedError,
    JsonMisfitError,
    found,
)
from otlp2parquet.core.pure.otlp_json.octets import describe_id, from_base64, from_hex
from otlp2parquet.core.pure.otlp_json.output import begin, end, push_len
from otlp2parquet.core.pure.otlp_json.reader import (
    COMMA,
    END_LIST,
    END_OBJECT,
    LIST,
    NULL,
    NUMBERS,
    OBJECT,
    QUOTE,
    Reader,
    number_end,
)
from otlp2parquet.core.pure.request import MOST_EXPLAINED
from otlp2parquet.core.pure.wire import U64, varint
from otlp2parquet.errors import TooLargeError

_UNKNOWN_FIELD: Final = varint(2047 << 3) + b"\0"
"""Stands for an unknown key, so that it is counted where unknown fields are: a field number that
OTLP does not use."""

_MOST_UNKNOWN: Final = 64
"""How many unknown keys of a request are remembered, of which the first may be told."""

_KEY: Final = re.compile(rb'"([^"\\\x00-\x1f]*)"[ \n\r\t]*:[ \n\r\t]*')
_DIGITS: Final = re.compile(rb"(?:0|[1-9][0-9]{0,18})(?![0-9.eE])")
_USUAL: Final = re.compile(
    rb'\{"key":"([^"\\\x00-\x1f]{0,100})","value":\{"(?:'
    rb'stringValue":"([^"\\\x00-\x1f]{0,100})"'
    rb'|intValue":(?:"(0|[1-9][0-9]{0,17})"|(0|[1-9][0-9]{0,17}))'
    rb'|doubleValue":(-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,14})?)'
    rb'|boolValue":(true|false)'
    rb")\}\}"
)
"""A KeyValue as nearly every sender spells it, in this order and without white space."""

_KEY_VALUE: Final = DESCRIPTORS["KeyValue"]
_ANY_VALUE: Final = DESCRIPTORS["AnyValue"]
_LONGEST_USUAL: Final = 0x7F

_BOUNDS: Final = {
    "Fixed64": (0, U64), "Fixed64s": (0, U64), "Uint64s": (0, U64),
    "Int64": (-(1 << 63), (1 << 63) - 1), "Sfixed64": (-(1 << 63), (1 << 63) - 1),
    "Fixed32": (0, (1 << 32) - 1), "Uint32": (0, (1 << 32) - 1),
    "Int32": (-(1 << 31), (1 << 31) - 1), "Sint32": (-(1 << 31), (1 << 31) - 1),
    "Enum": (-(1 << 31), (1 << 31) - 1),
}  # fmt: skip

RECORDS, REJECTED, EMPTY_GROUPS, BASE64_IDS, UNKNOWN_VALUES = range(5)
Tally = tuple[int, ...]
"""Records, those left out included; records left out; resources, scopes and metrics left out that
had no records to count; ids given in base64; values that have members, of which none is known."""


class Mark(NamedTuple):
    """Where a kept resource, scope, metric or record begins, in the bytes and in the text."""

    out: int
    text: int
    level: int
    """How many lists of resources, scopes, metrics and records it stands in."""


class _Slot:
    """What one member of an object left behind: to be taken back when its key comes again."""

    __slots__ = ("index", "misfit", "out", "tally", "text")

    def __init__(
        self,
        index: int,
        out: tuple[int, int],
        text: tuple[int, int],
        misfit: Finding | None,
        tally: Tally | None,
    ) -> None:
        self.index = index
        self.out = out
        self.text = text
        self.misfit = misfit
        self.tally = tally


class Transcoder(Reader):
    """One pass over a text; ``out`` is the protobuf of its requests."""

    def __init__(self, text: bytes, max_payload_bytes: int) -> None:
        super().__init__(text)
        self.out = bytearray()
        self.max_payload_bytes = max_payload_bytes
        self.tally = [0] * 5
        self.marks: list[Mark] = []
        self.explained: list[Finding] = []
        """What was left out, in the order of the text; the first few."""
        self.level = 0
        self.unknown: list[int] = []
        """The first keys of the request at hand that OTLP does not know."""
        self.unknown_instead: int | None = None
        """The first of the first request that had no records."""

    def read_request(self, message: Descriptor) -> None:
        """Read the export request that the reader is at."""
        records = self.tally[RECORDS]
        self.unknown.clear()
        try:
            self._read_message(message, 0)
        except JsonMisfitError as misfit:
            # "Whose top level is wrong": nothing below it can be told from nothing at all.
            raise JsonMalformedError(*misfit.finding) from None
        if self.tally[RECORDS] == records and self.unknown_instead is None and self.unknown:
            self.unknown_instead = self.unknown[0]

    # Messages --------------------------------------------------------------------------------

    def _read_message(self, message: Descriptor, depth: int) -> None:
        """Read the object at hand, inside ``depth`` arrays and lists; write its fields.

        On a misfit the whole object has been read all the same, unless it is none.
        """
        if self.peek() != OBJECT:
            raise self.misfit("an object")
        depth += message.nests
        if depth > limits.DEPTH:
            raise JsonMisfitError(self.at, TOO_DEEP)
        self.at += 1
        if self.take(END_OBJECT):
            return
        slots: list[_Slot] = []
        unknown: int | None = None
        text, out, by_key = self.text, self.out, message.by_key
        while True:
            if self.peek() != QUOTE:
                raise self.unexpected("a key in quotes")
            key_at = self.at
            key = _KEY.match(text, key_at, self.end)
            if key is not None:
                self.at = key.end()
                field = by_key.get(key[1])
            else:
                name = self.read_string()
                self.read_colon()
                field = by_key.get(name)
            byte = self.peek()
            if field is None:
                self.skip_value()
                if byte != NULL:
                    unknown = key_at if unknown is None else unknown
                    if len(self.unknown) < _MOST_UNKNOWN:
                        self.unknown.append(key_at)
                    out += _UNKNOWN_FIELD
            elif byte == NULL:
                # "A null member is as if it were not written (also a oneof member after one that
                # is set)."
                self.read_literal(b"null")
            else:
                displaces = field.displaces
                for at, slot in enumerate(slots):
                    if slot.index in displaces:
                        self._take_back(slots, at)
                        break
                out_at, text_at, before = len(out), self.at, tuple(self.tally)
                misfit = None
                kind = field.kind
                try:
                    # Nested messages from here, so that depth costs few frames of the stack.
                    if kind in ("Message", "Old"):
                        inner = DESCRIPTORS[field.of]
                        start = begin(out, field.tag_bytes, inner.length_bytes)
                        self._read_message(inner, depth)
                        end(out, start, inner.length_bytes)
                    elif kind == "Messages":
                        self._read_messages(field.tag_bytes, DESCRIPTORS[field.of], depth)
                    else:
                        self._read_field(field, byte)
                except JsonMisfitError as error:
                    misfit = error.finding
                    del out[out_at:]
                    self._pass_over(text_at)
                tally = None
                if tuple(self.tally) != before:
                    tally = _since(self.tally, before)
                slots.append(
                    _Slot(field.position, (out_at, len(out)), (text_at, self.at), misfit, tally)
                )
            byte = self.peek()
            if byte == COMMA:
                self.at += 1
            elif byte == END_OBJECT:
                break
            else:
                raise self.unexpected("a comma or a closing brace")
        self.at += 1
        for slot in slots:
            if slot.misfit is not None:
                raise JsonMisfitError(*slot.misfit)
        if unknown is not None and not slots:
            self._note_only_unknown(message, unknown, depth)

    def _note_only_unknown(self, message: Descriptor, unknown: int, depth: int) -> None:
        """An object has members, and none that OTLP has there."""
        if message is _ANY_VALUE:
            self.tally[UNKNOWN_VALUES] += 1
        if depth == 0 and message.name.endswith("Request"):
            expected = message.fields[0].name
            raise JsonMisfitError(unknown, found(name_of(self.text, unknown), expected))

    def _pass_over(self, start: int) -> None:
        """Pass over the value that begins at ``start``, if the reader is still there."""
        if self.at == start:
            self.skip_value()

    def _take_back(self, slots: list[_Slot], at: int) -> None:
        """Of a "duplicate object key the last one counts", and of the members of a ``oneof``.

        Takes out what the earlier member left. What stands behind it moves: a field moves at most
        once in front of any other, for from then on it stands behind it.
        """
        slot = slots.pop(at)
        start, stop = slot.out
        size = stop - start
        del self.out[start:stop]
        for later in slots[at:]:
            later.out = (later.out[0] - size, later.out[1] - size)
        # Marks are in order, and those of what stands before stay.
        marks = self.marks
        inside = bisect_left(marks, start, key=_mark_out)
        behind = bisect_left(marks, stop, key=_mark_out)
        marks[inside:] = [mark._replace(out=mark.out - size) for mark in marks[behind:]]
        first, last = slot.text
        self.unknown = [key for key in self.unknown if not first <= key < last]
        if slot.misfit is not None or slot.tally is not None:
            self.explained = [
                finding for finding in self.explained if not first <= finding.at < last
            ]
        if slot.tally is not None:
            self.tally = list(_since(self.tally, slot.tally))

    # Fields ----------------------------------------------------------------------------------

    def _read_field(self, field: Field, byte: int) -> None:
        """Read the value of a field, whose first byte is at hand, and write both."""
        kind = field.kind
        out = self.out
        if kind == "Text":
            if byte != QUOTE:
                raise self.misfit("text")
            push_len(out, field.tag_bytes, self.read_string())
        elif kind == "Fixed64":
            value = self._read_integer(0, U64)
            out += field.tag_bytes
            out += value.to_bytes(8, "little")
        elif kind == "Id":
            self._read_id(field.tag_bytes, int(field.of), byte)
        elif kind in ("Records", "Groups"):
            self._read_entries(field.tag_bytes, DESCRIPTORS[field.of], is_record=kind == "Records")
        elif kind == "Double":
            out_value = pack("<d", self._read_double())
            out += field.tag_bytes
            out += out_value
        elif kind == "Enum":
            value = self._read_enum(ENUMS[field.of], byte)
            out += field.tag_bytes
            # "Negative enum values are sign-extended to 64 bits" on the wire.
            out += varint(value & U64)
        else:
            self._read_rare_field(field, byte)

    def _read_rare_field(self, field: Field, byte: int) -> None:
        kind, out, tag = field.kind, self.out, field.tag_bytes
        if kind == "Bool":
            flag = self._read_bool(byte)
            out += tag
            out += varint(flag)
        elif kind == "Bytes":
            self._read_bytes(tag, byte)
        elif kind in ("Texts", "Labels"):
            self._read_texts(tag, are_labels=kind == "Labels")
        elif kind in ("Fixed64s", "Doubles", "Uint64s"):
            self._read_packed(tag, kind)
        else:
            value = self._read_integer(*_BOUNDS[kind])
            out += tag
            if kind == "Fixed32":
                out += value.to_bytes(4, "little")
            elif kind == "Sfixed64":
                out += (value & U64).to_bytes(8, "little")
            elif kind == "Sint32":
                out += varint((value << 1 ^ value >> 31) & 0xFFFF_FFFF)
            else:
                out += varint(value & U64)

    # Lists -----------------------------------------------------------------------------------

    def _items(self) -> Iterator[int]:
        """Where the items of the list at hand begin, each of which is read before the next."""
        if self.peek() != LIST:
            raise self.misfit("a list")
        self.at += 1
        if self.take(END_LIST):
            return
        while True:
            self.peek()
            yield self.at
            byte = self.peek()
            if byte == COMMA:
                self.at += 1
            elif byte == END_LIST:
                break
            else:
                raise self.unexpected("a comma or a closing bracket")
        self.at += 1

    def _read_messages(self, tag: bytes, message: Descriptor, depth: int) -> None:
        """Read a list of messages; a misfit comes to light when it has been read to its end."""
        misfit: JsonMisfitError | None = None
        out, is_key_value = self.out, message is _KEY_VALUE
        for item in self._items():
            if misfit is not None:
                # The list does not fit, whatever else is in it; but it must be JSON.
                self.skip_value()
                continue
            if is_key_value and self._push_usual(tag):
                continue
            try:
                start = begin(out, tag, message.length_bytes)
                self._read_message(message, depth)
                end(out, start, message.length_bytes)
            except JsonMisfitError as error:
                misfit = error
                self._pass_over(item)
        if misfit is not None:
            raise misfit

    def _read_items(self, read_item: Callable[[], None]) -> None:
        """As ``_read_messages``, of a list of something else."""
        misfit: JsonMisfitError | None = None
        for item in self._items():
            if misfit is not None:
                self.skip_value()
                continue
            try:
                read_item()
            except JsonMisfitError as error:
                misfit = error
                self._pass_over(item)
        if misfit is not None:
            raise misfit

    def _read_texts(self, tag: bytes, *, are_labels: bool) -> None:
        def read_item() -> None:
            if are_labels:
                # Of which only the number counts.
                self.skip_value()
                push_len(self.out, tag, b"")
                return
            if self.peek() != QUOTE:
                raise self.misfit("text")
            push_len(self.out, tag, self.read_string())

        self._read_items(read_item)

    def _push_usual(self, tag: bytes) -> bool:
        """Read a KeyValue of the usual form, and write it; False if it is another."""
        match = _USUAL.match(self.text, self.at, self.end)
        if match is None:
            return False
        key, text, quoted, number, double, flag = match.groups()
        if text is not None:
            value = b"\x0a" + bytes((len(text),)) + text
        elif double is not None:
            value = b"\x21" + pack("<d", float(double))
        elif flag is not None:
            value = b"\x10\1" if flag == b"true" else b"\x10\0"
        else:
            value = b"\x18" + varint(int(number if quoted is None else quoted))
        size = len(key) + len(value) + 4
        if size > _LONGEST_USUAL:
            return False
        self.out += b"%b%c\x0a%c%b\x12%c%b" % (tag, size, len(key), key, len(value), value)
        self.at = match.end()
        return True

    def _check_room(self) -> None:
        """The limit on a payload's bytes holds for the protobuf too."""
        if len(self.out) > self.max_payload_bytes:
            raise TooLargeError(payload_too_large(len(self.out), self.max_payload_bytes))

    def _read_packed(self, tag: bytes, kind: str) -> None:
        out = self.out
        start = begin(out, tag, 1)

        def read_item() -> None:
            self._check_room()
            if kind == "Doubles":
                out.extend(pack("<d", self._read_double()))
                return
            value = self._read_integer(0, U64)
            out.extend(value.to_bytes(8, "little") if kind == "Fixed64s" else varint(value))

        self._read_items(read_item)
        end(out, start, 1)

    def _read_entries(self, tag: bytes, message: Descriptor, *, is_record: bool) -> None:
        """Read records, of which a bad one is left out and counted; or what holds records.

        "A bad value in a resource, scope or metric rejects every record below it."
        """
        self.level += 1

        def read_item() -> None:
            before = tuple(self.tally)
            if is_record:
                self.tally[RECORDS] += 1
                if self.tally[RECORDS] > limits.RECORDS:
                    raise TooLargeError(too_many_records(limits.RECORDS))
            self._check_room()
            if self.byte() != OBJECT:
                self._leave_out_other(before)
                return
            mark = Mark(len(self.out), self.at, self.level)
            self.marks.append(mark)
            try:
                start = begin(self.out, tag, message.length_bytes)
                self._read_message(message, 0)
                end(self.out, start, message.length_bytes)
            except JsonMisfitError as misfit:
                self._leave_out(misfit.finding, mark, before)
                return
            if self.tally[RECORDS] == before[RECORDS]:
                # Nothing will be said of a place without records, and there may be many.
                self._forget_marks(mark)

        try:
            self._read_items(read_item)
        finally:
            self.level -= 1

    def _leave_out_other(self, before: Tally) -> None:
        """Pass over what stands where an entry belongs and is no object."""
        if len(self.explained) < MOST_EXPLAINED:
            misfit = self.misfit("an object")
            if isinstance(misfit, JsonMalformedError):
                raise misfit
            self.explained.append(misfit.finding)
        self.skip_value()
        self._count_left_out(before)

    def _count_left_out(self, before: Tally) -> None:
        records = self.tally[RECORDS] - before[RECORDS]
        self.tally[REJECTED] += records
        self.tally[EMPTY_GROUPS] += records == 0

    def _forget_marks(self, first: Mark) -> None:
        """Forget a mark and those behind it."""
        marks = self.marks
        del marks[bisect_left(marks, first.text, key=_mark_text) :]

    def _leave_out(self, finding: Finding, mark: Mark, before: Tally) -> None:
        """Take back a record or a group of records that began at ``mark``, and say why."""
        self._pass_over(mark.text)
        del self.out[mark.out :]
        self._forget_marks(mark)
        records = self.tally[RECORDS]
        self.tally = list(before)
        self.tally[RECORDS] = records
        self._count_left_out(before)
        self.explained = [other for other in self.explained if other.at < mark.text]
        if len(self.explained) < MOST_EXPLAINED:
            self.explained.append(finding)

    # Scalars ---------------------------------------------------------------------------------

    def _read_integer(self, least: int, most: int) -> int:
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

    def _read_double(self) -> float:
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

    def _read_bool(self, byte: int) -> bool:
        if byte == b"t"[0]:
            self.read_literal(b"true")
            return True
        if byte == b"f"[0]:
            self.read_literal(b"false")
            return False
        raise self.misfit("true or false")

    def _read_enum(self, names: tuple[str, ...], byte: int) -> int:
        """Read "integers; also integer strings and the known names"."""
        least, most = _BOUNDS["Enum"]
        if byte != QUOTE:
            return self._read_integer(least, most)
        start = self.at
        text = self.read_string()
        for number, name in enumerate(names):
            if name.encode() == text:
                return number
        if number_end(text, 0, len(text)) != len(text):
            self._restart(start, found("an unknown name", "a number or a name of this enum"))
        self.at = start
        return self._read_any_integer(least, most)

    def _read_bytes(self, tag: bytes, byte: int) -> None:
        start = self.at
        if byte != QUOTE:
            raise self.misfit("base64 text")
        raw = from_base64(self.read_string())
        if raw is None:
            self._restart(start, found("text that is not base64", "base64 text"))
        push_len(self.out, tag, raw)

    def _read_id(self, tag: bytes, length: int, byte: int) -> None:
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


_NOT_FINITE: Final = (b"NaN", b"Infinity", b"-Infinity")


def _since(tally: list[int], before: Tally) -> Tally:
    return tuple(now - then for now, then in zip(tally, before, strict=True))


def _mark_out(mark: Mark) -> int:
    return mark.out


def _mark_text(mark: Mark) -> int:
    return mark.text


_NAME: Final = re.compile(rb"[A-Za-z0-9_\-.$]{1,40}")


def name_of(text: bytes, at: int) -> str:
    """A key that OTLP does not know, as far as it can be shown: never more than a short name."""
    try:
        key = Reader(text, at).read_string()
    except JsonMalformedError:
        key = b""
    return key.decode() if _NAME.fullmatch(key) else f"a key of {len(key)} bytes"
