"""AnyValue and attribute lists as JSON text ("AnyValue as JSON text" in docs/schema.md).

Nearly every attribute is a key and a scalar, in this order and with lengths of a byte, and most of
them were there before: ``usual`` reads those, and what it gives is remembered for as many as fit.
Anything else goes the general way.
"""

from struct import unpack_from
from typing import Final

from otlp2parquet.core.pure import limits
from otlp2parquet.core.pure.error import TOO_DEEP, MalformedError, RejectError, too_many_attributes
from otlp2parquet.core.pure.reading import Attributes, Value
from otlp2parquet.core.pure.request import LONG, Request
from otlp2parquet.core.pure.text import base64, json_bytes, mended, quoted, spelled, utf8_bytes
from otlp2parquet.core.pure.wire import Span, read_varint

_MARKERS: Final = (b"bytesValue", b"doubleValue", b"kvlistValue")

_MOST_REMEMBERED: Final = 20_000
_LONGEST_REMEMBERED: Final = 160
remembered: Final[dict[bytes, str]] = {}
"""Rendered key-value pairs by their bytes: a bounded number of short ones."""
_keys: Final[dict[bytes, str]] = {}


# Rendering -----------------------------------------------------------------------------------

Out = list[str]


def push(request: Request, out: Out, text: str) -> None:
    """Append text of the decoder's own, or of a known size."""
    request.size += len(text)
    out.append(text)


def push_json_string(request: Request, out: Out, raw: bytes) -> None:
    """Append a JSON string."""
    try:
        text, is_valid = raw.decode(), True
    except UnicodeDecodeError:
        text, is_valid = "", False
    if len(raw) > LONG:
        request.check_size(json_bytes(raw, is_valid=is_valid))
    if not is_valid:
        text, replaced = mended(raw)
        request.replaced += replaced
    text = quoted(text)
    request.size += utf8_bytes(text)
    out.append(text)


def push_value(request: Request, out: Out, value: Value, depth: int) -> None:
    """Append the JSON text of a value that stands inside ``depth`` arrays and lists."""
    kind, content = value
    if kind == "string":
        push_json_string(request, out, content)
    elif kind == "int":
        push(request, out, str(content))
    elif kind == "bool":
        push(request, out, "true" if content else "false")
    elif kind == "double":
        text, is_number = spelled(content)
        push(request, out, text if is_number else f'{{"doubleValue":{text}}}')
    elif kind == "bytes":
        request.check_size((len(content) + 2) // 3 * 4)
        push(request, out, f'{{"bytesValue":{base64(content)}}}')
    elif kind == "empty":
        push(request, out, "null")
    elif kind == "array":
        _push_array(request, out, content, depth)
    else:
        _push_kvlist(request, out, content, depth)


def enter(parts: list[Span], depth: int) -> int:
    """One array or list deeper."""
    if depth >= limits.DEPTH:
        raise RejectError(parts[0][0], TOO_DEEP)
    return depth + 1


def _push_array(request: Request, out: Out, parts: list[Span], depth: int) -> None:
    depth = enter(parts, depth)
    separator = "["
    for span in request.each_of(parts, 0x0A):
        request.check_size(0)
        push(request, out, separator)
        separator = ","
        push_value(request, out, request.read_any_value([span]), depth)
    push(request, out, "[]" if separator == "[" else "]")


def _push_kvlist(request: Request, out: Out, parts: list[Span], depth: int) -> None:
    depth = enter(parts, depth)
    start, pairs, key = len(out), 0, b""
    for at, stop in request.each_of(parts, 0x0A):
        request.check_size(0)
        push(request, out, "," if pairs else "{")
        key = push_key_value(request, out, at, stop, depth)
        pairs += 1
    push(request, out, "}" if pairs else "{}")
    # "A kvlist that is a value and whose only pair has the key bytesValue, doubleValue or
    # kvlistValue, whatever its value: wrapped", or it would read as one of our markers.
    if pairs == 1 and key in _MARKERS:
        out[start] = '{"kvlistValue":{'
        push(request, out, "}")
        request.size += len('{"kvlistValue":')


def push_key_value(request: Request, out: Out, at: int, stop: int, depth: int) -> bytes:
    """Append ``"key":value`` and give the key's bytes."""
    key, value = request.read_key_value(at, stop)
    push_json_string(request, out, key)
    push(request, out, ":")
    push_value(request, out, request.read_any_value(value), depth)
    return key


def usual(pair: bytes) -> str | None:
    """``"key":value`` of a KeyValue of the usual form, which is remembered; None of another."""
    try:
        value_at = 2 + pair[1]
        if pair[0] != 0x0A or value_at > 0x7F or pair[value_at] != 0x12:
            return None
        size = pair[value_at + 1]
        kind = pair[value_at + 2]
        value_at += 2
        if size > 0x7F or value_at + size != len(pair):
            return None
        if kind == 0x0A:
            if pair[value_at + 1] != size - 2:
                return None
            value = quoted(pair[value_at + 2 :].decode())
        elif kind == 0x18:
            value_at += 1
            byte = pair[value_at]
            if byte < 0x80 and size == 2:
                value = str(byte)
            else:
                number, end = read_varint(pair, value_at, len(pair))
                if end != len(pair):
                    return None
                value = str(number - (number >> 63 << 64))
        elif kind == 0x21 and size == 9:
            value, is_number = spelled(unpack_from("<d", pair, value_at + 1)[0])
            if not is_number:
                value = f'{{"doubleValue":{value}}}'
        elif kind == 0x10 and size == 2:
            value = "true" if pair[-1] else "false"
            if pair[-1] > 0x7F:
                return None
        else:
            return None
        key = _key_of(pair[2 : 2 + pair[1]])
    except (IndexError, UnicodeDecodeError, MalformedError):
        return None
    text = f"{key}:{value}"
    if len(pair) <= _LONGEST_REMEMBERED:
        if len(remembered) >= _MOST_REMEMBERED:
            remembered.clear()
        remembered[pair] = text
    return text


def _key_of(raw: bytes) -> str:
    key = _keys.get(raw)
    if key is None:
        key = quoted(raw.decode())
        if len(_keys) >= _MOST_REMEMBERED:
            _keys.clear()
        _keys[raw] = key
    return key


def render_attributes(request: Request, owner: int, attributes: Attributes) -> str:
    """An attribute list as a JSON object; ``owner`` is where the message of the list begins."""
    spans = attributes.spans
    check_attributes(owner, attributes)
    if not spans:
        request.charge(4)
        return "{}"
    data = request.data
    request.begin()
    pieces = []
    for at, stop in spans:
        pair = data[at:stop]
        text = remembered.get(pair) or usual(pair)
        if text is None:
            request.check_size(0)
            out: Out = []
            push_key_value(request, out, at, stop, 0)
            text = "".join(out)
        pieces.append(text)
    whole = f"{{{','.join(pieces)}}}"
    request.end(utf8_bytes(whole))
    return whole


def check_attributes(owner: int, attributes: Attributes) -> None:
    """Whether a list is not too long."""
    if attributes.count > limits.ATTRIBUTES:
        raise RejectError(owner, too_many_attributes(attributes.count))
