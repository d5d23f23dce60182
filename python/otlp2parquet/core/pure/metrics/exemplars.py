"""Exemplars as JSON text, in the OTLP/JSON form of the message.

"Ids in hex, 64-bit integers and non-finite doubles as strings, defaults left out", members in the
order of their field numbers.
"""

from typing import Final

from otlp2parquet.core.pure.reading import Reading, Value
from otlp2parquet.core.pure.request import Request
from otlp2parquet.core.pure.text import base64, spelled
from otlp2parquet.core.pure.value import (
    Out,
    check_attributes,
    enter,
    push,
    push_json_string,
)
from otlp2parquet.core.pure.wire import Span

EXEMPLAR: Final = Reading(
    "Exemplar", "time_unix_nano as_double|as_int=null span_id trace_id filtered_attributes"
)


def render_exemplars(request: Request, spans: list[Span]) -> str:
    """An array of exemplars."""
    if not spans:
        # The two brackets, which cost nothing.
        return "[]"
    request.begin()
    out: Out = []
    separator = "["
    for span in spans:
        request.check_size(0)
        push(request, out, separator)
        separator = ","
        _push_exemplar(request, out, *span)
    push(request, out, "]")
    request.end(request.size)
    return "".join(out)


class _Object:
    """Opens an object's members: ``{"name":`` the first time, ``,"name":`` afterwards."""

    def __init__(self, request: Request, out: Out) -> None:
        self.request = request
        self.out = out
        self.separator = "{"

    def member(self, name: str, value: str = "") -> None:
        push(self.request, self.out, f'{self.separator}"{name}":{value}')
        self.separator = ","

    def end(self) -> None:
        push(self.request, self.out, "{}" if self.separator == "{" else "}")


def _push_exemplar(request: Request, out: Out, at: int, stop: int) -> None:
    time, number, span_id, trace_id, attributes = request.read(EXEMPLAR, [(at, stop)])
    entry = _Object(request, out)
    if time:
        entry.member("timeUnixNano", f'"{time}"')
    if isinstance(number, float):
        entry.member("asDouble", spelled(number)[0])
    for name, raw in (("spanId", span_id), ("traceId", trace_id)):
        if raw.strip(b"\0"):
            entry.member(name, f'"{raw.hex()}"')
    if isinstance(number, int):
        entry.member("asInt", f'"{number}"')
    if attributes.count:
        check_attributes(at, attributes)
        entry.member("filteredAttributes")
        separator = "["
        for start, end in attributes.spans:
            request.check_size(0)
            push(request, out, separator)
            separator = ","
            _push_key_value(request, out, start, end, 0)
        push(request, out, "]")
    entry.end()


def _push_key_value(request: Request, out: Out, at: int, stop: int, depth: int) -> None:
    key, parts = request.read_key_value(at, stop)
    value = request.read_any_value(parts)
    entry = _Object(request, out)
    if key:
        entry.member("key")
        push_json_string(request, out, key)
    if value[0] != "empty":
        entry.member("value")
        _push_any_value(request, out, value, depth)
    entry.end()


def _push_any_value(request: Request, out: Out, value: Value, depth: int) -> None:
    """Append an AnyValue in its OTLP/JSON form, for example ``{"intValue":"7"}``."""
    kind, content = value
    entry = _Object(request, out)
    if kind == "string":
        entry.member("stringValue")
        push_json_string(request, out, content)
    elif kind == "bool":
        entry.member("boolValue", "true" if content else "false")
    elif kind == "int":
        entry.member("intValue", f'"{content}"')
    elif kind == "double":
        entry.member("doubleValue", spelled(content)[0])
    elif kind == "bytes":
        request.check_size((len(content) + 2) // 3 * 4)
        entry.member("bytesValue", base64(content))
    elif kind == "array":
        entry.member("arrayValue")
        _push_values(request, out, content, depth, is_array=True)
    elif kind == "kvlist":
        entry.member("kvlistValue")
        _push_values(request, out, content, depth, is_array=False)
    entry.end()


def _push_values(
    request: Request, out: Out, parts: list[Span], depth: int, *, is_array: bool
) -> None:
    """Append ``{"values":[…]}``, or ``{}`` where there are none."""
    depth = enter(parts, depth)
    is_first = True
    for at, stop in request.each_of(parts, 0x0A):
        push(request, out, '{"values":[' if is_first else ",")
        is_first = False
        request.check_size(0)
        if is_array:
            _push_any_value(request, out, request.read_any_value([(at, stop)]), depth)
        else:
            _push_key_value(request, out, at, stop, depth)
    push(request, out, "{}" if is_first else "]}")
