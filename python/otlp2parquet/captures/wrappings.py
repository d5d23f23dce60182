"""Requests inside of what others put around them: runtimes' log lines, query APIs' answers.

Knows what the outermost object is called. The text of a request is cut out as it is; nothing of it
is written anew.
"""

import json
import re
from typing import Final

_BARE: Final = {
    b"Logs": re.compile(rb'"(?:scope|instrumentationLibrary)Logs"\s*:'),
    b"Spans": re.compile(rb'"(?:scope|instrumentationLibrary)Spans"\s*:'),
    b"Metrics": re.compile(rb'"(?:scope|instrumentationLibrary)Metrics"\s*:'),
}
_BATCHES: Final = re.compile(rb'\{\s*"batches"\s*:')
_TRACE: Final = re.compile(rb'\{\s*"trace"\s*:\s*(\{.*\})\s*\}', re.DOTALL)
_RESOURCE: Final = re.compile(rb'\{\s*"(?:resource|scope|schemaUrl|instrumentationLibrary)')


def unwrapped(text: bytes) -> bytes | None:
    """The request in a whole JSON document that is none itself; ``None`` if none is recognised.

    Recognised are: a bare ResourceLogs, ResourceSpans or ResourceMetrics; the line of Docker's
    json-file driver; Tempo's answers to a query for a trace.
    """
    if _BATCHES.match(text):
        return _BATCHES.sub(b'{"resourceSpans":', text, count=1)
    if trace := _TRACE.fullmatch(text):
        return trace[1]
    if text.startswith(b"{") and _RESOURCE.match(text):
        for name, member in _BARE.items():
            if member.search(text):
                return b'{"resource%b":[%b]}' % (name, text)
    if b'"log"' in text:
        try:
            line = json.loads(text).get("log")
        except (ValueError, AttributeError, RecursionError):
            return None
        if isinstance(line, str) and line.lstrip().startswith("{"):
            return line.strip().encode("utf-8", "surrogatepass")
    return None
