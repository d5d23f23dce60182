"""Events that tell of objects in S3, however they come."""

from __future__ import annotations

import pytest

from otlp2parquet.platforms.aws_lambda.events import EventError
from otlp2parquet.platforms.aws_lambda.object_events import (
    ObjectReference,
    event_in,
    messages_in,
    objects_in,
)
from tests.support.lambda_events import event_bridge, notification, queued
from tests.support.requests import START


def test_a_notification_writes_keys_as_forms_do() -> None:
    """``+`` is a blank, and what is no ASCII is ``%XX``; its version, content and time are read."""
    event = notification("captures", "in/a+b%2Bc%C3%A9.jsonl", "abc", 7, "v1")
    expected = ObjectReference("captures", "in/a b+cé.jsonl", "v1", "abc", 7, START)
    assert list(objects_in(event)) == [expected]
    assert str(expected) == "s3://captures/in/a b+cé.jsonl"


def test_event_bridge_writes_keys_as_they_are() -> None:
    """And otherwise tells the same, so that who gets both converts once."""
    expected = ObjectReference("captures", "in/a+b%2B.jsonl", "v1", "abc", 7, START)
    assert list(objects_in(event_bridge("captures", "in/a+b%2B.jsonl", "abc", 7, "v1"))) == [
        expected
    ]
    (same,) = objects_in(notification("captures", "in/a%2Bb%252B.jsonl", "abc", 7, "v1"))
    assert same == expected


def test_a_version_is_named_by_its_content_where_there_are_none() -> None:
    """Two contents of one name are two; with versions the version tells them apart."""
    (one,) = objects_in(notification("b", "k", "first", 1))
    (other,) = objects_in(notification("b", "k", "second", 1))
    assert one.identity != other.identity
    (third,) = objects_in(notification("b", "k", "first", 1, "v1"))
    (fourth,) = objects_in(notification("b", "k", "first", 1, "v2"))
    assert third.identity != fourth.identity


def test_removals_tell_of_no_object() -> None:
    """Nor do tests, nor what happens to objects otherwise."""
    removal = notification("b", "k", "e", 1)
    removal["Records"][0]["eventName"] = "ObjectRemoved:Delete"
    for event in (removal, {"Event": "s3:TestEvent"}):
        assert list(objects_in(event)) == []
    tagged = event_bridge("b", "k", "e", 1) | {"detail-type": "Object Tags Added"}
    assert list(objects_in(tagged)) == []


@pytest.mark.parametrize("text", ["", "no JSON", "[1]", '"text"'])
def test_messages_of_a_queue(text: str) -> None:
    """Each has its id; what is no event tells of no object."""
    event = notification("b", "k", "e", 1)
    (first, found), second = messages_in(queued(event, text))
    assert (first, event_in(found)) == ("message-0", event)
    assert second == ("message-1", text)
    with pytest.raises(EventError, match="no JSON object"):
        event_in(text)
    assert list(messages_in(event)) == []
