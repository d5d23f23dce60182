"""JSON text -> protobuf bytes of the same export request, in one pass.

The readers of protobuf are the one door to the tables, so JSON and protobuf of one request give the
same rows by construction. Here is what JSON has and protobuf does not: null, keys given twice,
values of a wrong type. Records that are not what OTLP says are left out here, with their count and
reason; limits of single records are the protobuf readers' business.
"""

import re
from bisect import bisect_left
from struct import pack
from typing import Final

from otlp2parquet.core.pure import limits
from otlp2parquet.core.pure.error import TOO_DEEP
from otlp2parquet.core.pure.fields import DESCRIPTORS, ENUMS, Descriptor, Field
from otlp2parquet.core.pure.otlp_json.fault import (
    Finding,
    JsonMalformedError,
    JsonMisfitError,
    found,
)
from otlp2parquet.core.pure.otlp_json.lists import Lists
from otlp2parquet.core.pure.otlp_json.output import begin, end, push_len
from otlp2parquet.core.pure.otlp_json.reader import (
    COMMA,
    END_OBJECT,
    NULL,
    OBJECT,
    QUOTE,
    Reader,
)
from otlp2parquet.core.pure.otlp_json.scalars import BOUNDS
from otlp2parquet.core.pure.otlp_json.tally import (
    RECORDS,
    UNKNOWN_VALUES,
    Tally,
    mark_out,
    since,
)
from otlp2parquet.core.pure.wire import U64, varint

_UNKNOWN_FIELD: Final = varint(2047 << 3) + b"\0"
"""Stands for an unknown key, so that it is counted where unknown fields are: a field number that
OTLP does not use."""

_MOST_UNKNOWN: Final = 64
"""How many unknown keys of a request are remembered, of which the first may be told."""

_KEY: Final = re.compile(rb'"([^"\\\x00-\x1f]*)"[ \n\r\t]*:[ \n\r\t]*')
_ANY_VALUE: Final = DESCRIPTORS["AnyValue"]


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


class Transcoder(Lists):
    """One pass over a text; ``out`` is the protobuf of its requests."""

    def __init__(self, text: bytes, max_payload_bytes: int) -> None:
        super().__init__(text, max_payload_bytes)
        self.unknown: list[int] = []
        """The first keys of the request at hand that OTLP does not know."""
        self.unknown_instead: int | None = None
        """The first of the first request that had no records."""

    def read_request(self, message: Descriptor) -> None:
        """Read the export request that the reader is at."""
        records = self.tally[RECORDS]
        self.unknown.clear()
        try:
            self.read_message(message, 0)
        except JsonMisfitError as misfit:
            # "Whose top level is wrong": nothing below it can be told from nothing at all.
            raise JsonMalformedError(*misfit.finding) from None
        if self.tally[RECORDS] == records and self.unknown_instead is None and self.unknown:
            self.unknown_instead = self.unknown[0]

    # Messages --------------------------------------------------------------------------------

    def read_message(self, message: Descriptor, depth: int) -> None:
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
                        self.read_message(inner, depth)
                        end(out, start, inner.length_bytes)
                    elif kind == "Messages":
                        self.read_messages(field.tag_bytes, DESCRIPTORS[field.of], depth)
                    else:
                        self._read_field(field, byte)
                except JsonMisfitError as error:
                    misfit = error.finding
                    del out[out_at:]
                    self.pass_over(text_at)
                tally = None
                if tuple(self.tally) != before:
                    tally = since(self.tally, before)
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
        inside = bisect_left(marks, start, key=mark_out)
        behind = bisect_left(marks, stop, key=mark_out)
        marks[inside:] = [mark._replace(out=mark.out - size) for mark in marks[behind:]]
        first, last = slot.text
        self.unknown = [key for key in self.unknown if not first <= key < last]
        if slot.misfit is not None or slot.tally is not None:
            self.explained = [
                finding for finding in self.explained if not first <= finding.at < last
            ]
        if slot.tally is not None:
            self.tally = list(since(self.tally, slot.tally))

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
            value = self.read_integer(0, U64)
            out += field.tag_bytes
            out += value.to_bytes(8, "little")
        elif kind == "Id":
            self.read_id(field.tag_bytes, int(field.of), byte)
        elif kind in ("Records", "Groups"):
            self.read_entries(field.tag_bytes, DESCRIPTORS[field.of], is_record=kind == "Records")
        elif kind == "Double":
            out_value = pack("<d", self.read_double())
            out += field.tag_bytes
            out += out_value
        elif kind == "Enum":
            value = self.read_enum(ENUMS[field.of], byte)
            out += field.tag_bytes
            # "Negative enum values are sign-extended to 64 bits" on the wire.
            out += varint(value & U64)
        else:
            self._read_rare_field(field, byte)

    def _read_rare_field(self, field: Field, byte: int) -> None:
        kind, out, tag = field.kind, self.out, field.tag_bytes
        if kind == "Bool":
            flag = self.read_bool(byte)
            out += tag
            out += varint(flag)
        elif kind == "Bytes":
            self.read_bytes(tag, byte)
        elif kind in ("Texts", "Labels"):
            self.read_texts(tag, are_labels=kind == "Labels")
        elif kind in ("Fixed64s", "Doubles", "Uint64s"):
            self.read_packed(tag, kind)
        else:
            value = self.read_integer(*BOUNDS[kind])
            out += tag
            if kind == "Fixed32":
                out += value.to_bytes(4, "little")
            elif kind == "Sfixed64":
                out += (value & U64).to_bytes(8, "little")
            elif kind == "Sint32":
                out += varint((value << 1 ^ value >> 31) & 0xFFFF_FFFF)
            else:
                out += varint(value & U64)


_NAME: Final = re.compile(rb"[A-Za-z0-9_\-.$]{1,40}")


def name_of(text: bytes, at: int) -> str:
    """A key that OTLP does not know, as far as it can be shown: never more than a short name."""
    try:
        key = Reader(text, at).read_string()
    except JsonMalformedError:
        key = b""
    return key.decode() if _NAME.fullmatch(key) else f"a key of {len(key)} bytes"
