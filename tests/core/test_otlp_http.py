"""The OTLP/HTTP answer matrix, without a socket."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, get_args

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from otlp2parquet.core import outcome, status
from otlp2parquet.core.otlp_http import (
    MEDIA_TYPES,
    OTHER_MEDIA_TYPES,
    PATHS,
    ExportHead,
    Response,
    read_head,
    render,
    unavailable,
)
from otlp2parquet.core.outcome import Kind, Outcome
from otlp2parquet.core.signals import SIGNALS
from otlp2parquet.errors import (
    DecodeError,
    StorageError,
    TooLargeError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from otlp2parquet.core.otlp_http import Format
    from otlp2parquet.core.signals import Signal

RESPONSES: dict[str, type[Message]] = {
    "logs": logs_service_pb2.ExportLogsServiceResponse,
    "traces": trace_service_pb2.ExportTraceServiceResponse,
    "metrics": metrics_service_pb2.ExportMetricsServiceResponse,
}
REJECTED = {
    "logs": "rejected_log_records",
    "traces": "rejected_spans",
    "metrics": "rejected_data_points",
}
ENCODINGS = ("", "identity", "gzip", "zstd", "deflate")
LIMIT = 1000


def status_message(body: bytes, format_: Format) -> str:
    """The message of a google.rpc.Status, read field by field with protobuf's own decoder."""
    if format_ == "json":
        data = json.loads(body)
        assert set(data) == {"code", "message"}
        assert isinstance(data["code"], int)
        return str(data["message"])
    parsed = parse_status(body)
    assert parsed.code > 0
    return str(parsed.message)


