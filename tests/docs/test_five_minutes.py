"""A new user's five minutes: what the page says is typed is typed, and what it shows is seen.

All but the installation, which `make five-minutes` measures; `make test-wheel` installs, too.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

from benchmarks.five_minutes import RESULT, clean, program, walk
from benchmarks.five_minutes_page import PAGE, page

DIFFERS = {
    r"\b[0-9a-f]{8}(?:-[0-9a-f-]+)?\b": "ID",
    r"\d[\d:.-]*": "0",
    r"\b0 (?:ns|µs|ms|s)\b": "0 s",
    r"\b(?:hour|date)=0": "0",
    r"-{3,}": "--",
    r" +": " ",
    r"(?m)^ ": "",
}
"""What differs from one run to the next: ids, numbers, units of durations, widths of columns."""


def alike(text: str) -> list[str]:
    """The lines of what was seen, without what differs."""
    text = "\n".join(line.strip() for line in text.splitlines())
    for pattern, instead in DIFFERS.items():
        text = re.sub(pattern, instead, text)
    return sorted(text.strip().splitlines())


def test_the_page_is_made_of_what_was_seen() -> None:
    """By `python -m benchmarks.five_minutes --page`, after a change of its words."""
    assert PAGE.read_text("utf-8") == page(json.loads(RESULT.read_text("utf-8")), program())


def test_what_is_typed_shows_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same lines, but for ids, times and sizes; none is wider than the terminal."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "somebody-elses")
    kept = json.loads(RESULT.read_text("utf-8"))["steps"]
    environ = clean(os.environ) | {"OTLP2PARQUET_GRPC_ADDR": "127.0.0.1:0"}
    environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"
    if "PYTHONPATH" in os.environ:
        environ["PYTHONPATH"] = os.environ["PYTHONPATH"]
    steps = walk(tmp_path, environ, "127.0.0.1:0")
    for name, step in steps.items():
        assert step["typed"] == kept[name]["typed"]
        assert alike(step["seen"]) == alike(kept[name]["seen"]), name
    for name in ("dev", "seen", "query"):
        assert max(map(len, steps[name]["seen"].splitlines())) <= 80
