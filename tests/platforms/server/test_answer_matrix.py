"""{protobuf, JSON, NDJSON} x {none, gzip, zstd, deflate} x every outcome x three signals.

Each cell twice: the core without a socket, and the server's whole ASGI application.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from otlp2parquet.config import AuthConfig, ServerConfig
from otlp2parquet.errors import StorageError
from otlp2parquet.platforms.server.front_door import front_door
from tests.support.answer_matrix import CANARY, LIMIT, OUTCOMES, SECRET, answer, cases, page, read
from tests.support.asgi_bench import Bench, ask, parts_of

if TYPE_CHECKING:
    from otlp2parquet.core.otlp_http import Response
    from tests.support.answer_matrix import Case

FIELDS = {
    "401": (b"www-authenticate", b"Bearer"),
    "405": (b"allow", b"POST"),
    "503": (b"retry-after", b"1"),
}
"""What an answer carries besides its type and length, and no other does."""

REJECTED = {
    "logs": "rejected_log_records",
    "traces": "rejected_spans",
    "metrics": "rejected_data_points",
}

BY_OUTCOME = [
    pytest.param([case for case in cases() if case.outcome == outcome], id=outcome)
    for outcome in OUTCOMES
]


def check(case: Case, response: Response) -> None:
    """What OTLP demands of the answer to ``case``."""
    good = case.outcome in ("ok", "empty", "partial")
    assert response.status == (200 if good else int(case.outcome)), case
    fields = dict(response.headers)
    assert len(fields) == len(response.headers)
    media_type = "application/x-protobuf" if case.format == "protobuf" else "application/json"
    assert fields.pop(b"content-type") == media_type.encode()
    assert int(fields.pop(b"content-length")) == len(response.body)
    assert fields == dict([FIELDS[case.outcome]] if case.outcome in FIELDS else [])
    assert len(response.body) <= 4096
    assert CANARY.encode() not in response.body
    message = read(case, response)
    if case.outcome in ("ok", "empty"):
        # "The server MUST leave the partial_success field unset" on full success.
        assert not message.HasField("partial_success")
        assert response.body == (b"" if case.format == "protobuf" else b"{}")
    elif case.outcome == "partial":
        assert getattr(message.partial_success, REJECTED[case.signal]) == 1
        assert "64" in message.partial_success.error_message
    else:
        assert message.code
        assert not message.details
        assert message.message.isprintable()
    if case.outcome == "400":
        kind = "spans" if case.signal == "traces" else case.signal
        # The path is spelled as the format spells it; a line has its own.
        spelled = f"resource_{kind}[1]" if case.format == "protobuf" else f"resource{kind.title()}["
        assert spelled in message.message
        assert "at byte" in message.message


@pytest.mark.parametrize("group", BY_OUTCOME)
def test_the_core_answers_without_a_socket(group: list[Case]) -> None:
    """Every cell has its status, its header fields, and a body its client can read."""
    for case in group:
        check(case, answer(case))


@pytest.mark.parametrize("group", BY_OUTCOME)
def test_the_application_answers_the_same(
    group: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte for byte; and what is refused by its head is refused before its body is read."""
    config = ServerConfig(auth=AuthConfig(tokens=("another", SECRET)))

    def fail(*_: Any, **__: Any) -> None:
        raise StorageError("the disk is full")

    for case in group:
        with Bench(max_payload_bytes=LIMIT) as bench:
            if case.outcome == "503":
                monkeypatch.setattr(bench.ingest, "append", fail)
            got = asyncio.run(
                ask(
                    front_door(bench.app, config),
                    parts_of(case.body[:10], case.body[10:]),
                    headers=case.headers,
                    path=case.path,
                    method=case.method,
                )
            )
            kept = {"ok": 2, "partial": 1}.get(case.outcome, 0)
            assert bench.rows == kept
            assert bench.nothing_held
        by_its_head = case.outcome in ("401", "404", "405", "413", "415")
        assert (got.received_before == 0) == by_its_head
        assert got.headers.pop(b"connection", b"") == (b"close" if by_its_head else b"")
        same = answer(case)
        assert (got.status, got.body) == (same.status, same.body)
        assert got.headers == dict(same.headers)


def test_the_matrix_is_whole() -> None:
    """Ten outcomes, three formats, four encodings, three signals; none is made twice."""
    assert len(set(cases())) == len(list(cases())) == 10 * 3 * 4 * 3


def test_the_page_of_answers_is_current() -> None:
    """docs/otlp_http.md is what is answered now: regenerate it as its second line tells."""
    path = Path(__file__).parents[3] / "docs" / "otlp_http.md"
    assert path.read_text(encoding="utf-8") == page()
