"""The light hostile inputs on the gRPC front: allowed answers, bounded memory, nothing kept.

``make hostile`` tries the heavy ones too.
"""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

import pytest

from tests.components import Server
from tests.components.parquet_rows import stored_tables
from tests.hostile.grpc_inputs import GRPC_INPUTS, OK
from tests.hostile.grpc_page import PAGE
from tests.hostile.grpc_slow import among_slow_calls, large_messages_at_once
from tests.hostile.grpc_trying import attempt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONG = os.environ.get("TESTS_HOSTILE") == "long"
TRIED = [one for one in GRPC_INPUTS if LONG or not one.heavy]
FAMILIES = list(dict.fromkeys(hostile.family for hostile in TRIED))
SLOW = 1000 if LONG else 100


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own, with both fronts."""
    with Server(tmp_path, grpc=True) as running:
        yield running
        assert running.stop() == 0, running.log
        assert "Traceback" not in running.log
        assert "panicked" not in running.log


@pytest.fixture(autouse=True)
def _open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))


@pytest.mark.parametrize("family", FAMILIES)
def test_hostile_inputs_are_answered_and_outlived(server: Server, family: str) -> None:
    """Each has one of its answers and costs no more than it may; both fronts go on after it.

    What was not answered with OK has left nothing, and what was good is all there.
    """
    taken = tried = 0
    for hostile in TRIED:
        if hostile.family == family:
            outcome = attempt(server, hostile)
            assert outcome.grown <= hostile.most_mib, (hostile.name, outcome)
            taken += outcome.answer == OK and not hostile.is_empty
            tried += 1
    assert server.stop() == 0, server.log
    bodies = [row["Body"] for row in stored_tables(server.data)["otel_logs"]]
    assert bodies.count("good") == 2 * tried
    assert len(bodies) == 2 * tried + taken


def test_slow_calls_are_not_in_the_way(server: Server) -> None:
    """Of a good client's requests by either front; and they cost little memory."""
    figures = among_slow_calls(server, SLOW, 60)
    for each in (figures.over_http, figures.over_grpc):
        assert each.grown < 96, figures
        assert each.during.requests == 60


LARGE = """
[request]
max_payload_bytes = "16 MiB"
[batch]
max_bytes = "32 MiB"
memory_bytes = "96 MiB"
"""


def test_large_messages_at_once_have_a_bound(tmp_path: Path) -> None:
    """Each is acknowledged or may be sent again; what is received may be as much as rows may."""
    (tmp_path / "large.toml").write_text(LARGE)
    with Server(tmp_path, ["-c", str(tmp_path / "large.toml")], grpc=True) as server:
        figures = large_messages_at_once(server, 24, 15 << 20)
        assert set(figures.codes) <= {"OK", "UNAVAILABLE"}
        assert figures.codes["OK"]
        # 250 is what a server may have above its budget under any load.
        assert figures.grown < 96 + 250 + 96, figures
        assert server.stop() == 0, server.log
    rows = stored_tables(server.data)["otel_logs"]
    assert len(rows) == figures.codes["OK"] * figures.records


def test_the_page_of_hostile_inputs_is_current() -> None:
    """docs/hostile_grpc.md lists every input there is: ``make hostile`` writes it."""
    rows = {line.strip("| ").split(" | ")[0] for line in PAGE.read_text("utf-8").splitlines()}
    assert {hostile.name for hostile in GRPC_INPUTS} <= rows