def parse_status(body: bytes) -> Any:
    """``body`` through a google.rpc.Status class made from the published definition."""
    file = descriptor_pb2.FileDescriptorProto(name="status.proto", package="g", syntax="proto3")
    message = file.message_type.add(name="Status")
    field = descriptor_pb2.FieldDescriptorProto
    message.field.add(name="code", number=1, type=field.TYPE_INT32, label=field.LABEL_OPTIONAL)
    message.field.add(name="message", number=2, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    message.field.add(name="details", number=3, type=field.TYPE_BYTES, label=field.LABEL_REPEATED)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = pool.FindMessageTypeByName("g.Status")
    made: Any = message_factory.GetMessageClass(found)()
    made.ParseFromString(body)
    assert not made.details
    return made


def head(
    content_type: str | None = "application/x-protobuf",
    encoding: str = "",
    length: int | None = None,
) -> list[tuple[bytes, bytes]]:
    """Header fields as ASGI gives them."""
    headers = [(b"host", b"localhost"), (b"user-agent", b"test")]
    if content_type is not None:
        headers.append((b"content-type", content_type.encode()))
    if encoding:
        headers.append((b"content-encoding", encoding.encode()))
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    return headers


def post(
    path: str, headers: list[tuple[bytes, bytes]], method: str = "POST", prefix: str = ""
) -> Any:
    """What is read in a request's head."""
    return read_head(method, path, headers, max_payload_bytes=LIMIT, path_prefix=prefix)


def check(response: Response, code: int, format_: Format) -> None:
    """What every response of ours keeps to."""
    assert response.status == code
    headers = dict(response.headers)
    assert len(headers) == len(response.headers)
    media_type = {"protobuf": b"application/x-protobuf", "json": b"application/json"}
    assert headers[b"content-type"] == media_type[format_]
    assert int(headers[b"content-length"]) == len(response.body)
    assert len(response.body) <= 4096
    assert (b"retry-after" in headers) == (code == HTTPStatus.SERVICE_UNAVAILABLE)
    assert (b"allow" in headers) == (code == HTTPStatus.METHOD_NOT_ALLOWED)
    if code != HTTPStatus.OK:
        assert status_message(response.body, format_)


FAILURES: list[tuple[int, Outcome]] = [
    (400, outcome.of_error(DecodeError("bad tag", 17, "resource_logs[0]"))),
    (413, outcome.of_error(TooLargeError("over 1000 records"))),
    (413, outcome.too_large(LIMIT)),
    (415, outcome.of_error(UnsupportedError("zstd is not read here"))),
    (503, outcome.of_error(StorageError("the disk is full"))),
    (503, outcome.of_error(KeyError("hush"))),
    (503, outcome.NO_MEMORY),
    (503, outcome.CUT_BODY),
    (503, outcome.SLOW_BODY),
    (503, outcome.STOPPING),
    (503, Outcome("log", "the disk is full")),
]


def test_every_kind_of_outcome_has_a_response() -> None:
    """None is forgotten: those above and the two successes are all there are."""
    kinds = {failed.kind for _, failed in FAILURES} | outcome.TAKEN
    assert kinds == set(get_args(Kind))


@pytest.mark.parametrize("media_type", list(MEDIA_TYPES))
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("path", list(PATHS))
def test_the_answer_matrix(media_type: str, encoding: str, path: str) -> None:
    """Every outcome of every kind of request has its code, and a body its client can decode."""
    signal, format_ = PATHS[path], MEDIA_TYPES[media_type]
    read = post(path, head(media_type, encoding, LIMIT))
    known = encoding if encoding not in ("", "identity") else None
    assert read == ExportHead(signal, media_type, known, LIMIT, format_)

    full = render(read, outcome.taken(7, 0, "", 1))
    check(full, 200, format_)
    assert full.body == (b"" if format_ == "protobuf" else b"{}")
    partial = render(read, outcome.taken(7, 3, "3 are bad", 1))
    check(partial, 200, format_)
    assert decode(partial.body, signal, format_) == (3, "3 are bad")
    warned = render(read, outcome.taken(7, 0, "mended", 1))
    check(warned, 200, format_)
    assert decode(warned.body, signal, format_) == (0, "mended")
    for code, failed in FAILURES:
        response = render(read, failed)
        check(response, code, format_)
        assert response.reason == failed.kind
        assert response.message == status_message(response.body, format_)
    refusals = {
        404: post("/v1/other", head(media_type, encoding)),
        405: post(path, head(media_type, encoding), "GET"),
        413: post(path, head(media_type, encoding, LIMIT + 1)),
        415: post(path, head(media_type, "br")),
    }
    for code, response in refusals.items():
        assert isinstance(response, Response)
        check(response, code, format_)


def decode(body: bytes, signal: str, format_: Format) -> tuple[int, str] | None:
    """(rejected, message) of a response by the official class; None when there is neither."""
    message: Any = RESPONSES[signal]()
    if format_ == "protobuf":
        message.ParseFromString(body)
    else:
        json_format.Parse(body, message)
    assert len(UnknownFieldSet(message)) == 0
    if not message.HasField("partial_success"):
        return None
    partial = message.partial_success
    return getattr(partial, REJECTED[signal]), partial.error_message


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@given(st.sampled_from(SIGNALS), st.integers(0, 2**63 - 1), texts)
def test_answers_are_what_the_official_classes_write(
    signal: Signal, rejected: int, message: str
) -> None:
    """Our hand-written encoding is byte for byte the official one, and its JSON reads the same."""
    official: Any = RESPONSES[signal]()
    if rejected or message:
        setattr(official.partial_success, REJECTED[signal], rejected)
        official.partial_success.error_message = message
        official.partial_success.SetInParent()
    assert status.export_response_protobuf(rejected, message) == official.SerializeToString()
    as_json = status.export_response_json(signal, rejected, message)
    read: Any = RESPONSES[signal]()
    json_format.Parse(as_json, read)
    assert read == official
    assert json.loads(as_json) == json_format.MessageToDict(official)


@given(st.integers(0, 2**31 - 1), texts)
def test_status_is_what_protobuf_reads(code: int, message: str) -> None:
    """google.rpc.Status: code 1, message 2."""
    parsed = parse_status(status.status_protobuf(code, message))
    assert (parsed.code, parsed.message) == (code, message)
    assert json.loads(status.status_json(code, message)) == {"code": code, "message": message}


@given(st.text(min_size=900, max_size=6000), st.integers(0, 2**63 - 1))
def test_no_answer_is_longer_than_4_kib(message: str, rejected: int) -> None:
    """However long an explanation is, also in characters that JSON escapes and lone surrogates."""
    for format_ in ("protobuf", "json"):
        one = ExportHead("logs", "application/json", None, None, format_)
        bodies = [
            render(one, outcome.taken(0, rejected, message * 3, 1)),
            render(one, outcome.of_error(DecodeError(message * 3))),
            unavailable(message * 3, one.format),
        ]
        for response in bodies:
            assert len(response.body) <= 4096
            if response.status == HTTPStatus.OK:
                assert decode(response.body, "logs", format_)
            else:
                assert status_message(response.body, format_)


def test_a_long_message_keeps_its_beginning() -> None:
    """It is cut, with a sign that it was, not dropped."""
    for format_ in ("protobuf", "json"):
        text = status_message(unavailable("é" * 5000, format_).body, format_)
        assert text.startswith("é" * 500)
        assert text.endswith("…")


@pytest.mark.parametrize("path", list(PATHS))
@pytest.mark.parametrize("prefix", ["", "/otlp", "/a/b"])
def test_slashes_may_be_doubled_and_one_may_trail(path: str, prefix: str) -> None:
    """Endpoints are configured by joining texts, and some clients append one."""
    wanted = post(path, head())
    for base in {"", prefix}:
        whole = base + path
        for spelled in (whole, whole + "/", "/" + whole, whole.replace("/", "//"), whole + "//"):
            assert post(spelled, head(), prefix=prefix) == wanted


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "//", "/v1", "/v1/", "/v1/log", "/V1/LOGS", "v1/logs", "/otlp", "/otlp/v1",
        "/otlpx/v1/logs", "/otlp/otlp/v1/logs", "/x/otlp/v1/logs", "/v1/logs/otlp",
    ],
)  # fmt: skip
def test_other_paths_are_not_found(path: str) -> None:
    """Nothing but the three paths takes data, and the right ones are named."""
    response = post(path, head(), prefix="/otlp")
    assert isinstance(response, Response)
    check(response, 404, "protobuf")
    for known in PATHS:
        assert f"/otlp{known}" in response.message
    assert "/otlp" not in post(path, head()).message


