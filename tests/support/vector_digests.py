"""What the decoder in plain Python says of requests, as digests: runs here and under Pyodide.

Knows the standard library and the package alone, so that its text can be given to either.
"""

import base64
import hashlib
import json

from otlp2parquet.core.pure.builder import BatchBuilder
from otlp2parquet.errors import OtlpError


def digests(lines: str) -> str:
    """A line for each request: the digest of counts, messages, places and all rows."""
    return "\n".join(_digest(json.loads(line)) for line in lines.splitlines())


def _digest(case: dict[str, object]) -> str:
    builder = BatchBuilder(max_payload_bytes=case["max_payload_bytes"])  # type: ignore[arg-type]
    payload = base64.b64decode(str(case["payload"]))
    facts: list[object]
    try:
        said = builder.append(payload, case["signal"], **case["options"])  # type: ignore[arg-type]
        facts = [said.accepted, said.rejected, said.undated, said.message, said.unstored]
    except OtlpError as error:
        place = getattr(error, "offset", None), getattr(error, "path", "")
        facts = [type(error).__name__, str(error), *place]
    rows = [
        (batch.table, batch.service, batch.hour.isoformat(), [list(one) for one in batch.columns])
        for batch in builder.finish()
    ]
    return hashlib.sha256(repr((facts, rows)).encode("utf-8", "backslashreplace")).hexdigest()
