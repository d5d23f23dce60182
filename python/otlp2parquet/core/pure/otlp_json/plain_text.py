"""Requests as nearly every sender writes them: read by the ``json`` module, whose scanner is C.

The readers of records are those of protobuf, over objects instead of bytes: a place is a number and
``Objects`` here, or 0 and a list. Whatever is unusual (text that is not UTF-8 or not JSON, a lone
surrogate, an unknown key, one given twice, a value of another type or beyond its range, depth,
size, anything that is rejected) ends the attempt and is left to the transcoder, with all that is to
be said of it: a request that is read here says nothing.
"""

import json
from collections.abc import Callable, Iterator
from itertools import accumulate, chain, count, islice, repeat
from math import isfinite
from typing import Any, Final

from otlp2parquet.core.pure.error import Reject
from otlp2parquet.core.pure.fields import DESCRIPTORS, ENUMS, REQUESTS, Descriptor, Field
from otlp2parquet.core.pure.otlp_json.octets import from_base64
from otlp2parquet.core.pure.otlp_json.scalars import BOUNDS
from otlp2parquet.core.pure.owner import read_resource, read_scope
from otlp2parquet.core.pure.reading import (
    ATTRIBUTES,
    DOUBLES,
    EMPTY,
    FIXED64S,
    NESTED,
    VARINTS,
    Attributes,
    Reading,
    Value,
)
from otlp2parquet.core.pure.request import LONG, Notes, Request
from otlp2parquet.core.pure.text import quoted, scalar, utf8_bytes
from otlp2parquet.core.pure.wire import Span
from otlp2parquet.errors import TooLargeError

MOST_BYTES: Final = 1 << 20
"""Of a text: it cannot hold more records than a request may."""
OBJECT_BYTES: Final = 48
"""What a byte of a text takes as objects, at most."""
PROTOBUF_BYTES: Final = 4
"""What a byte of a text takes in protobuf, at most: a double of one digit and its comma."""
MOST_ROUNDS: Final = 48
"""So many pairs of a bracket and a brace in one another, at most."""
_NO_STRUCTURE: Final = bytes(set(range(256)) - set(b'"[]{},:'))

MOST_AT_ONCE: Final = 256
"""Records that are read at once."""

One = Callable[[Any], Any]
"""Gives the value of a field as protobuf would."""
Many = Callable[[list[Any]], list[Any]]
"""Gives the values of a field of many objects, all of which have it."""


class UnusualError(Exception):
    """Something is to be looked at by the transcoder."""


UNUSUAL: Final = (
    UnusualError, TooLargeError, LookupError, TypeError, ValueError, AttributeError, OverflowError,
    RecursionError,
)  # fmt: skip
"""What ends an attempt: objects of other types fail in many ways."""


def _refuse(_constant: str) -> None:
    """``NaN`` and ``Infinity`` are no JSON, but in quotes."""
    raise UnusualError


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse)


def parse(text: bytes) -> tuple[Any, int] | None:
    """The object that a text is, and how many members it and all in it have; None if unusual."""
    members = _count_members(text) if len(text) <= MOST_BYTES else -1
    if members < 0:
        return None
    try:
        return _DECODER.decode(text.decode()), members
    except UNUSUAL:
        return None


def _count_members(text: bytes) -> int:
    """How many colons are outside of strings; -1 if too many brackets are in one another.

    The scanner recurses, and must not be tried: a stack of WebAssembly that overflows ends the
    interpreter. Each round takes out the innermost pairs. Linear in any text, JSON or not: without
    escapes, strings are what is between every other quote and the next one.
    """
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Two quotes side by side are a string without structure, as nearly all are: the comma between
    # two strings stays.
    structure = text.translate(None, _NO_STRUCTURE).replace(b'""', b"")
    structure = b"".join(structure.split(b'"')[::2])
    members = structure.count(b":")
    brackets = structure.translate(None, b",:")
    for _ in range(MOST_ROUNDS):
        shorter = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if not shorter:
            return members
        if len(shorter) == len(brackets):
            break
        brackets = shorter
    return -1


# Values --------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    if type(value) is not str:
        raise UnusualError
    return value


def _raw(value: Any) -> bytes:
    return _text(value).encode()  # a lone surrogate is a ValueError