@pytest.mark.parametrize("path", list(PATHS))
def test_without_a_prefix_there_is_none(path: str) -> None:
    """What is not configured is not guessed."""
    assert post("/otlp" + path, head()).status == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "post"])
def test_only_post_is_allowed(method: str) -> None:
    """405 names the method that is."""
    response = post("/v1/logs", head(), method)
    check(response, 405, "protobuf")
    assert (b"allow", b"POST") in response.headers


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-protobuf; charset=utf-8",
        "Application/X-Protobuf",
        "  application/x-protobuf ;v=1",
    ],
)
def test_content_type_ignores_case_and_parameters(content_type: str) -> None:
    """RFC 9110: media types are case-insensitive and may carry parameters."""
    assert isinstance(post("/v1/logs", head(content_type)), ExportHead)


@pytest.mark.parametrize("content_type", list(OTHER_MEDIA_TYPES))
def test_other_names_of_protobuf(content_type: str) -> None:
    """The decoder is told the one that it knows."""
    read = post("/v1/logs", head(content_type.title() + "; v=1"))
    assert read.media_type == "application/x-protobuf"
    assert read.format == "protobuf"


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/x-google", "application/x-protobuf2"]
)
def test_other_content_types_are_refused_in_json(content_type: str | None) -> None:
    """Who speaks neither is told in the form that most can read."""
    response = post("/v1/logs", head(content_type))
    check(response, 415, "json")
    assert "application/x-protobuf" in status_message(response.body, "json")


