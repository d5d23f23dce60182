"""Refusals in the server's log: none is silent, and none of them can flood it.

A refused request, and one of which records were left out, is a warning: the first at once, and
those of the same client for the same reason together a minute later, with their count. Knows how
to count and to log. What is logged is what the client was told, never anything out of a body; what
it wrote into its request's head is cut short. Used on the event loop's thread only.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

from otlp2parquet.core.outcome import Outcome

log = logging.getLogger(__name__)

PERIOD_SECS: Final = 60.0
MAX_PAIRS: Final = 1000
"""Pairs of client and reason that are told apart at a time. Further clients count as one, so that
whoever has many addresses fills neither memory nor disk."""

LONGEST_MESSAGE: Final = 500
LONGEST_NAME: Final = 100

OTHERS: Final = "others"


class Told(Protocol):
    """An answer, of whichever protocol."""

    @property
    def reason(self) -> str: ...  # noqa: D102 - a member of a protocol
    @property
    def message(self) -> str: ...  # noqa: D102


class Judged(NamedTuple):
    """What an answer with a message is called, where it is worth a warning."""

    reason: str
    rejected: int
    """Records that were left out, where others of the request may be kept; else 0."""


def judge(told: Told, outcome: Outcome | None) -> Judged | None:
    """What to call an answer, from what became of its request; None where nothing was refused.

    ``outcome`` is None where a request ended at its head. A warning beside rows that are kept is
    the sender's; a request without any is not.
    """
    if outcome is None or not outcome.is_taken:
        return Judged(told.reason, 0)
    if outcome.rejected:
        return Judged("rejected records", outcome.rejected)
    return None if outcome.accepted else Judged("nothing understood", 0)


class _Pair:
    __slots__ = ("content_type", "count", "message", "path", "records", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.count = 0
        self.records = 0
        self.path = self.content_type = self.message = ""


class Refusals:
    """What was refused lately, by client address and reason."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        # In the order of their beginnings, so that only the first has to be looked at.
        self._pairs: OrderedDict[tuple[str, str], _Pair] = OrderedDict()

    def report(
        self,
        response: Told,
        outcome: Outcome | None,
        *,
        client: str,
        path: str,
        headers: Iterable[tuple[bytes, bytes]],
    ) -> None:
        """Take note of an answer with a message; whether it is worth a warning ``judge`` says."""
        judged = judge(response, outcome)
        if judged is None:
            return
        self.add(
            client or "unknown",
            judged.reason,
            response.message,
            path=path,
            content_type=_content_type(headers),
            rejected=judged.rejected,
        )

    def add(
        self,
        client: str,
        reason: str,
        message: str,
        *,
        path: str,
        content_type: str,
        rejected: int = 0,
    ) -> None:
        """One request was refused, or ``rejected`` of its records were."""
        key = (client, reason)
        pair = self._pairs.get(key)
        if pair is None and len(self._pairs) >= MAX_PAIRS:
            key = (OTHERS, reason)
            pair = self._pairs.get(key)
        is_first = pair is None
        if pair is None:
            pair = self._pairs[key] = _Pair(self._monotonic())
        pair.count += 1
        pair.records += rejected
        pair.path, pair.content_type = path[:LONGEST_NAME], content_type[:LONGEST_NAME]
        pair.message = message[:LONGEST_MESSAGE]
        if is_first:
            _warn(key, pair)

    def tick(self, *, everything: bool = False) -> None:
        """Log what came together in a minute that is over; or everything, at the end."""
        now = self._monotonic()
        while self._pairs:
            key, pair = next(iter(self._pairs.items()))
            if not everything and now - pair.since < PERIOD_SECS:
                return
            del self._pairs[key]
            if pair.count:
                _warn(key, pair)
                if not everything:  # its next minute begins, at the end of the order
                    pair.since = now
                    self._pairs[key] = pair


def _content_type(headers: Iterable[tuple[bytes, bytes]]) -> str:
    for name, value in headers:
        if name == b"content-type":
            return value.decode("latin-1")
    return ""


def _warn(key: tuple[str, str], pair: _Pair) -> None:
    client, reason = key
    fields: dict[str, object] = {
        "client": client,
        "reason": reason,
        "count": pair.count,
        "path": pair.path,
        "content_type": pair.content_type,
        "answer": pair.message,
    }
    if pair.records:
        fields["records"] = pair.records
    text = "records rejected" if pair.records else "requests refused"
    log.warning(text, extra={"fields": fields})
    pair.count = pair.records = 0
