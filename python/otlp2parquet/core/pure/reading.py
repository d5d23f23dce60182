"""How the fields of messages are read: the slots of their values, by the table of fields.

Knows ``fields`` and what a value is called for. Must not know bytes: a request in protobuf
(``request``) and one in JSON (``otlp_json.plain_text``) are read by the same slots.
"""

from typing import TYPE_CHECKING, Any, Final

from otlp2parquet.core.pure.fields import DESCRIPTORS

if TYPE_CHECKING:
    from otlp2parquet.core.pure.wire import Span


class Attributes:
    """An attribute list while it is collected: no more of it is kept than a list may have."""

    __slots__ = ("count", "spans")

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.count = 0


Value = tuple[str, Any]
"""An AnyValue after its ``oneof`` is decided: its kind as BodyType names it, and what it is: bytes
of a text, a number, or where the parts of an array or key-value list are."""

EMPTY: Final[Value] = ("empty", None)

# How the fields of a message are read: the slot that a tag fills, and by what.
TEXT, FIXED64, VARINT32, INT32, BOOL, SINT32, DOUBLE, FIXED32 = range(8)
SFIXED64, MESSAGE, ATTRIBUTES, NESTED, PRESENCE, VARINTS, FIXED64S, DOUBLES = range(8, 16)
ENTITY_REFS: Final = 16

_HOW: Final = {
    "Text": TEXT, "Bytes": TEXT, "Id": TEXT, "Fixed64": FIXED64, "Uint32": VARINT32,
    "Enum": INT32, "Bool": BOOL, "Sint32": SINT32, "Double": DOUBLE, "Fixed32": FIXED32,
    "Sfixed64": SFIXED64, "Message": MESSAGE, "Labels": PRESENCE, "Uint64s": VARINTS,
    "Fixed64s": FIXED64S, "Doubles": DOUBLES,
}  # fmt: skip
_REPEATED: Final = {
    "KeyValue": ATTRIBUTES, "EntityRef": ENTITY_REFS, "ValueAtQuantile": PRESENCE,
    "Event": NESTED, "Link": NESTED, "Exemplar": NESTED,
}  # fmt: skip
_MADE: Final[dict[int, type]] = {
    MESSAGE: list, NESTED: list, VARINTS: list, FIXED64S: list, DOUBLES: list,
    ATTRIBUTES: Attributes,
}  # fmt: skip
_NESTED_BYTES: Final = {"Event": 48, "Link": 48, "Exemplar": 16}
"""What a message in a record is charged with beside its text."""


class Reading:
    """How a message is read: the values of its fields, in the order of ``names``.

    ``a|b`` are members of a ``oneof``, of which the last on the wire counts; ``=null`` is what a
    field is that was not given.
    """

    def __init__(self, message: str, names: str) -> None:
        self.message = DESCRIPTORS[message]
        fields = {field.snake: field for field in self.message.fields}
        self.fields: dict[str, tuple[int, int]] = {}
        """By their names in JSON: the slot, and how it is read."""
        self.slots: dict[int, tuple[int, int, int]] = {}
        """By their tags: the same, and what one of a list is charged with."""
        self.defaults: list[Any] = []
        self.made: list[tuple[int, type]] = []
        for slot, word in enumerate(names.split()):
            members, _, default = word.partition("=")
            how = 0
            for name in members.split("|"):
                field = fields[name]
                how = _REPEATED[field.of] if field.kind == "Messages" else _HOW[field.kind]
                self.fields[field.name] = (slot, how)
                self.slots[field.tag] = (slot, how, _NESTED_BYTES.get(field.of, 0))
                if how in (FIXED64S, DOUBLES, VARINTS):
                    # Lists of numbers are packed as a rule, and may be one by one.
                    unpacked = field.tag & ~7 | (how != VARINTS)
                    self.slots[unpacked] = (slot, how, 1)
            if how in _MADE:
                self.made.append((slot, _MADE[how]))
            plain: Any = b"" if how == TEXT else 0.0 if how == DOUBLE else 0
            self.defaults.append(None if default == "null" else plain)
