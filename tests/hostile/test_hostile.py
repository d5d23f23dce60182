"""The light hostile inputs on real servers: allowed answers, bounded memory, no crash.

``make hostile`` tries the heavy ones too.
"""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

import pytest

from tests.components import Server
from tests.hostile.__main__ import PAGE
from tests.hostile.inputs import INPUTS, SILENCE
from tests.hostile.slow import among_slow_clients
from tests.hostile.trying import attempt, cut_everywhere
from tests.support.encoded import ENCODERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONG = os.environ.get("TESTS_HOSTILE") == "long"
TRIED = [one for one in INPUTS if not one.many_files and (LONG or not one.heavy)]
FAMILIES = list(dict.fromkeys(hostile.family for hostile in TRIED))
SLOW = 1000 if LONG else 200


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own."""
    with Server(tmp_path) as running:
        yield running
        assert running.stop() == 0, running.log
        assert "Traceback" not in running.log
        assert "panicked" not in running.log


@pytest.mark.parametrize("family", FAMILIES)
def test_hostile_inputs_are_answered_and_outlived(server: Server, family: str) -> None:
    """Each has one of its answers, costs no more than it may, and a good client is served after."""
    for hostile in TRIED:
        if hostile.family == family:
            outcome = attempt(server, server.port, hostile)
            assert outcome.grown <= hostile.most_mib, (hostile.name, outcome)


@pytest.mark.parametrize("encoding", sorted(ENCODERS))
def test_a_body_cut_anywhere_is_never_a_success(server: Server, encoding: str) -> None:
    """At every byte of body and framing, in every encoding."""
    answers = cut_everywhere(server.port, encoding)
    assert sum(answers.values()) > 40
    assert not [answer for answer in answers if answer != SILENCE and answer < 400]


def test_slow_clients_are_not_in_the_way(server: Server) -> None:
    """Every request of a good client is taken among them, and they cost little memory."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    figures = among_slow_clients(server, server.port, SLOW, 300)
    assert figures.grown < 96
    assert figures.during.requests == 300


def test_the_page_of_hostile_inputs_is_current() -> None:
    """docs/hostile_inputs.md lists every input there is: ``make hostile`` writes it."""
    page = PAGE.read_text(encoding="utf-8")
    rows = {tuple(line.strip("| ").split(" | ")[:1]) for line in page.splitlines() if "|" in line}
    assert {(hostile.name,) for hostile in INPUTS} <= rows
