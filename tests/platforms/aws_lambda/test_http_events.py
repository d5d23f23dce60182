"""Events that stand for HTTP requests, and results in the form that the event used."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from otlp2parquet.core.otlp_http import Response
from otlp2parquet.platforms.aws_lambda.http_events import form_of, make_result, read_request
from tests.support.lambda_events import (
    CLIENT,
    FORMS,
    SCHEDULED,
    function_url,
    notification,
    rest_api,
)

PROTOBUF = [(b"content-type", b"application/x-protobuf")]
JSON = [(b"content-type", b"application/json")]
NO_TEXT = bytes(range(256))

ANSWER = Response(
    200,
    ((b"content-type", b"application/x-protobuf"), (b"content-length", b"256")),
    NO_TEXT,
)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_told_and_read(form: str) -> None:
    """Method, path, header fields in lower case, every byte of the body, the sender's address."""
    event = FORMS[form]("POST", "/v1/logs", PROTOBUF, NO_TEXT)
    assert form_of(event) == form
    request = read_request(event, form)
    assert (request.method, request.path, request.body) == ("POST", "/v1/logs", NO_TEXT)
    assert request.headers[0] == PROTOBUF[0]
    assert request.client == CLIENT
    assert not request.is_broken


@pytest.mark.parametrize("form", FORMS)
def test_text_is_read_as_utf_8(form: str) -> None:
    """JSON comes as text in every form, and as base64 where the API says so."""
    text = '{"resourceLogs": [], "é": "✓"}'.encode()
    event = FORMS[form]("POST", "/v1/logs", JSON, text)
    assert not event["isBase64Encoded"]
    assert read_request(event, form).body == text  # type: ignore[arg-type]
    event |= {"body": base64.b64encode(text).decode(), "isBase64Encoded": True}
    assert read_request(event, form).body == text  # type: ignore[arg-type]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("body", [None, ""])
def test_no_body_is_no_bytes(form: str, body: str | None) -> None:
    """Whichever way the event says it, also where it says that nothing is in base64."""
    for is_encoded in (True, False):
        event = FORMS[form]("POST", "/v1/logs", PROTOBUF, b"")
        event |= {"body": body, "isBase64Encoded": is_encoded}
        assert read_request(event, form).body == b""  # type: ignore[arg-type]


def test_several_fields_of_a_name_are_several() -> None:
    """Where the event has them: stacked encodings are refused, not read as the last of them."""
    headers = [*PROTOBUF, (b"content-encoding", b"gzip"), (b"content-encoding", b"zstd")]
    for form in ("1.0", "alb multi-value"):
        request = read_request(FORMS[form]("POST", "/", headers, b"x"), form)
        values = [value for name, value in request.headers if name == b"content-encoding"]
        assert values == [b"gzip", b"zstd"]


def test_a_rest_api_may_leave_out_all_header_fields() -> None:
    """As its test page does."""
    event = rest_api("POST", "/v1/logs", [], b"x") | {"headers": None, "multiValueHeaders": None}
    assert form_of(event) == "1.0"
    assert read_request(event, "1.0").headers == ()


@pytest.mark.parametrize(
    ("body", "encoded"), [("no base64!", True), ("é", True), ("\N{REPLACEMENT CHARACTER}x", False)]
)
def test_bytes_that_did_not_come_through_are_told(body: str, encoded: bool) -> None:  # noqa: FBT001
    """An API that makes text of protobuf has destroyed it: that is no sender's mistake."""
    event = function_url("POST", "/v1/logs", PROTOBUF, b"x")
    event |= {"body": body, "isBase64Encoded": encoded}
    assert read_request(event, "2.0").is_broken


def test_a_replacement_character_in_json_is_text() -> None:
    """Whoever sends it means it; compressed JSON is no text."""
    body = {"body": '{"a":"\N{REPLACEMENT CHARACTER}"}', "isBase64Encoded": False}
    assert not read_request(function_url("POST", "/", JSON, b"x") | body, "2.0").is_broken
    packed = [*JSON, (b"content-encoding", b"gzip")]
    assert read_request(function_url("POST", "/", packed, b"x") | body, "2.0").is_broken


@pytest.mark.parametrize(
    ("path", "stage", "expected"),
    [
        ("/v1/logs", "$default", "/v1/logs"),
        ("/prod/v1/logs", "prod", "/v1/logs"),
        ("/v1/v1/logs", "v1", "/v1/logs"),
        ("/v1/logs", "v1", "/v1/logs"),  # by a domain of one's own
        ("/prod", "prod", "/prod"),
        ("/production/v1/logs", "prod", "/production/v1/logs"),
        ("/prod/health", "prod", "/health"),
    ],
)
def test_the_stage_is_no_part_of_the_path(path: str, stage: str, expected: str) -> None:
    """HTTP APIs have it in front of the path, unless a domain of one's own leads to the stage."""
    assert read_request(function_url("POST", path, PROTOBUF, b"x", stage), "2.0").path == expected


@pytest.mark.parametrize(
    "event", [{}, SCHEDULED, notification("b", "k", "e", 1), {"requestContext": {}}]
)
def test_other_events_are_no_requests(event: dict[str, Any]) -> None:
    """They have no form."""
    assert form_of(event) is None


@pytest.mark.parametrize("form", FORMS)
def test_a_result_has_the_form_of_its_event(form: str) -> None:
    """Bytes in base64, fields once or several times, and the words that a load balancer wants."""
    result = make_result(ANSWER, form)  # type: ignore[arg-type]
    assert result["statusCode"] == 200
    assert result["isBase64Encoded"]
    assert base64.b64decode(result["body"]) == NO_TEXT
    several = {"content-type": ["application/x-protobuf"]}
    single = {"content-type": "application/x-protobuf"}
    if form in ("1.0", "alb multi-value"):
        assert result["multiValueHeaders"] == several
        assert "headers" not in result
    else:
        assert result["headers"] == single
        assert "multiValueHeaders" not in result
    assert result.get("statusDescription") == ("200 OK" if form.startswith("alb") else None)


def test_json_is_text_in_a_result() -> None:
    """So that it is read in logs and by every API, however that is set."""
    answer = Response(503, ((b"content-type", b"application/json"),), '{"message":"é"}'.encode())
    result = make_result(answer, "alb")
    assert (result["body"], result["isBase64Encoded"]) == ('{"message":"é"}', False)
    assert result["statusDescription"] == "503 Service Unavailable"


def test_an_empty_result_is_not_encoded() -> None:
    """Full success in protobuf has no bytes; nor has any answer to HEAD."""
    empty = make_result(ANSWER._replace(body=b""), "2.0")
    assert (empty["body"], empty["isBase64Encoded"]) == ("", False)
    assert make_result(ANSWER, "2.0", head=True)["body"] == ""
