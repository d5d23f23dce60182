"""The demonstration is a newcomer's first minute: it must work, and notice when it does not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from demo.__main__ import choose_port
from demo.rows import missing
from tests.support.usual_ports import usual_ports

CHECKOUT = Path(__file__).parents[1]


def test_the_demo_shows_every_record_as_a_row(tmp_path: Path) -> None:
    """``python -m demo`` exits 0, names all tables it filled and leaves the files to look at."""
    output = tmp_path / "shown"
    relative = os.path.relpath(output, CHECKOUT)  # as its own default is
    with usual_ports():
        done = subprocess.run(
            [sys.executable, "-m", "demo", "--orders", "50", "--output", relative],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every record that was sent is one row" in done.stdout
    for kind in ("logs", "traces", "metrics_gauge", "metrics_sum", "metrics_histogram"):
        assert f"otel_{kind}" in done.stdout
    assert "otel_metrics_exponential_histogram" in done.stdout
    data = output / "data"
    # 50 orders: four spans each, one log each and one more for every tenth.
    assert missing(data, {"otel_logs": 55, "otel_traces": 200})[0].startswith("otel_metrics_gauge")


def test_the_demo_notices_a_row_too_few(tmp_path: Path) -> None:
    """Counts that differ are named with both numbers; the demo exits non-zero on any of them."""
    assert missing(tmp_path, {"otel_logs": 3}) == ["otel_logs holds 0 rows, 3 records were sent"]
    assert missing(tmp_path, {}) == []


def test_a_taken_port_is_no_obstacle() -> None:
    """Somebody may already run a Collector on 4318: another port is taken then."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert choose_port(port) != port
    assert choose_port(port) == port
