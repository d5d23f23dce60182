"""What is no OTLP, by its name: so that who gave it learns what it is, and what to do.

Knows the first bytes of other formats, the members of other JSON, and where in it a request lies
that is wrapped. Says so and reads nothing.
"""

import re
from typing import Final

from otlp2parquet.captures.framings.torn import OPENING
from otlp2parquet.captures.wrappings.members import members

_MAGIC: Final = (
    (0, b"PK\x03\x04", "a ZIP archive: unpack it first"),
    (0, b"BZh", "bzip2 data: expand it first (bunzip2)"),
    (0, b"\xfd7zXZ\0", "xz data: expand it first (unxz)"),
    (0, b"\x04\x22\x4d\x18", "lz4 data: expand it first (lz4 -d)"),
    (0, b"\xff\x06\0\0sNaPpY", "snappy data: expand it first"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it first"),
    (0, b"\x1f\x9d", "compress data: expand it first (uncompress)"),
    (257, b"ustar", "a tar archive: unpack it first (tar -x)"),
    (0, b"PAR1", "Parquet: it is a table already"),
    (0, b"ARROW1", "an Arrow file: it is a table already"),
    (0, b"ORC", "ORC: it is a table already"),
    (0, b"Obj\x01", "Avro: export requests are taken out of it first"),
    (0, b"SQLite format 3\0", "a SQLite database"),
    (0, b"\xf3\x89\x9a\xc2", "a record of Kinesis that aggregates others: take them apart first"),
    (0, b"\xd4\xc3\xb2\xa1", "a capture of packets (pcap)"),
    (0, b"\xa1\xb2\xc3\xd4", "a capture of packets (pcap)"),
    (0, b"\x0a\x0d\x0d\x0a", "a capture of packets (pcapng)"),
    (0, b"\x7fELF", "a program"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"\x89PNG\r\n", "an image"),
    (0, b"\xff\xd8\xff", "an image"),
)

_JSON_KINDS: Final = (
    (b"resourceProfiles", "these are profiles, for which there is no table"),
    (b"resource_profiles", "these are profiles, for which there is no table"),
    (b"SpanContext", "this is a span as Go's stdouttrace prints it, not OTLP"),
    (b"traceID", "this is a trace of Jaeger's own API, not OTLP"),
    (b"localEndpoint", "this is a span of Zipkin, not OTLP"),
    (b"trace_id", "this is no OTLP: a span or record without its resource"),
    (b"context", "this is a span as an SDK's console exporter prints it, not OTLP"),
    (b"streams", "this is a request to Loki, not OTLP"),
    (b"logEvents", "these are CloudWatch's log events: take their messages out first"),
    (b"metric_stream_name", "this is CloudWatch's JSON: choose OpenTelemetry for the stream"),
    (b"scope", "this is a part of a request, without its resource"),
)
_DEBUG: Final = re.compile(
    rb"(?:ResourceLog|ResourceSpans|ResourceMetrics|LogRecord|Span|Metric|NumberDataPoints) ?#\d"
    rb"|Resource SchemaURL:|ScopeLogs #|ScopeSpans #|ScopeMetrics #|InstrumentationScope "
)
_HTTP: Final = re.compile(rb"(?:POST|PUT) /\S* HTTP/1|HTTP/1\.[01] \d{3}")
_ESCAPED: Final = re.compile(
    rb'\{\s*\\+"resource(?:Logs|Spans|Metrics|_logs|_spans|_metrics)\\+"', re.ASCII
)
_ENCODED: Final = re.compile(rb'"(?:CgA|Cg|Ch|Ci|Cj|Ck|Cl|Cm|Cn|Co|Cp|H4sI)[A-Za-z0-9+/]{40}')
_PLAIN: Final = re.compile(rb"[A-Za-z_]\w{0,60}", re.ASCII)
_ANY_OBJECT: Final = """'.. | objects | select(keys | any(test("^resource_?[LSM]"; "i")))'"""
_ANY_TEXT: Final = """'.. | strings | select(test("resource_?[LSM]"; "i"))'"""
"""What jq takes a request out with, wherever it lies."""
_SHOWN: Final = 40
_NAMES: Final = 5


def file(head: bytes) -> str | None:
    """What a file is that begins with ``head``, if it is known and no capture."""
    for at, magic, name in _MAGIC:
        if head.startswith(magic, at):
            return name
    return None


def text(line: bytes) -> str:
    """What a line is that holds no JSON object."""
    if _DEBUG.search(line, 0, 4096):
        return (
            "output of the Collector's debug exporter, which is no OTLP (its file exporter "
            "writes that)"
        )
    if _HTTP.match(line):
        return "an HTTP message, of which the body is wanted alone"
    if line[:1] in b'[]{}",:0123456789' or b'":' in line:
        return "malformed JSON or the rest of it"
    return "text"


def is_key(before: bytes) -> bool:
    """Whether the text before a request is a key, as Kafka's tools print one: a word and a tab."""
    return before.endswith(b"\t") and len(before.split()) == 1


def before(prefix: bytes) -> str:
    """What stands before a request on its line, if no logger writes so."""
    if is_key(prefix):
        return (
            "found a key and a tab before the request, as Kafka's tools print them: the request is "
            "taken, the key is not kept"
        )
    return "found malformed JSON or other text right before the request on its line, not taken"


def json(document: bytes) -> str:
    """What a JSON document is in which no signal is at the top; empty if that is not known."""
    if document[:1] != b"{":
        return ""
    found = members(document)
    for pattern, how in ((OPENING, ""), (_ESCAPED, "text in ")):
        if inner := pattern.search(document):
            for name, begin, end in found:
                if begin <= inner.start() < end:
                    # The value is the request, not something that has it in it.
                    is_it = document[begin : begin + 1] == b'"' if how else begin == inner.start()
                    path = f".{name.decode()}" if is_it and _PLAIN.fullmatch(name) else ""
                    taken_out = f"-r {path or _ANY_TEXT}" if how else f"-c {path or _ANY_OBJECT}"
                    return (
                        f"it lies as {how or 'an object in '}the member {_shown(name)}, and is "
                        f"taken only from the top (jq {taken_out} takes it out)"
                    )
    names = {name for name, _, _ in found}
    for kind, told in _JSON_KINDS:
        if kind in names or (kind == b"traceID" and b'"traceID"' in document):
            return told
    if _ENCODED.search(document):
        return "a member of it may be a request in base64: decode it first"
    if not names:
        return ""
    shown = ", ".join(_shown(name) for name, _, _ in found[:_NAMES])
    return f"its members are {shown}{' and others' if len(found) > _NAMES else ''}"


def _shown(name: bytes) -> str:
    text = name[:_SHOWN].decode(errors="replace")
    return "".join(one if one.isprintable() else "?" for one in text)