@pytest.mark.parametrize(
    "encoding",
    ["br", "gzip, gzip", "gzip,zstd", "snappy", "*", "identity, br", "gzip;q=1", "zlib, x-gzip"],
)
def test_other_and_stacked_encodings_are_refused(encoding: str) -> None:
    """Before the body is read."""
    check(post("/v1/logs", head(encoding=encoding)), 415, "protobuf")


def test_encodings_in_two_fields_are_stacked() -> None:
    """Two header fields are one list."""
    headers = [*head(encoding="gzip"), (b"content-encoding", b"gzip")]
    check(post("/v1/logs", headers), 415, "protobuf")


@pytest.mark.parametrize(
    ("spelled", "meant"),
    [
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("X-GZip", "gzip"),
        ("zlib", "deflate"),
        ("Identity", None),
        ("none", None),
        (",", None),
        ("identity, gzip", "gzip"),
        ("zstd , identity,", "zstd"),
        ("None,Identity", None),
    ],
)
def test_encodings_ignore_case_and_identity_counts_as_nothing(
    spelled: str, meant: str | None
) -> None:
    """And x-gzip is gzip (RFC 9110, 8.4.1.3), zlib what deflate means."""
    assert post("/v1/logs", head(encoding=spelled)).encoding == meant


def test_a_length_over_the_limit_is_refused_unread() -> None:
    """The limit itself is allowed; a chunked body has no length yet."""
    assert post("/v1/logs", head(length=LIMIT)).content_length == LIMIT
    assert post("/v1/logs", head()).content_length is None
    check(post("/v1/logs", head(length=LIMIT + 1)), 413, "protobuf")


def test_a_length_of_thousands_of_digits_is_a_length() -> None:
    """Python makes no number of it; not every carrier looks at the field before."""
    check(post("/v1/logs", [*head(), (b"content-length", b"9" * 5000)]), 413, "protobuf")
    zeros = post("/v1/logs", [*head(), (b"content-length", b"0" * 5000 + b"7")])
    assert zeros.content_length == 7


@pytest.mark.parametrize(
    ("media_type", "code", "body"),
    [
        ("application/x-protobuf", 200, b""),
        ("application/json", 400, None),
        ("application/x-ndjson", 200, b"{}"),
        ("application/jsonl", 200, b"{}"),
    ],
)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_body_of_no_bytes(media_type: str, code: int, body: bytes | None, encoding: str) -> None:
    """Zero bytes are an empty message and no lines, but not JSON; compressed or not."""
    read = post("/v1/traces", head(media_type, encoding))
    response = render(read, outcome.empty(read.media_type))
    check(response, code, MEDIA_TYPES[media_type])
    assert body is None or response.body == body


def test_a_decode_error_names_offset_and_path_once() -> None:
    """The sender can find the place; what the text says already is not repeated."""
    bare = DecodeError("bad tag", 17, "resource_logs[0]")
    assert outcome.of_error(bare).text == "bad tag at byte 17 in resource_logs[0]"
    told = DecodeError("bad tag at byte 17 in resource_logs[0]", 17, "resource_logs[0]")
    assert outcome.of_error(told).text == str(told)
    assert outcome.of_error(DecodeError("broken gzip header")).text == "broken gzip header"


def test_an_unforeseen_error_tells_the_client_nothing() -> None:
    """Its text may hold anything, also what the client sent; and a 500 would lose the data."""
    for format_ in ("protobuf", "json"):
        read = ExportHead("logs", "application/json", None, None, format_)
        response = render(read, outcome.of_error(ValueError("hush")))
        check(response, 503, format_)
        assert b"hush" not in response.body


def test_headers_of_the_request_are_not_repeated() -> None:
    """A refusal never carries what a sender wrote."""
    for response in (
        post("/hush", head("hush/hush", "hush")),
        post("/v1/logs", head("hush/hush", "hush")),
        post("/v1/logs", head(encoding="hush")),
        post("/v1/logs", head(), "HUSH"),
    ):
        assert b"hush" not in response.body.lower()