def _integer_of(kind: str) -> One:
    least, most = BOUNDS[kind]

    def integer(value: Any) -> int:
        if type(value) is str:
            text, value = value, int(value)
            if str(value) != text:
                raise UnusualError  # as Python spells numbers, or people
        if type(value) is not int or not least <= value <= most:
            raise UnusualError
        return value

    return integer


def _enum_of(names: tuple[str, ...]) -> One:
    numbers = {name: number for number, name in enumerate(names)}
    integer = _integer_of("Enum")

    def enum(value: Any) -> Any:
        known = numbers.get(value) if type(value) is str else None
        return integer(value) if known is None else known

    return enum


_NOT_FINITE: Final = frozenset(("NaN", "Infinity", "-Infinity"))


def _double(value: Any) -> float:
    kind = type(value)
    if kind is str and value in _NOT_FINITE:
        return float(value)
    # A zero without a point may have been -0; a number beyond a double's range is not finite.
    if kind is not float and (kind is not int or not value):
        raise UnusualError
    number = float(value)
    if not isfinite(number):
        raise UnusualError
    return number


def _bool(value: Any) -> bool:
    if type(value) is not bool:
        raise UnusualError
    return value


def _base64(value: Any) -> bytes:
    raw = from_base64(_raw(value))
    if raw is None:
        raise UnusualError
    return raw


def _list(value: Any) -> list[Any]:
    if type(value) is not list:
        raise UnusualError
    return value


def _refuse_any(_value: Any) -> Any:
    raise UnusualError


_ONE: Final[dict[str, One]] = {
    "Text": _text, "Bytes": _base64, "Bool": _bool, "Double": _double,
    **{kind: _integer_of(kind) for kind in BOUNDS},
}  # fmt: skip

_KINDS: Final[dict[str, tuple[str, One]]] = {
    "stringValue": ("string", _raw),
    "boolValue": ("bool", _bool),
    "intValue": ("int", _ONE["Int64"]),
    "doubleValue": ("double", _double),
    "arrayValue": ("array", lambda value: _spans([value])),
    "kvlistValue": ("kvlist", lambda value: _spans([value])),
    "bytesValue": ("bytes", _base64),
}
"""By the member of an AnyValue: its kind, and its content."""


# Many values at once, most of it in C: what is not plain to see is asked one by one.


def _is_all(values: list[Any], kind: type) -> bool:
    return set(map(type, values)) == {kind}


def _ids(values: list[Any]) -> list[bytes]:
    raw = list(map(bytes.fromhex, values))
    if 2 * sum(map(len, raw)) != sum(map(len, values)):
        raise UnusualError  # there is white space between the digits
    return raw


def _messages(values: list[Any]) -> list[list[Span]]:
    return [[span] for span in _spans(values)]


def _lists_of_messages(values: list[Any]) -> list[list[Span]]:
    spans = iter(_spans(list(chain.from_iterable(map(_list, values)))))
    return [list(islice(spans, len(value))) for value in values]


_MANY: Final[dict[str, Many]] = {
    "Id": _ids, "Message": _messages, "Messages": _lists_of_messages,
}  # fmt: skip


def _many_of(field: Field) -> Many:
    """How the values of one field are made of many objects."""
    kind = field.kind
    if kind in _MANY and field.of != "EntityRef":
        return _MANY[kind]
    if kind == "Enum":
        one = _enum_of(ENUMS[field.of])
    elif kind in ("Fixed64s", "Uint64s", "Doubles"):
        item = _ONE[kind.removesuffix("s")] if kind == "Doubles" else _ONE[kind]
        return lambda values: [list(map(item, _list(value))) for value in values]
    else:
        one = _ONE.get(kind, _refuse_any)
    if kind == "Text":
        return lambda values: values if _is_all(values, str) else list(map(one, values))
    if kind == "Double":
        return lambda values: (
            values
            if _is_all(values, float) and all(map(isfinite, values))
            else list(map(one, values))
        )
    if kind not in BOUNDS:
        return lambda values: list(map(one, values))
    least, most = BOUNDS[kind]

    def integers(values: list[Any]) -> list[int]:
        numbers = values
        if kind != "Enum" and _is_all(values, str):
            numbers = list(map(int, values))
            if list(map(str, numbers)) != values:
                raise UnusualError
        elif not _is_all(values, int):
            return list(map(one, values))
        if min(numbers) < least or max(numbers) > most:
            raise UnusualError
        return numbers

    return integers


