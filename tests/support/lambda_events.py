"""Events of AWS as its documentation shows them, and the runtime's context.

Knows the forms of events. Must not know what becomes of them. Header fields that no test looks at
are left out.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from otlp2parquet.core.otlp_http import Response

if TYPE_CHECKING:
    from collections.abc import Iterable

Headers = "Iterable[tuple[bytes, bytes]]"
CLIENT = "192.0.2.7"


@dataclass
class Context:
    """What the runtime tells a function of its invocation."""

    remaining_ms: int = 30_000

    def get_remaining_time_in_millis(self) -> int:
        """As the runtime's."""
        return self.remaining_ms


def _body(body: bytes, headers: Iterable[tuple[bytes, bytes]]) -> dict[str, Any]:
    """Text where it is JSON that is not compressed, else base64: what AWS does."""
    fields = dict(headers)
    is_text = b"json" in fields.get(b"content-type", b"") and b"content-encoding" not in fields
    if not body:
        return {"isBase64Encoded": False}
    if is_text:
        return {"body": body.decode(), "isBase64Encoded": False}
    return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def _single(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in headers}


def _several(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, list[str]]:
    several: dict[str, list[str]] = {}
    for name, value in headers:
        several.setdefault(name.decode(), []).append(value.decode())
    return several


def function_url(
    method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes, stage: str = "$default"
) -> dict[str, Any]:
    """A Function URL's; that of an HTTP API differs in the names of domain and stage only."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": _single(headers),
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "url-id",
            "domainName": "url-id.lambda-url.us-west-2.on.aws",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": CLIENT,
                "userAgent": "agent",
            },
            "requestId": "id",
            "routeKey": "$default",
            "stage": stage,
            "timeEpoch": 1_583_348_638_390,
        },
        **_body(body, headers),
    }


def rest_api(
    method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes
) -> dict[str, Any]:
    """A REST API's, with the names of fields as clients wrote them."""
    titled = [(name.decode().title().encode(), value) for name, value in headers]
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": _single(titled),
        "multiValueHeaders": _several(titled),
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": path.lstrip("/")},
        "stageVariables": None,
        "requestContext": {
            "path": f"/prod{path}",
            "stage": "prod",
            "httpMethod": method,
            "identity": {"sourceIp": CLIENT},
        },
        "body": None,
        **_body(body, headers),
    }


def load_balancer(
    method: str,
    path: str,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
    *,
    several: bool = False,
) -> dict[str, Any]:
    """A load balancer's; ``several``: its target group has multi-value headers on."""
    fields = [*headers, (b"x-forwarded-for", f"198.51.100.1, {CLIENT}".encode())]
    named: dict[str, Any] = {"headers": _single(fields)}
    if several:
        named = {"multiValueHeaders": _several(fields)}
    arn = "arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/lambda/49e9d65c45c6791a"
    return {
        "requestContext": {"elb": {"targetGroupArn": arn}},
        "httpMethod": method,
        "path": path,
        "queryStringParameters": {},
        **named,
        "body": "",
        **_body(body, headers),
    }


def load_balancer_several(
    method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes
) -> dict[str, Any]:
    """The second form of a load balancer's."""
    return load_balancer(method, path, headers, body, several=True)


FORMS = {
    "2.0": function_url,
    "1.0": rest_api,
    "alb": load_balancer,
    "alb multi-value": load_balancer_several,
}


def response_of(result: dict[str, Any]) -> Response:
    """What a client gets of a result: the carrier undoes base64 and counts the body."""
    body = result["body"]
    content = base64.b64decode(body) if result["isBase64Encoded"] else body.encode()
    if "multiValueHeaders" in result:
        pairs = [(n, v) for n, values in result["multiValueHeaders"].items() for v in values]
    else:
        pairs = list(result["headers"].items())
    fields = [(name.encode(), value.encode()) for name, value in pairs]
    fields.append((b"content-length", b"%d" % len(content)))
    return Response(result["statusCode"], tuple(fields), content)


def notification(bucket: str, key: str, etag: str, size: int, version: str = "") -> dict[str, Any]:
    """S3's own event of an object that was made; ``key`` as the event writes it."""
    made: dict[str, Any] = {
        "key": key,
        "size": size,
        "eTag": etag,
        "sequencer": "0A1B2C3D4E5F678901",
    }
    if version:
        made["versionId"] = version
    return {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": "us-west-2",
                "eventTime": "2026-07-01T09:00:00.000Z",
                "eventName": "ObjectCreated:Put",
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "configurationId": "id",
                    "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
                    "object": made,
                },
            }
        ]
    }


def event_bridge(bucket: str, key: str, etag: str, size: int, version: str = "") -> dict[str, Any]:
    """EventBridge's event of an object that was made."""
    made: dict[str, Any] = {"key": key, "size": size, "etag": etag, "sequencer": "617f08299329d189"}
    if version:
        made["version-id"] = version
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "111122223333",
        "time": "2026-07-01T09:00:00Z",
        "region": "ca-central-1",
        "resources": [f"arn:aws:s3:::{bucket}"],
        "detail": {
            "version": "0",
            "bucket": {"name": bucket},
            "object": made,
            "reason": "PutObject",
        },
    }


def queued(*bodies: object) -> dict[str, Any]:
    """An event of SQS with these messages; text as it is, else as JSON."""
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "body": body if isinstance(body, str) else json.dumps(body),
                "eventSource": "aws:sqs",
            }
            for number, body in enumerate(bodies)
        ]
    }


def from_sns(message: dict[str, Any]) -> dict[str, Any]:
    """An event of SNS, to which the function has subscribed."""
    sns = {"Type": "Notification", "MessageId": "id", "Message": json.dumps(message)}
    return {"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": sns}]}


def subscribed(message: dict[str, Any]) -> dict[str, Any]:
    """A message of a queue that has subscribed to SNS, without raw delivery."""
    sns: dict[str, Any] = from_sns(message)["Records"][0]["Sns"]
    return sns


SCHEDULED = {
    "version": "0",
    "account": "123456789012",
    "region": "us-east-2",
    "detail": {},
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "time": "2026-07-01T09:00:00Z",
    "id": "cdc73f9d-aea9-11e3-9d5a-835b769c0d9c",
    "resources": ["arn:aws:events:us-east-2:123456789012:rule/my-schedule"],
}
