"""What an installed wheel says where it runs: run by a Python of another platform, and by ours.

``python wheel_trial.py TAGS VECTORS`` prints how the platform takes the tags of the wheel, then a
digest of what the extension makes of each request. Knows the package, pyarrow and packaging, and
nothing of the tests, because they are not there.
"""

import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
from packaging.tags import parse_tag, sys_tags

from otlp2parquet._native import BatchBuilder
from otlp2parquet.errors import OtlpError


def digests(lines: str) -> list[str]:
    """For each request: the digest of counts, messages, places, schemas and all rows."""
    return [_digest(json.loads(line)) for line in lines.splitlines()]


def _digest(case: dict[str, Any]) -> str:
    builder = BatchBuilder(max_payload_bytes=case["max_payload_bytes"])
    payload = base64.b64decode(case["payload"])
    facts: list[object]
    try:
        said = builder.append(payload, case["signal"], **case["options"])
        facts = [said.accepted, said.rejected, said.undated, said.message, said.unstored]
    except OtlpError as error:
        place = getattr(error, "offset", None), getattr(error, "path", "")
        facts = [type(error).__name__, str(error), *place]
    rows: list[object] = []
    for batch in builder.finish():
        taken = pa.record_batch(batch)
        schema = taken.schema.to_string(show_field_metadata=True)
        rows.append((batch.table, batch.service, batch.hour.isoformat(), schema))
        # Nanoseconds are a column of their own: no value is more than Python's types can say.
        rows += [repr(row) for row in taken.to_pylist()]
    return hashlib.sha256(repr((facts, rows)).encode("utf-8", "backslashreplace")).hexdigest()


def main(tags: str, vectors: str) -> None:
    """Print the answers: a line, then a line for each request."""
    taken = parse_tag(tags) & set(sys_tags())
    sys.stdout.write(f"{min(map(str, taken), default='no tag of it')}\n")
    for digest in digests(Path(vectors).read_text("ascii")):
        sys.stdout.write(f"{digest}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
