"""What runtimes and their commands put before every line of a program.

CRI's log files (containerd, CRI-O) have a time, a stream, and P for a part of a line or F for its
end; ``kubectl logs`` and ``docker logs`` put a time or a name there when told to, ``docker compose
logs`` the service. Knows lines. What a logger writes before its own message is not known here.
"""

import re
from typing import Final

from otlp2parquet.captures.wrappings.unwrapped import LogLine

_TIME: Final = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"
_CRI: Final = re.compile(_TIME + rb" (stdout|stderr) ([PF])(?::\S+)? ")
_BEFORE: Final = re.compile(
    rb"(?:\[pod/[^\]\s]+\] |[\w.-]{1,128} +\| )?(?:" + _TIME + rb" )?(?=\s*[{}\[\]\"])"
)


def line_behind_prefix(text: bytes) -> LogLine | None:
    """The line that a program wrote; None if nothing known stands before it."""
    if text.startswith(b"{"):
        return None
    if cri := _CRI.match(text):
        stream = "cri stdout" if cri[1] == b"stdout" else "cri stderr"
        return LogLine(stream, text[cri.end() :], cri[2] == b"F", at=cri.end())
    before = _BEFORE.match(text)
    return LogLine("", b"", at=before.end()) if before and before.end() else None
