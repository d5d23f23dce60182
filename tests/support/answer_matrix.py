"""The answer matrix of OTLP/HTTP: every outcome of every kind of request, and its page.

Knows how to make a request for each outcome, how to answer it without a socket, and how an
official decoder reads the answer. What an answer must be is in ``test_answer_matrix``.

``python -m tests.support.answer_matrix`` prints ``docs/otlp_http.md``: what is answered, not
what was meant to be.
"""

from __future__ import annotations

import itertools
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format, text_format
from google.rpc import status_pb2
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from otlp2parquet import process_otlp
from otlp2parquet.core import outcome
from otlp2parquet.core.auth import Tokens
from otlp2parquet.core.otlp_http import (
    Response,
    format_of,
    read_head,
    render,
    unauthenticated,
)
from otlp2parquet.core.signals import SIGNALS
from otlp2parquet.errors import OtlpError, StorageError
from tests.support.encoded import ENCODERS
from tests.support.strategies import nested

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.message import Message

    from otlp2parquet.core.otlp_http import ExportHead
    from otlp2parquet.core.signals import Signal

MEDIA_TYPES = {
    "protobuf": "application/x-protobuf",
    "JSON": "application/json",
    "NDJSON": "application/x-ndjson",
}
ENCODINGS = {"none": "identity", "gzip": "gzip", "zstd": "zstd", "deflate": "deflate"}
OUTCOMES = {
    "ok": "every record is kept",
    "empty": "nothing to keep: 0 bytes, or `{}`",
    "partial": "one record of two is bad for good",
    "400": "the body is not OTLP, here a message that is cut short",
    "401": "no token, or an unknown one",
    "404": "another path",
    "405": "another method than POST",
    "413": "larger than `request.max_payload_bytes`, here announced",
    "415": "an encoding that is not read, here `br`",
    "503": "trouble that passes, here of the storage",
}
REQUESTS: dict[Signal, type[Message]] = {
    "logs": logs_service_pb2.ExportLogsServiceRequest,
    "traces": trace_service_pb2.ExportTraceServiceRequest,
    "metrics": metrics_service_pb2.ExportMetricsServiceRequest,
}
RESPONSES: dict[Signal, type[Message]] = {
    "logs": logs_service_pb2.ExportLogsServiceResponse,
    "traces": trace_service_pb2.ExportTraceServiceResponse,
    "metrics": metrics_service_pb2.ExportMetricsServiceResponse,
}
LIMIT = 100_000
SECRET = "of-the-matrix"  # noqa: S105 - it opens nothing
CANARY = "hush"
"""In every request wherever a sender may write text: no answer may repeat it."""
DEPTH = 65
"""One more level of arrays than a record may have."""


@dataclass(frozen=True, slots=True)
class Case:
    """One cell: a request, by what becomes of it."""

    outcome: str
    format: str
    encoding: str
    signal: Signal

    @property
    def method(self) -> str:
        """POST, unless that is the trouble."""
        return "PUT" if self.outcome == "405" else "POST"

    @property
    def path(self) -> str:
        """The signal's, unless that is the trouble."""
        return f"/v1/{CANARY}" if self.outcome == "404" else f"/v1/{self.signal}"

    @property
    def body(self) -> bytes:
        """What is sent, in its encoding."""
        return ENCODERS[ENCODINGS[self.encoding]](self._payload()) if self._payload() else b""

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """As ASGI gives them."""
        length = LIMIT + 1 if self.outcome == "413" else len(self.body)
        encoding = "br" if self.outcome == "415" else ENCODINGS[self.encoding]
        fields = {
            "content-type": MEDIA_TYPES[self.format],
            "content-length": str(length),
            "user-agent": CANARY,
            "authorization": f"Bearer {CANARY if self.outcome == '401' else SECRET}",
        }
        if encoding != "identity":
            fields["content-encoding"] = encoding
        return [(name.encode(), value.encode()) for name, value in fields.items()]

    def _payload(self) -> bytes:
        if self.outcome == "empty":
            return b"{}" if self.format == "JSON" else b""
        message = export_request(self.signal, bad_record=self.outcome == "partial")
        if self.format == "protobuf":
            payload = bytes(message.SerializeToString())
            # A record that holds the beginning of a text which it is too short for.
            return payload + (nested((1, 2, 2), b"\x0a\x7fhush") if self.outcome == "400" else b"")
        # Ids are empty here, so protobuf's own JSON is OTLP's.
        payload = str(json_format.MessageToJson(message, indent=None)).encode()
        return payload[:-9] if self.outcome == "400" else payload + b"\n"


def export_request(signal: Signal, *, bad_record: bool) -> Any:
    """A request with two records; one of them may be nested too deeply."""
    request: Any = REQUESTS[signal]()
    if signal == "logs":
        records = request.resource_logs.add().scope_logs.add().log_records
    elif signal == "traces":
        records = request.resource_spans.add().scope_spans.add().spans
    else:
        metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name=CANARY)
        records = metric.gauge.data_points
    for depth in (1, DEPTH if bad_record else 1):
        value = records.add().attributes.add(key=CANARY).value
        for _ in range(depth):
            value = value.array_value.values.add()
        value.string_value = CANARY
    return request


def cases() -> Iterator[Case]:
    """Every cell of the matrix."""
    yield from itertools.starmap(Case, itertools.product(OUTCOMES, MEDIA_TYPES, ENCODINGS, SIGNALS))


