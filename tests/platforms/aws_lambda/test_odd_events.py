"""Events that are not as AWS's documentation shows them: a clear answer each, and nothing is lost.

One or more members of a usual event are taken out, or hold something else. A request is answered
in its form, never by an error, and a 200 still means that its rows are stored. Any other event is
an error in words, or it is done: none is taken for done that was not understood.
"""

from __future__ import annotations

import base64
import gzip
import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any
from unittest import mock
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp2parquet.errors import StorageRefusedError, StorageUnavailableError
from otlp2parquet.platforms.aws_lambda.events import EventError
from otlp2parquet.platforms.aws_lambda.function import Function
from otlp2parquet.platforms.aws_lambda.http_events import form_of, read_request
from otlp2parquet.platforms.aws_lambda.object_events import ObjectReference, messages_in, objects_in
from tests.support.lambda_bench import PROTOBUF, FunctionBench
from tests.support.lambda_events import (
    FORMS,
    SCHEDULED,
    event_bridge,
    from_sns,
    function_url,
    notification,
    queued,
    response_of,
    subscribed,
)
from tests.support.requests import logs_request
from tests.support.strategies import examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROWS = 3
BODY = logs_request(ROWS)
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
SENT_AGAIN = 503
"""The one refusal after which a sender keeps its data."""


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every member and item below a value: what holds it, and its name there."""
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for name, inner in list(members):
        yield value, name
        if isinstance(inner, dict | list):
            yield from places(inner)


def made_odd(event: dict[str, Any], data: st.DataObject) -> dict[str, Any]:
    """The event with one to three members that are missing, or hold something else."""
    odd = deepcopy(event)
    for _ in range(data.draw(st.integers(1, 3))):
        holder, name = data.draw(st.sampled_from(list(places(odd))))
        if data.draw(st.booleans()):
            holder[name] = data.draw(JSON_VALUES)
        elif isinstance(holder, dict):
            del holder[name]
        if not odd:
            break
    return odd


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FunctionBench]:
    """One function for all events, as an environment has it."""
    with FunctionBench(tmp_path_factory.mktemp("odd")) as made:
        yield made


@pytest.mark.parametrize("form", FORMS)
@examples(40)
@given(st.data())
def test_odd_requests(bench: FunctionBench, form: str, data: st.DataObject) -> None:
    """What still is a request has an answer, and it is stored if, and only if, that is a 200."""
    usual = FORMS[form]("POST", "/v1/logs", PROTOBUF, BODY)
    event = made_odd(usual, data)
    before = bench.rows
    if form_of(event) is None:
        with pytest.raises(EventError):
            bench.handle(event)
        assert bench.rows == before
        return
    result = bench.handle(event)
    json.dumps(result)
    got = response_of(result)
    # Another path may be that of the probe, and another body may be an empty request.
    is_export = got.status == 200 and b"json" not in dict(got.headers)[b"content-type"]
    assert bench.rows - before == (ROWS if is_export and event.get("body") == usual["body"] else 0)
    assert got.status in {200, 400, 404, 405, 413, 415, SENT_AGAIN}
    assert bench.assembly.budget.used == 0


WRONG: list[Any] = [True, 7, 1.5, [], ["a"], {}, {"a": "b"}]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize(
    ("form", "member"),
    [
        ("2.0", "requestContext http"),
        ("2.0", "requestContext http method"),
        ("2.0", "rawPath"),
        ("2.0", "headers"),
        ("2.0", "headers content-type"),
        ("2.0", "isBase64Encoded"),
        ("2.0", "body"),
        ("1.0", "httpMethod"),
        ("1.0", "path"),
        ("1.0", "multiValueHeaders"),
        ("1.0", "requestContext identity"),
        ("alb", "httpMethod"),
        ("alb", "path"),
        ("alb", "headers"),
        ("alb multi-value", "multiValueHeaders"),
        ("alb multi-value", "body"),
    ],
)
def test_members_of_other_types(bench: FunctionBench, form: str, member: str, wrong: Any) -> None:
    """The answer names the member and what it should be, and the sender keeps its data."""
    event = FORMS[form]("POST", "/v1/logs", PROTOBUF, BODY)
    *above, name = member.split()
    holder = event
    for one in above:
        holder = holder[one]
    if name == "isBase64Encoded" and wrong is True:
        wrong = "true"
    if isinstance(wrong, dict) and isinstance(holder[name], dict):
        wrong = [wrong]
    if name == "content-type" and not isinstance(wrong, dict | float):
        wrong = {}
    holder[name] = wrong
    before = bench.rows
    got = response_of(bench.handle(event))
    assert got.status == SENT_AGAIN
    message = json.loads(got.body)["message"]
    assert message.startswith("the event of this request cannot be read: ")
    assert ("a header field" if name == "content-type" else name) in message
    assert "expected" in message
    assert dict(got.headers)[b"retry-after"]
    assert bench.rows == before


@pytest.mark.parametrize("form", FORMS)
def test_what_has_no_value_is_not_there(form: str) -> None:
    """A field that is null, a list of fields that is null, an empty list beside a full one."""
    event = FORMS[form]("POST", "/v1/logs", PROTOBUF, BODY)
    name = "multiValueHeaders" if "multiValueHeaders" in event else "headers"
    event[name] |= {"Content-Encoding": None}
    assert b"content-encoding" not in dict(read_request(event, form).headers)  # type: ignore[arg-type]
    event |= {"multiValueHeaders": None, "headers": None}
    assert read_request(event, form).headers == ()  # type: ignore[arg-type]
    event |= {"multiValueHeaders": {}, "headers": {"Content-Type": "application/x-protobuf"}}
    assert read_request(event, form).headers == tuple(PROTOBUF)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", FORMS)
def test_names_of_fields_in_any_case(form: str, bench: FunctionBench) -> None:
    """HTTP/2 has them in lower case, others in their own; two of one name are two fields."""
    headers = [(b"CONTENT-Type", b"application/x-protobuf"), (b"Content-ENCODING", b"gzip")]
    packed = gzip.compress(BODY)
    before = bench.rows
    for more, status in (([], 200), ([(b"content-encoding", b"gzip")], 415)):
        event = FORMS[form]("POST", "/v1/logs", [*headers, *more], packed)
        assert response_of(bench.handle(event)).status == status
    assert bench.rows == before + ROWS


@pytest.mark.parametrize("form", FORMS)
def test_many_and_long_fields(form: str, bench: FunctionBench) -> None:
    """As many as an event of 6 MB holds: they are read once, and cost no more than that."""
    many = [(b"x-%d" % number, b"v" * 50) for number in range(20_000)]
    before = bench.rows
    event = FORMS[form]("POST", "/v1/logs", [*many, *PROTOBUF, (b"x", b"y" * 1_000_000)], BODY)
    assert response_of(bench.handle(event)).status == 200
    assert bench.rows == before + ROWS


def test_the_address_is_that_which_the_balancer_saw() -> None:
    """The last one of the last field, whatever a client wrote into fields of its own."""
    event = FORMS["alb multi-value"]("POST", "/v1/logs", PROTOBUF, BODY)
    event["multiValueHeaders"]["x-forwarded-for"] = ["10.0.0.1", "10.0.0.2, 192.0.2.9"]
    assert read_request(event, "alb multi-value").client == "192.0.2.9"
    event["multiValueHeaders"]["x-forwarded-for"] = ["10.0.0.1", "192.0.2.9"]
    assert read_request(event, "alb multi-value").client == "192.0.2.9"


@pytest.mark.parametrize("form", FORMS)
@examples(30)
@given(st.data())
def test_every_spelling_of_a_path(form: str, bench: FunctionBench, data: st.DataObject) -> None:
    """Percent-encoded or not, with doubled slashes, with one at its end, behind the stage."""
    path = "".join(
        data.draw(st.sampled_from([one, f"%{ord(one):02X}", f"%{ord(one):02x}"]))
        if one != "/"
        else data.draw(st.sampled_from(["/", "/", "//"]))
        for one in "/v1/logs"
    )
    stage = data.draw(st.sampled_from(["", "/prod", "//prod"])) if form in ("2.0", "1.0") else ""
    event = FORMS[form]("POST", stage + path + data.draw(st.sampled_from(["", "/"])), PROTOBUF, b"")
    event["requestContext"] |= {"stage": "prod"} if stage else {}
    assert response_of(bench.handle(event)).status == 200


NOT_UNDERSTOOD: list[tuple[Any, str]] = [
    (None, "NoneType"),
    ([], "list"),
    ([1, {"httpMethod": "GET"}], "list"),
    ("text", "str"),
    (7, "int"),
    ({}, r"members \(none\)"),
    ({"key1": "value1", "key2": "value2"}, "key1, key2"),
    ({"Records": []}, "Records"),
    ({"Records": "none"}, "Records"),
    ({"Records": [None]}, "NoneType"),
    ({"Records": [{"eventSource": "aws:kinesis", "kinesis": {}}]}, "aws:kinesis"),
    ({"Records": [{"eventSource": "aws:dynamodb"}]}, "aws:dynamodb"),
    ({"Records": [{"EventSource": "aws:sns", "Sns": {}}]}, "Message"),
    ({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": "hello"}}]}, "no JSON object"),
    ({"Type": "Notification", "Message": None}, "no JSON object"),
    ({"awslogs": {"data": "H4sI"}}, "awslogs"),
    ({"requestContext": {"eventType": "CONNECT", "connectionId": "x"}}, "requestContext"),
    ({"requestContext": [], "httpMethod": "GET"}, "requestContext"),
    ({"source": "aws.ec2", "detail-type": "EC2 Instance State-change"}, "source"),
    ({"source": "aws.s3", "detail-type": "AWS API Call via CloudTrail"}, "CloudTrail"),
    ({"source": "aws.s3", "detail-type": "Object Created", "detail": None}, "cannot be read"),
    ({"otlp2parquet": "convert"}, "otlp2parquet"),
    ({"eventSource": "aws:s3"}, "eventSource"),
]


@pytest.mark.parametrize(("event", "words"), NOT_UNDERSTOOD)
def test_what_is_not_understood_is_an_error(bench: FunctionBench, event: Any, words: str) -> None:
    """AWS keeps the event then, or tells who has called; the words say what was found."""
    with pytest.raises(EventError, match=words) as caught:
        bench.handle(event)
    assert "found" in str(caught.value)


@pytest.mark.parametrize(
    "event",
    [
        SCHEDULED,
        {"source": "aws.scheduler", "detail": "{}", "resources": ["arn"]},
        {**SCHEDULED, "detail": None, "resources": None},
        {"otlp2parquet": "reconcile"},
    ],
)
def test_every_schedule(bench: FunctionBench, event: dict[str, Any]) -> None:
    """Of rules and of the scheduler; by whatever text an operator has set there."""
    assert bench.handle(event) == {"is_complete": True}


KEYS = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("+% /?#&=é"), min_size=1, max_size=40
)
WAYS = {
    "S3": lambda key: notification("b", quote_plus(key, safe="/"), "e", 1),
    "EventBridge": lambda key: event_bridge("b", key, "e", 1),
    "SNS": lambda key: from_sns(notification("b", quote_plus(key), "e", 1)),
    "SNS to SQS": lambda key: subscribed(notification("b", quote_plus(key), "e", 1)),
    "EventBridge to SNS": lambda key: from_sns(event_bridge("b", key, "e", 1)),
    "SNS to SNS": lambda key: from_sns(subscribed(notification("b", quote_plus(key), "e", 1))),
}


@pytest.mark.parametrize("way", WAYS)
@examples(40)
@given(KEYS)
def test_every_key_by_every_way(way: str, key: str) -> None:
    """The object is the one that was made, whatever its name has in it."""
    (found,) = objects_in(WAYS[way](key))
    assert (found.bucket, found.key) == ("b", key)


@pytest.mark.parametrize("way", WAYS)
@examples(60)
@given(st.data())
def test_odd_events_of_objects(way: str, data: st.DataObject) -> None:
    """An object that can be named, or an error: nothing is dropped for what cannot be read.

    Only an event that is said to be of something else tells of none.
    """
    event = made_odd(WAYS[way]("k"), data)
    try:
        found = list(objects_in(event))
    except EventError:
        return
    for one in found:
        assert isinstance(one, ObjectReference)
        names: list[Any] = [one.bucket, one.key]
        assert all(isinstance(name, str) and name for name in names)
        assert one.version + one.etag
    if not found:
        record = (event.get("Records") or [{}])[0]
        assert not str(record.get("eventName", "")).startswith("ObjectCreated:")
        assert event.get("detail-type") != "Object Created"
        assert event.get("source") == "aws.s3" or "eventName" in record


@pytest.mark.parametrize("key", ["%ff", "a%C3", "%ED%A0%80"])
def test_a_key_that_is_no_text(key: str) -> None:
    """S3 has no such object; one of another name must not be looked for in its place."""
    with pytest.raises(EventError, match="cannot be read"):
        list(objects_in(notification("b", key, "e", 1)))


@pytest.mark.parametrize("version", ["", "null"])
def test_an_object_without_a_version_and_a_content(version: str) -> None:
    """It could not be told from the next one of its name, which would count as done."""
    for event in (notification("b", "k", "", 1, version), event_bridge("b", "k", "", 1, version)):
        with pytest.raises(EventError, match="version or an etag"):
            list(objects_in(event))


BAD_BODIES: list[Any] = [
    "",
    "no JSON",
    "[]",
    "[" * 100_000,
    "7",
    '{"Records": [{}]}',
    '{"a": 1}',
    None,
    7,
    {},
]


@examples(40)
@given(
    st.lists(
        st.one_of(
            st.integers(0, 9), st.sampled_from([{"Event": "s3:TestEvent"}, *map(repr, range(3))])
        ),
        max_size=8,
    ),
    st.data(),
)
def test_messages_that_fail_come_again(
    bench: FunctionBench, kinds: list[Any], data: st.DataObject
) -> None:
    """Each for itself, and all others are converted once each, however they came."""
    bodies: list[Any] = []
    failing, expected = [], []
    for number, kind in enumerate(kinds):
        if isinstance(kind, int):
            way = data.draw(st.sampled_from([notification, event_bridge]))
            event = way("b", f"key-{kind}", "e", 1)
            bodies.append(data.draw(st.sampled_from([event, subscribed(event)])))
            expected.append(f"key-{kind}")
            if kind == 9:
                failing.append(number)
        elif isinstance(kind, str):
            bodies.append(data.draw(st.sampled_from(BAD_BODIES)))
            failing.append(number)
        else:
            bodies.append(kind)
    event = queued(*bodies)
    for record, body in zip(event["Records"], bodies, strict=True):
        if body is None or isinstance(body, int) or body == {}:
            record["body"] = body
    converted: list[str] = []

    def convert(_self: Function, reference: ObjectReference, _end: float) -> None:
        converted.append(reference.key)
        if reference.key == "key-9":
            raise StorageUnavailableError("away")

    with mock.patch.object(Function, "_convert", convert):
        if not bodies:
            with pytest.raises(EventError):
                bench.handle(event)
            return
        result = bench.handle(event)
    assert converted == expected
    assert result == {"batchItemFailures": [{"itemIdentifier": f"message-{n}"} for n in failing]}


def test_records_that_are_no_messages_of_the_queue(bench: FunctionBench) -> None:
    """Without an id AWS sends the whole batch again: nothing in it is lost."""
    event = queued({"Event": "s3:TestEvent"})
    event["Records"] += ["junk", notification("b", "k", "e", 1)["Records"][0]]
    assert list(messages_in(event))[1:] == [("", None), ("", None)]
    nothing = {"itemIdentifier": ""}
    assert bench.handle(event) == {"batchItemFailures": [nothing, nothing]}


@pytest.mark.parametrize("way", [lambda event: event, queued], ids=["direct", "queued"])
def test_a_record_that_cannot_be_read_does_not_hold_up_the_others(
    bench: FunctionBench, way: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    """All that can be read are tried, wherever it stands; and the event comes again."""
    event = notification("b", "key-0", "e", 1)
    event["Records"].insert(0, {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"})
    event["Records"] += notification("b", "%ff", "e", 1)["Records"]
    event["Records"] += notification("b", "key-1", "e", 1)["Records"]
    tried: list[str] = []

    def convert(_self: Function, reference: ObjectReference, _end: float) -> None:
        tried.append(reference.key)

    with mock.patch.object(Function, "_convert", convert):
        if "body" in way(event)["Records"][0]:
            failures = bench.handle(way(event))["batchItemFailures"]
            assert failures == [{"itemIdentifier": "message-0"}]
        else:
            with pytest.raises(EventError, match="without the member 's3'"):
                bench.handle(event)
    assert tried == ["key-0", "key-1"]


LONG = "\x1b[2J\n" * 50_000


@pytest.mark.parametrize(
    "event",
    [
        {LONG: 1},
        {"Records": [{"eventSource": LONG}]},
        {"source": "aws.s3", "detail-type": LONG},
        notification("b", "%ff" * 50_000, "e", 1),
    ],
)
def test_an_error_is_a_line_that_a_log_can_take(bench: FunctionBench, event: Any) -> None:
    """AWS writes it into its log as it is."""
    with pytest.raises(EventError) as caught:
        bench.handle(event)
    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()


def test_a_folder_of_the_console_is_done(bench: FunctionBench) -> None:
    """It is an object without content whose key ends as a folder's: there is nothing to take."""
    event = notification("b", "captures/", "e", 0)
    assert bench.handle(event) == {"objects": 1}