# Objects -------------------------------------------------------------------------------------


class Objects:
    """Objects of one list, of which the values are read when they are asked for first."""

    __slots__ = ("items", "values")

    def __init__(self, items: list[Any]) -> None:
        self.items = items
        self.values: list[Any] | None = None


def _spans(items: list[Any]) -> list[Span]:
    return list(zip(count(), repeat(Objects(items), len(items)), strict=False))  # type: ignore[arg-type]


class PlainAttributes(Attributes):
    """The attributes of an object."""

    __slots__ = ("items", "texts")

    def __init__(self, items: list[Any], texts: list[str | None]) -> None:
        self.items = items
        self.count = len(items)
        self.texts = texts
        """Those of the usual form as they are rendered; None for others."""

    @property
    def spans(self) -> Any:  # type: ignore[override]
        """Where they are."""
        return _spans(self.items)


_MOST_REMEMBERED: Final = 4000
_LONGEST_REMEMBERED: Final = 160
_remembered: Final[dict[tuple[str, str, str], str]] = {}
"""Rendered pairs of short texts. A text equals nothing but that text; numbers of different types
are equal, so that there are none in it."""


def _attributes(lists: list[Any]) -> list[PlainAttributes]:
    """Attributes of many objects, rendered where they are of the usual form."""
    pairs = list(chain.from_iterable(map(_list, lists)))
    texts: list[Any]
    try:
        values = [pair["value"] for pair in pairs]
        keys = [pair["key"] for pair in pairs]
        contents = list(chain.from_iterable(map(dict.values, values)))
        if set(map(len, pairs)) != {2} or set(map(len, values)) != {1}:
            raise UnusualError
        usual = list(zip(keys, chain.from_iterable(values), contents, strict=True))
        texts = list(map(_remembered.get, usual))
    except UNUSUAL:
        usual = list(map(_parts, pairs))
        texts = [None] * len(pairs)
    for at, text in enumerate(texts):
        if text is None:
            texts[at] = _usual_pair(*usual[at])
    ends = list(accumulate(map(len, lists), initial=0))
    return [
        PlainAttributes(items, texts[at:end])
        for items, at, end in zip(lists, ends, ends[1:], strict=False)
    ]


def _parts(pair: Any) -> tuple[Any, Any, Any]:
    """Key, kind and content of a KeyValue of the usual form."""
    try:
        ((kind, content),) = pair["value"].items()
        key = pair["key"]
    except UNUSUAL:
        return None, None, None
    return (key, kind, content) if len(pair) == 2 else (None, None, None)


def _usual_pair(key: Any, kind: Any, content: Any) -> str | None:
    """``"key":value`` of a scalar, None for another; that of short texts is remembered."""
    try:
        if kind == "stringValue":
            value = quoted(content)
        else:
            name, one = _KINDS[kind]
            value = scalar(name, one(content))
        text = f"{quoted(key)}:{value}"
    except UNUSUAL:
        return None
    if type(content) is str and len(text) <= _LONGEST_REMEMBERED:
        if len(_remembered) >= _MOST_REMEMBERED:
            _remembered.clear()
        _remembered[key, kind, content] = text
    return text


