"""Events that tell of objects that were made in S3: directly, through SQS, SNS or EventBridge.

A pure translation into references to objects. Knows no storage. A notification of S3 writes keys as
forms do (``+`` for a blank), EventBridge writes them as they are.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar
from urllib.parse import unquote_plus

from otlp2parquet.platforms.aws_lambda.events import Event, EventError, shown

_NO_VERSION: Final = "null"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """One version of one object."""

    bucket: str
    key: str
    version: str
    """Its version where the bucket keeps them, else empty."""
    etag: str
    """What tells its content from that of another object of this name."""
    size: int
    made_ns: int
    """When it was made, in ns since the epoch, as the event says: the same in each delivery."""

    @property
    def identity(self) -> str:
        """What names this version of this object among all."""
        return f"{self.bucket}\n{self.key}\n{self.version or self.etag}"

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def objects_in(event: Event) -> Iterator[ObjectReference]:
    """The objects that an event tells of; of removals and tests none.

    An event of SQS has several of these events in it: see ``messages_in``. Raises ``EventError``
    for an event that is not of S3, and for one that cannot be read, behind the objects of its other
    records: to take what says nothing for done would lose what it tells of.
    """
    if event.get("Event") == "s3:TestEvent":
        return
    if event.get("Type") == "Notification":  # of SNS, which a queue has subscribed to
        yield from objects_in(event_in(event.get("Message")))
        return
    if event.get("source") == "aws.s3":
        kind = event.get("detail-type")
        if kind == "Object Created":
            yield _read(_of_event_bridge, event)
            return
        if str(kind).startswith("Object "):
            return
        raise EventError(
            f"found an event of S3 of the type {shown(kind)}, expected 'Object Created'"
        )
    records = event.get("Records")
    if not isinstance(records, list) or not records:
        raise EventError(
            f"found an event with the members {shown(', '.join(sorted(event)), 300) or '(none)'}, "
            "expected an HTTP request, an object of S3 or a schedule"
        )
    errors = []
    for record in records:
        try:
            yield from _objects_of(record)
        except EventError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def _objects_of(record: object) -> Iterator[ObjectReference]:
    source = _source_of(record)
    if source == "aws:sns":
        yield from objects_in(event_in(_read(lambda sns: sns["Sns"]["Message"], record)))
    elif source != "aws:s3":
        raise EventError(
            f"found a record of {shown(source)}, expected an HTTP request, an object of S3 or a "
            "schedule"
        )
    elif _read(_is_creation, record):
        yield _read(_of_notification, record)


def _source_of(record: object) -> object:
    """Who has made a record: SNS writes the name with a capital."""
    if not isinstance(record, Mapping):
        return type(record).__name__
    return record.get("eventSource") or record.get("EventSource")


def _is_creation(record: Event) -> bool:
    name: str = record["eventName"]
    return name.removeprefix("s3:").startswith("ObjectCreated:")


def messages_in(event: Event) -> Iterator[tuple[str, object]]:
    """The messages of an event of SQS: the id of each, and what it holds, for ``event_in``."""
    records = event.get("Records")
    if not isinstance(records, list) or "aws:sqs" not in map(_source_of, records):
        return
    for record in records:
        message = record if isinstance(record, Mapping) else {}
        yield str(message.get("messageId") or ""), message.get("body")


def event_in(text: object) -> Event:
    """The event in a message; ``EventError`` for one that has none."""
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, Mapping):
        raise EventError("found a message that is no JSON object, expected an event of S3")
    return found


def _read(reader: Callable[[Any], T], event: object) -> T:
    try:
        return reader(event)
    except EventError:
        raise
    except KeyError as error:
        raise EventError(f"found an event of S3 without the member {error}") from error
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        # Its text may be what was found.
        kind = type(error).__name__
        raise EventError(f"found an event of S3 that cannot be read ({kind})") from error


def _of_notification(record: Event) -> ObjectReference:
    s3 = record["s3"]
    found = s3["object"]
    return _checked(
        ObjectReference(
            s3["bucket"]["name"],
            # A key that is no UTF-8 is none of S3's: what stood for its bytes would be another.
            unquote_plus(found["key"], errors="strict"),
            _version(found.get("versionId")),
            _tag(found.get("eTag")),
            int(found.get("size") or 0),
            _nanoseconds(record["eventTime"]),
        )
    )


def _of_event_bridge(event: Event) -> ObjectReference:
    detail = event["detail"]
    found = detail["object"]
    return _checked(
        ObjectReference(
            detail["bucket"]["name"],
            found["key"],
            _version(found.get("version-id")),
            _tag(found.get("etag")),
            int(found.get("size") or 0),
            _nanoseconds(event["time"]),
        )
    )


def _checked(found: ObjectReference) -> ObjectReference:
    names: tuple[object, ...] = (found.bucket, found.key)
    if not all(isinstance(name, str) and name for name in names):
        raise EventError("found an event of S3 without the names of a bucket and a key")
    if not found.version and not found.etag:
        raise EventError(
            "found an object without both, expected a version or an etag: the next object of this "
            "name has another"
        )
    return found


def _version(given: object) -> str:
    """The version; where a bucket keeps versions no more, all that comes is the version "null"."""
    return "" if given == _NO_VERSION else _tag(given)


def _tag(given: object) -> str:
    if given is not None and not isinstance(given, str):
        raise EventError(
            f"found {type(given).__name__}, expected texts for the version and the etag"
        )
    return given or ""


def _nanoseconds(moment: str) -> int:
    """A moment of RFC 3339; both kinds of events write it in UTC."""
    return int(datetime.fromisoformat(moment).timestamp()) * 1_000_000_000
