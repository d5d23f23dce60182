"""Counts as lines of CloudWatch's embedded metric format: a line of the log that is metrics, too.

Knows that format. Must not know what is counted. One line for each event, on standard output, so
that no request of its own is needed to publish it.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Final, TextIO

NAMESPACE: Final = "otlp2parquet"

UNITS: Final[Mapping[str, str]] = {
    "requests": "Count",
    "refused_requests": "Count",
    "accepted_records": "Count",
    "rejected_records": "Count",
    "received_bytes": "Bytes",
    "request_secs": "Seconds",
    "commit_secs": "Seconds",
    "uncommitted_receipts": "Count",
    "committed_files": "Count",
    "converted_objects": "Count",
    "converted_rows": "Count",
    "left_out_parts": "Count",
}
"""Every metric, and its unit."""


class Metrics:
    """The metrics of one function."""

    def __init__(
        self,
        function: str,
        stream: TextIO | None = None,
        time_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._function = function
        self._stream = stream
        self._time_ms = time_ms

    def tell(self, values: Mapping[str, float], **dimensions: str) -> None:
        """Publish values by the function's name and by further ``dimensions``."""
        names = {"function": self._function, **dimensions}
        line = {
            "_aws": {
                "Timestamp": self._time_ms(),
                "CloudWatchMetrics": [
                    {
                        "Namespace": NAMESPACE,
                        "Dimensions": [list(names)],
                        "Metrics": [{"Name": name, "Unit": UNITS[name]} for name in values],
                    }
                ],
            },
            **names,
            **values,
        }
        # Looked up late: the runtime puts a stream of its own in place of this one.
        stream = sys.stdout if self._stream is None else self._stream
        stream.write(json.dumps(line, separators=(",", ":")) + "\n")
        stream.flush()