class Columns:
    """How objects are read in the slots of a ``Reading``: a column for each."""

    def __init__(self, reading: Reading) -> None:
        fields = {field.name: field for field in reading.message.fields}
        self.slots: list[tuple[Any, list[tuple[str, Many]]]] = [
            ("" if plain == b"" else plain, []) for plain in reading.defaults
        ]
        """What is not given, and how what is given by one of these names is made."""
        self.counted: list[tuple[int, bool, int]] = []
        """Slots of lists that are charged: whether of messages, and with what each."""
        for slot, made in reading.made:
            empty = PlainAttributes([], []) if made is Attributes else made()
            self.slots[slot] = (empty, [])
        for name, (slot, how) in reading.fields.items():
            field = fields[name]
            many = _attributes if how == ATTRIBUTES else _many_of(field)
            members = self.slots[slot][1]
            if field.kind == "Id":
                self.slots[slot] = (b"", members)
            members.append((name, many))
            each = 8 if how in (FIXED64S, DOUBLES, VARINTS) else reading.slots[field.tag][2]
            if each:
                self.counted.append((slot, how == NESTED, each))

    def read(self, items: list[Any]) -> tuple[list[list[Any]], int]:
        """A list of values for each slot, and how many members they were made of."""
        size = len(items)
        columns = []
        given = 0
        for default, members in self.slots:
            column: list[Any] | None = None
            for name, many in members:
                values = [item.get(name) for item in items]
                missing = values.count(None)
                if missing == size:
                    continue
                given += size - missing
                if missing:
                    made = iter(many([value for value in values if value is not None]))
                    values = [default if value is None else next(made) for value in values]
                else:
                    values = many(values)
                if column is not None:
                    # Members of a ``oneof``.
                    values = [_either(*both, default) for both in zip(column, values, strict=True)]
                column = values
            columns.append([default] * size if column is None else column)
        return columns, given


def _either(one: Any, other: Any, default: Any) -> Any:
    if one is not default and other is not default:
        raise UnusualError
    return other if one is default else one


_columns: Final[dict[Reading, Columns]] = {}


