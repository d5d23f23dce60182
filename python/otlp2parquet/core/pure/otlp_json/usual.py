"""The short cut for a KeyValue as nearly every sender spells it.

Most of the text of a request is ``{"key":"…","value":{"stringValue":"…"}}``, in this order and
without white space. Anything else takes the general way, and leaves no trace here.
"""

import re
from struct import pack
from typing import Final

from otlp2parquet.core.pure.wire import varint

_USUAL: Final = re.compile(
    rb'\{"key":"([^"\\\x00-\x1f]{0,100})","value":\{"(?:'
    rb'stringValue":"([^"\\\x00-\x1f]{0,100})"'
    rb'|intValue":(?:"(0|[1-9][0-9]{0,17})"|(0|[1-9][0-9]{0,17}))'
    rb'|doubleValue":(-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,14})?)'
    rb'|boolValue":(true|false)'
    rb")\}\}"
)
"""A KeyValue as nearly every sender spells it, in this order and without white space."""

_LONGEST: Final = 0x7F


def push_usual_key_value(out: bytearray, tag: bytes, text: bytes, at: int, end: int) -> int:
    """Write the KeyValue of the usual form that is at ``at``; where it ends, 0 for another."""
    match = _USUAL.match(text, at, end)
    if match is None:
        return 0
    key, string, quoted, number, double, flag = match.groups()
    if string is not None:
        value = b"\x0a" + bytes((len(string),)) + string
    elif double is not None:
        value = b"\x21" + pack("<d", float(double))
    elif flag is not None:
        value = b"\x10\1" if flag == b"true" else b"\x10\0"
    else:
        value = b"\x18" + varint(int(number if quoted is None else quoted))
    size = len(key) + len(value) + 4
    if size > _LONGEST:
        return 0
    out += b"%b%c\x0a%c%b\x12%c%b" % (tag, size, len(key), key, len(value), value)
    return match.end()
