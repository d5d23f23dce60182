"""What takes a request out of another document, as it is told, takes it out."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest

from otlp2parquet.captures import foreign

REQUEST: dict[str, Any] = {"resourceSpans": [{"resource": {}, "scopeSpans": []}]}
TEXT = json.dumps(REQUEST)


@pytest.mark.parametrize(
    "document",
    [
        {"payload": REQUEST},
        {"payload": TEXT},
        {"log-events": REQUEST, "a": 1},
        {"a b": TEXT},
        {"logEvents": [{"message": TEXT}, {"message": TEXT}]},
        {"data": [{"x": {"y": REQUEST}}]},
        {"it's": {"deeper": {"still": TEXT}}},
    ],
)
def test_the_command_that_is_told(document: dict[str, Any]) -> None:
    """A shell and jq are asked, as whoever reads it would."""
    text = json.dumps(document)
    told = foreign.json(text.encode())
    command = re.search(r"\((jq -.+) takes it out\)$", told)
    assert command is not None, told
    done = subprocess.run(
        ["sh", "-c", command[1]], input=text, capture_output=True, text=True, check=True
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found == [REQUEST] * text.count("resourceSpans")