def test_one_object_that_fails_does_not_hold_up_the_others(bench: FunctionBench) -> None:
    """Of several records of one event all are tried; then it is an error, and comes again."""
    event = notification("b", "key-0", "e", 1)
    for number in range(1, 4):
        event["Records"] += notification("b", f"key-{number}", "e", 1)["Records"]
    tried: list[str] = []

    def convert(_self: Function, reference: ObjectReference, _end: float) -> None:
        tried.append(reference.key)
        if reference.key in ("key-1", "key-2"):
            raise StorageRefusedError(f"no {reference.key}")

    with (
        mock.patch.object(Function, "_convert", convert),
        pytest.raises(StorageRefusedError, match="no key-1"),
    ):
        bench.handle(event)
    assert tried == [f"key-{number}" for number in range(4)]


@pytest.mark.parametrize("body", [None, "", "AAA", "A===", "-_-_", "no base64", "é", " "])
def test_bodies_that_are_said_to_be_base64(bench: FunctionBench, body: str | None) -> None:
    """None at all is an empty request; what is no base64 did not come through."""
    event = function_url("POST", "/v1/logs", PROTOBUF, BODY) | {"body": body}
    got = response_of(bench.handle(event))
    assert got.status == (SENT_AGAIN if body else 200)
    event |= {"body": base64.b64encode(BODY).decode(), "isBase64Encoded": None}
    assert response_of(bench.handle(event)).status == 400