class PlainRequest(Request):
    """One request while its objects are read."""

    is_plain = True

    def __init__(self, tree: Any, signal: str, *arguments: int, **options: Any) -> None:
        super().__init__(b"", *arguments, **options)
        self.tree = tree
        self.signal = signal
        self.members = 0
        """How many members the objects had that were read, each once: fewer than the text has, if
        a key was given twice."""

    # What ends the attempt -------------------------------------------------------------------

    def count_reject(self, reject: Reject) -> None:
        """Not here."""
        raise UnusualError(reject)

    def notes(self) -> Notes:
        """What was read so far: here nothing else is noted that may be taken back."""
        return self.members, 0, 0, 0, self.without_records

    def take_back(self, notes: Notes) -> None:
        """Forget a second reading of the same objects."""
        self.members, self.without_records = notes[0], notes[-1]

    # Texts -----------------------------------------------------------------------------------

    def text(self, raw: Any) -> str:
        """Text, of which the UTF-8 is counted."""
        text: str = raw if type(raw) is str else raw.decode()
        size = utf8_bytes(text)
        if size > LONG:
            return super().text(text.encode())
        self.charge(2 * size)
        return text

    def required_label(self, raw: Any) -> str:
        """Text of few different values."""
        self.charge(len(raw) if raw.isascii() else len(raw.encode()))
        label: str = raw
        return label

    # Objects ---------------------------------------------------------------------------------

    def _named(self, found: Any, message: Descriptor) -> dict[str, Any]:
        """The members of an object by the first of their names, without those that are null."""
        if type(found) is not dict:
            raise UnusualError
        self.members += len(found)
        named: dict[str, Any] = {}
        taken: set[int] = set()
        for key, value in found.items():
            if value is None:
                continue  # "A null member is as if it were not written"
            field = message.by_key[key.encode()]
            if not taken.isdisjoint(field.displaces):
                raise UnusualError
            taken.add(field.position)
            named[field.name] = value
        return named

    def read(self, reading: Reading, parts: list[Any]) -> list[Any]:
        """The values of an object's members; of none, where there is none."""
        at, objects = parts[0] if parts else (0, Objects([{}]))
        if objects.values is None:
            objects.values = self._read_objects(reading, objects.items)
        values: list[Any] = objects.values[at]
        return values

    def _read_objects(self, reading: Reading, items: list[Any]) -> list[Any]:
        columns = _columns.get(reading)
        if columns is None:
            columns = _columns[reading] = Columns(reading)
        if not _is_all(items, dict):
            raise UnusualError
        members = sum(map(len, items))
        values, given = columns.read(items)
        if given == members:
            self.members += members
        else:
            # By other names, or null; or indeed unusual.
            for item in items:
                named = self._named(item, reading.message)
                item.clear()
                item.update(named)
            values, given = columns.read(items)
            if given != sum(map(len, items)):
                raise UnusualError
        for slot, is_nested, each in columns.counted:
            size = sum(map(len, values[slot]))
            if not is_nested:
                self.charge(each * size)
            else:
                for _ in range(size):
                    self.count_nested(each)
        return list(zip(*values, strict=True))

    def read_any_value(self, parts: list[Any]) -> Value:
        """The one member of an AnyValue."""
        if not parts:
            return EMPTY
        at, objects = parts[0]
        found = objects.items[at]
        if type(found) is dict and len(found) == 1:
            ((key, content),) = found.items()
            if key == "stringValue" and type(content) is str:
                self.members += 1
                return "string", content.encode()
        named = self._named(found, DESCRIPTORS["AnyValue"])
        if not named:
            return EMPTY
        ((key, content),) = named.items()
        kind, one = _KINDS[key]
        return kind, one(content)

    def read_key_value(self, at: int, stop: Any) -> tuple[bytes, list[Span]]:
        """The key, and the value."""
        named = self._named(stop.items[at], DESCRIPTORS["KeyValue"])
        if "keyStrindex" in named:
            raise UnusualError
        value = _spans([named["value"]]) if "value" in named else []
        return _raw(named.get("key", "")), value

    def each_of(self, parts: list[Any], wanted: int) -> Iterator[Span]:
        """The values of an array or key-value list."""
        del wanted
        at, objects = parts[0]
        named = self._named(objects.items[at], DESCRIPTORS["ArrayValue"])
        return iter(_spans(_list(named.get("values", []))))

    def entries(self, at: int, stop: Any, wanted: int) -> Iterator[Span]:
        """The entries of a list; or of the quantiles of a point."""
        del wanted
        items = stop if type(stop) is list else stop.items[at].get("quantileValues", [])
        for start in range(0, len(items), MOST_AT_ONCE):
            yield from _spans(items[start : start + MOST_AT_ONCE])

    def usual_pairs(self, attributes: Any) -> list[Any]:
        """The texts of KeyValues that are of the usual form; None for others."""
        texts: list[Any] = attributes.texts
        # Key, value, and its one member.
        self.members += 3 * (len(texts) - texts.count(None))
        return texts

    # The way down ----------------------------------------------------------------------------

    def walk(self, read: Callable[..., None]) -> None:
        """Walk down to the objects of scopes: as ``walk.walk``."""
        top = REQUESTS[self.signal].fields[0]
        resources = DESCRIPTORS[top.of]
        scopes = DESCRIPTORS[resources.fields[1].of]
        for group in _list(self._named(self.tree, REQUESTS[self.signal]).get(top.name, [])):
            parts, url, entries = self._beside(group, resources)
            resource = read_resource(self, parts, url)
            for entry in entries:
                parts, url, records = self._beside(entry, scopes)
                scope = read_scope(self, parts, url)
                read(self, resource, scope, 0, records)

    def _beside(self, found: Any, message: Descriptor) -> tuple[list[Span], Any, list[Any]]:
        """The resource or scope, its schema's URL, and the entries of the lists beside them."""
        named = self._named(found, message)
        parts: list[Span] = []
        url, entries = "", list[Any]()
        for field in message.fields:
            value = named.get(field.name)
            if value is None:
                continue
            if field.kind == "Message":
                parts = _spans([value])
            elif field.kind == "Text":
                url = _text(value)
            else:
                entries += _list(value)
        self.without_records += not entries
        return parts, url, entries

    def read_metric(
        self, at: int, stop: Any, metric: Any
    ) -> tuple[list[Any], Attributes, int, list[Span]]:
        """What stands beside a metric's points: texts, metadata, and where the points are."""
        message = DESCRIPTORS["Metric"]
        named = self._named(stop.items[at], message)
        texts: list[Any] = [_text(named.pop(name, "")) for name in ("name", "description", "unit")]
        (metadata,) = _attributes([named.pop("metadata", [])])
        if not named:
            return texts, metadata, 0, []
        ((name, data),) = named.items()
        field = message.by_key[name.encode()]
        if field.kind != "Message":
            raise UnusualError
        named = self._named(data, DESCRIPTORS[field.of])
        metric.temporality = _TEMPORALITY(named.get("aggregationTemporality", 0))
        metric.is_monotonic = _bool(named.get("isMonotonic", False))
        points: Any = _list(named.get("dataPoints", []))
        return texts, metadata, field.tag, [(0, points)]


_TEMPORALITY: Final = _enum_of(ENUMS["TEMPORALITIES"])
