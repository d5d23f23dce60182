"""Events that tell of objects that were made in S3: directly, through SQS or through EventBridge.

A pure translation into references to objects. Knows no storage. A notification of S3 writes keys as
forms do (``+`` for a blank), EventBridge writes them as they are.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote_plus

_NO_VERSION: Final = "null"


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


def objects_in(event: Mapping[str, Any]) -> Iterator[ObjectReference]:
    """The objects that an event tells of; of removals and tests none.

    An event of SQS has several of these events in it: see ``messages_in``.
    """
    if event.get("source") == "aws.s3":
        if event.get("detail-type") == "Object Created":
            yield _of_event_bridge(event)
        return
    for record in records_in(event):
        if record.get("eventSource") == "aws:s3" and _is_creation(record):
            yield _of_notification(record)


def records_in(event: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The records of an event of S3 or SQS; none of what is something else."""
    records = event.get("Records")
    for record in records if isinstance(records, list) else ():
        if isinstance(record, Mapping):
            yield record


def _is_creation(record: Mapping[str, Any]) -> bool:
    return str(record.get("eventName", "")).startswith("ObjectCreated:")


def messages_in(event: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The messages of an event of SQS: the id and the event in it, ``{}`` for one that is none."""
    for record in records_in(event):
        if record.get("eventSource") == "aws:sqs":
            try:
                body = json.loads(record.get("body") or "")
            except ValueError:
                body = {}
            yield str(record.get("messageId", "")), body if isinstance(body, Mapping) else {}


def _of_notification(record: Mapping[str, Any]) -> ObjectReference:
    s3 = record["s3"]
    found = s3["object"]
    return ObjectReference(
        s3["bucket"]["name"],
        unquote_plus(found["key"]),
        _version(found.get("versionId")),
        str(found.get("eTag") or ""),
        int(found.get("size") or 0),
        _nanoseconds(record["eventTime"]),
    )


def _of_event_bridge(event: Mapping[str, Any]) -> ObjectReference:
    detail = event["detail"]
    found = detail["object"]
    return ObjectReference(
        detail["bucket"]["name"],
        found["key"],
        _version(found.get("version-id")),
        str(found.get("etag") or ""),
        int(found.get("size") or 0),
        _nanoseconds(event["time"]),
    )


def _version(given: object) -> str:
    """The version; where a bucket keeps versions no more, all that comes is the version "null"."""
    return "" if given in (None, _NO_VERSION) else str(given)


def _nanoseconds(moment: str) -> int:
    """A moment of RFC 3339; both kinds of events write it in UTC."""
    return int(datetime.fromisoformat(moment).timestamp()) * 1_000_000_000
