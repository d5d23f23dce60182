"""AnyValue and attribute lists as JSON text ("AnyValue as JSON text" in docs/schema.md).

Nearly every attribute is as ``usual`` reads it; anything else goes the general way.
"""

from typing import Final

from otlp2parquet.core.pure import limits
from otlp2parquet.core.pure.error import TOO_DEEP, RejectError, too_many_attributes
from otlp2parquet.core.pure.reading import Attributes, Value
from otlp2parquet.core.pure.request import LONG, Request
from otlp2parquet.core.pure.text import base64, json_bytes, mended, quoted, scalar, utf8_bytes
from otlp2parquet.core.pure.wire import Span

_MARKERS: Final = (b"bytesValue", b"doubleValue", b"kvlistValue")


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
    elif kind in ("int", "bool", "double"):
        push(request, out, scalar(kind, content))
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


def render_attributes(request: Request, owner: int, attributes: Attributes) -> str:
    """An attribute list as a JSON object; ``owner`` is where the message of the list begins."""
    if attributes.count > limits.ATTRIBUTES:
        check_attributes(owner, attributes)
    if not attributes.count:
        request.charge(4)
        return "{}"
    pieces = request.usual_pairs(attributes)
    if None in pieces:
        request.begin()
        for index, span in enumerate(attributes.spans):
            if pieces[index] is None:
                request.check_size(0)
                out: Out = []
                push_key_value(request, out, *span, 0)
                pieces[index] = "".join(out)
    whole = f"{{{','.join(pieces)}}}"
    request.end(utf8_bytes(whole))
    return whole


def check_attributes(owner: int, attributes: Attributes) -> None:
    """Whether a list is not too long."""
    if attributes.count > limits.ATTRIBUTES:
        raise RejectError(owner, too_many_attributes(attributes.count))