def answer(case: Case) -> Response:
    """What the core answers, without a socket."""
    if not Tokens([SECRET]).admit(case.headers):
        return unauthenticated(format_of(case.headers))
    head = read_head(case.method, case.path, case.headers, max_payload_bytes=LIMIT)
    if isinstance(head, Response):
        return head
    return render(head, _outcome(case, head))


def _outcome(case: Case, head: ExportHead) -> outcome.Outcome:
    if not case.body:
        return outcome.empty(head.media_type)
    try:
        if case.outcome == "503":
            raise StorageError("the disk is full")
        result = process_otlp(
            case.body,
            head.signal,
            content_type=head.media_type,
            content_encoding=head.encoding,
        )
    except OtlpError as error:
        return outcome.of_error(error)
    return outcome.taken(result.accepted, result.rejected, result.message, len(case.body))


def read(case: Case, response: Response) -> Any:
    """The answer's message, by the official classes; unknown or broken fields are errors."""
    message: Any = status_pb2.Status() if response.status >= 400 else RESPONSES[case.signal]()
    if dict(response.headers)[b"content-type"] == b"application/json":
        return json_format.Parse(response.body, message)
    message.ParseFromString(response.body)
    assert message.SerializeToString() == response.body
    return message


# The page ----------------------------------------------------------------------------------

_HEAD = """\
# OTLP/HTTP, answer by answer

<!-- Generated by `python -m tests.support.answer_matrix > docs/otlp_http.md`; do not edit. -->

What is answered to a request, by its format and by what becomes of it. Every answer here was given
by the code: {cells} requests, which are {outcomes} outcomes x {formats} x {encodings} x {signals}.
Tests send the same through the whole server application and read each body with the official
protobuf classes.

- Requests are `POST /v1/logs`, `/v1/traces` and `/v1/metrics`, also below `server.path_prefix`
  where one is set; slashes may be doubled, and one may trail.
- `Content-Type`: `application/x-protobuf` (or `application/protobuf`, or
  `application/vnd.google.protobuf`), `application/json`, and for JSON lines (one export request a
  line) `application/x-ndjson` or `application/jsonl`.
- `Content-Encoding`: none, `identity`, `gzip` (several members too; also `x-gzip`), `zstd` (several
  frames too) or `deflate` (which is zlib, and also called `zlib`). `identity` and `none` count as
  nothing in a list; more than one other is a 415. A body of 0 bytes is empty, whatever its
  encoding; 0 bytes of JSON are a 400, because they are no JSON.
- Answers are at most 4 KiB, in the request's format (JSON lines are answered in JSON; who sends
  neither is answered in JSON), and never repeat what a sender wrote.
- A 503 carries `Retry-After`: send the same again. Every 4xx is for good. There is no 500,
  because clients throw away what they get one for.
- The order in which a request is judged: token, path, method, content type, encoding, announced
  length, all before the body is read; then the body.

Bodies in protobuf are shown as the official decoder reads them.
"""


def page() -> str:
    """docs/otlp_http.md."""
    cells = list(cases())
    lines = [
        _HEAD.format(
            cells=len(cells),
            outcomes=len(OUTCOMES),
            formats="{" + ", ".join(MEDIA_TYPES) + "}",
            encodings="{" + ", ".join(ENCODINGS) + "}",
            signals="{" + ", ".join(SIGNALS) + "}",
        )
    ]
    for name, meaning in OUTCOMES.items():
        lines += [f"## {name}", "", meaning[0].upper() + meaning[1:] + ".", ""]
        lines += ["| request | status | header fields | body |", "|---|--:|---|---|"]
        for format_ in MEDIA_TYPES:
            group = [case for case in cells if (case.outcome, case.format) == (name, format_)]
            lines += _rows(format_, group)
        lines.append("")
    return "\n".join(lines)


def _rows(format_: str, group: list[Case]) -> Iterator[str]:
    """One row for each different answer, naming what it is for unless it is for all."""
    answers: dict[tuple[int, str, str], list[Case]] = {}
    for case in group:
        response = answer(case)
        fields = "<br>".join(
            f"`{name.decode()}: {value.decode()}`"
            for name, value in response.headers
            if name != b"content-length"
        )
        answers.setdefault((response.status, fields, _shown(case, response)), []).append(case)
    for (status, fields, body), same in answers.items():
        signals, encodings = ({case.signal for case in same}, {case.encoding for case in same})
        assert len(same) == len(signals) * len(encodings)
        named: list[str] = []
        if len(signals) < len(SIGNALS):
            named += [signal for signal in SIGNALS if signal in signals]
        if len(encodings) < len(ENCODINGS):
            named += [encoding for encoding in ENCODINGS if encoding in encodings]
        request = f"{format_}, {', '.join(named)}" if named else format_
        yield f"| {request} | {status} | {fields} | {body} |"


def _shown(case: Case, response: Response) -> str:
    """A body as a cell of the page."""
    if not response.body:
        return "0 bytes"
    if case.format != "protobuf":
        return f"`{json.dumps(json.loads(response.body), ensure_ascii=False)}`"
    message = read(case, response)
    text = text_format.MessageToString(message, as_one_line=True)
    return f"`{type(message).__name__} {{ {text} }}`"


if __name__ == "__main__":
    sys.stdout.write(page())
