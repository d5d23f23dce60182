"""Events that stand for HTTP requests, in the four forms in which AWS hands them to a function.

    Function URL, API Gateway HTTP API   payload format 2.0
    API Gateway REST API (and 1.0)       one value a field, and all of them in multiValueHeaders
    Application Load Balancer            either of the two, as its target group is set

A pure translation: an event becomes method, path, header fields and body bytes; a response becomes
the result in the form that the event used. Knows nothing of OTLP but its paths, which tell a stage
in front of them from a part of the path.
"""

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import unquote

from otlp2parquet.core.otlp_http import Response, signal_at
from otlp2parquet.platforms.aws_lambda.events import Event, EventError, object_in, text_in

Result = dict[str, Any]

Form = Literal["2.0", "1.0", "alb", "alb multi-value"]

_DEFAULT_STAGE: Final = "$default"
_TEXT: Final = b"application/json"
_GIVEN_BY_CARRIER: Final = b"content-length"
"""The carrier counts the bytes that it sends itself, behind base64."""
_REPLACED: Final = "\N{REPLACEMENT CHARACTER}"


class HttpRequest(NamedTuple):
    """One request, whichever form its event had."""

    form: Form
    method: str
    path: str
    headers: tuple[tuple[bytes, bytes], ...]
    """Lower-case names, as ASGI gives them."""
    body: bytes
    client: str
    """The sender's address; empty where the event has none."""
    is_broken: bool = False
    """Whether the body did not come through whole: its base64 is none, or bytes came as text."""


def form_of(event: Event) -> Form | None:
    """The form of an event; None if it does not stand for an HTTP request."""
    context = event.get("requestContext")
    if not isinstance(context, Mapping):
        return None
    if "http" in context:
        return "2.0"
    if "httpMethod" not in event:
        return None
    if "elb" in context:
        return "alb" if event.get("multiValueHeaders") is None else "alb multi-value"
    return "1.0"


def read_request(event: Event, form: Form) -> HttpRequest:
    """The request that an event of this form stands for.

    Raises ``EventError`` for what has members of other types than AWS gives them.
    """
    context = object_in(event, "requestContext")
    if form == "2.0":
        http = object_in(context, "http")
        method, path, client = (
            text_in(http, "method"),
            text_in(event, "rawPath"),
            http.get("sourceIp"),
        )
    else:
        method, path = text_in(event, "httpMethod"), text_in(event, "path")
        client = object_in(context, "identity").get("sourceIp")
    headers = tuple(_headers(event, form))
    if form.startswith("alb"):
        # The balancer appends the address that it saw itself to what the client may have written.
        forwarded = b",".join(value for name, value in headers if name == b"x-forwarded-for")
        client = forwarded.decode("latin-1").rpartition(",")[2].strip()
    body, is_broken = _body(event, headers)
    # A path may come as it was sent; the server's is decoded as well.
    path = _without_stage(unquote(path) or "/", str(context.get("stage") or ""))
    return HttpRequest(form, method, path, headers, body, str(client or ""), is_broken)


def _headers(event: Event, form: Form) -> Iterator[tuple[bytes, bytes]]:
    """The fields of the event. Where all values of a name are given, these are complete."""
    several = {} if form == "2.0" else object_in(event, "multiValueHeaders")
    for name, values in (several or object_in(event, "headers")).items():
        for value in values if isinstance(values, list) else [values]:
            if value is None:
                continue  # a field that is not there, in the words of some tools
            if not isinstance(value, str | int):
                raise EventError(f"a header field is {type(value).__name__}: expected a text")
            # Beyond latin-1 nothing can have come by HTTP: what is there was mangled before.
            yield name.lower().encode("latin-1", "replace"), str(value).encode("latin-1", "replace")


def _body(event: Event, headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, bool]:
    """The body's bytes, and whether they are broken."""
    is_encoded = event.get("isBase64Encoded")
    if not isinstance(is_encoded, bool | None):
        raise EventError(f"isBase64Encoded is {type(is_encoded).__name__}: expected true or false")
    if event.get("body") is None:
        return b"", False
    body = text_in(event, "body")
    if is_encoded:
        try:
            return base64.b64decode(body, validate=True), False
        except (binascii.Error, ValueError):
            return b"", True
    # An API that is not told which media types are binary makes text of all of them, and puts this
    # in place of every byte that is none.
    is_broken = _REPLACED in body and _is_binary(headers)
    return body.encode("utf-8", "surrogatepass"), is_broken


def _is_binary(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    for name, value in headers:
        if name == b"content-type" and b"json" not in value.lower():
            return True
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity", b"none"):
            return True
    return False


def _without_stage(path: str, stage: str) -> str:
    """The path below the stage of an API.

    Format 2.0 has the stage in its path, unless a domain of one's own leads to it; a stage may be
    called ``v1``.
    """
    if stage in ("", _DEFAULT_STAGE) or signal_at(path) is not None:
        return path
    rest = f"/{path.lstrip('/')}".removeprefix(f"/{stage}")
    return rest if rest.startswith("/") else path


def make_result(response: Response, form: Form, *, head: bool = False) -> Result:
    """What the function returns for ``response``; with ``head`` without its body."""
    fields = [(n.decode(), v.decode()) for n, v in response.headers if n != _GIVEN_BY_CARRIER]
    is_text = dict(response.headers).get(b"content-type") == _TEXT
    content = b"" if head else response.body
    body = content.decode() if is_text else base64.b64encode(content).decode()
    result: Result = {
        "statusCode": response.status,
        "body": body,
        "isBase64Encoded": bool(body) and not is_text,
    }
    if form in ("1.0", "alb multi-value"):
        several: dict[str, list[str]] = {}
        for name, value in fields:
            several.setdefault(name, []).append(value)
        result["multiValueHeaders"] = several
    else:
        result["headers"] = dict(fields)
    if form.startswith("alb"):
        result["statusDescription"] = f"{response.status} {HTTPStatus(response.status).phrase}"
    return result
