"""A plugin of pytest: every request that the twin in plain Python gets, kept in a file.

``python -m pytest tests/vectors -p tests.vectors.recorded`` with the file's path in
``TESTS_RECORDED``: one JSON object a line. For whoever decodes the vectors elsewhere.
"""

from __future__ import annotations

import base64
import json
import os
from typing import Any

from otlp2parquet.core.pure.builder import BatchBuilder

VARIABLE = "TESTS_RECORDED"
_recorded: dict[str, None] = {}
_append = BatchBuilder.append


def _recording(builder: BatchBuilder, payload: Any, signal: Any, **options: Any) -> Any:
    body = payload.encode("utf-8", "surrogatepass") if isinstance(payload, str) else bytes(payload)
    case = {
        "payload": base64.b64encode(body).decode(),
        "signal": signal,
        "options": options,
        "max_payload_bytes": builder._max_payload_bytes,  # noqa: SLF001 - as it was made
    }
    _recorded[json.dumps(case)] = None
    return _append(builder, payload, signal, **options)


def pytest_configure() -> None:
    """Begin to record."""
    BatchBuilder.append = _recording  # type: ignore[assignment,method-assign]


def pytest_sessionfinish() -> None:
    """Write the file."""
    with open(os.environ[VARIABLE], "w", encoding="ascii") as file:  # noqa: PTH123 - a path of text
        file.writelines(f"{line}\n" for line in _recorded)
