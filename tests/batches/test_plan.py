"""Plans and receipts as the log has them: what is written comes back, and nothing else passes."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from otlp2parquet.batches.plan import Plan, pack_plan, pack_receipt, read_plan, read_receipt
from otlp2parquet.core.files import PlannedFile
from otlp2parquet.core.layout import LAYOUTS
from otlp2parquet.writers.protocol import ColumnStatistics, StoredFile

HOUR = datetime(2026, 1, 1, tzinfo=UTC)


def test_plans_come_back() -> None:
    """As they were written, in every layout, with names that UTF-8 cannot hold."""
    first = PlannedFile("logs/x", 0, "otel_logs", HOUR, {None: 5, "unknown-service": 1})
    other = PlannedFile("traces/y", 3, "otel_traces", HOUR, {"a/é\udc80": 7})
    for layout in LAYOUTS:
        plan = Plan("/somewhere", layout, (first, other))
        assert read_plan(pack_plan(plan)) == plan
        read = read_plan(pack_plan(plan)).files
        assert [list(file.services.items()) for file in read] == [
            [(None, 5), ("unknown-service", 1)],
            [("a/é\udc80", 7)],
        ]
    assert read_plan(pack_plan(Plan("s3://b", "hour"))) == Plan("s3://b", "hour")


def test_receipts_come_back() -> None:
    """With the statistics of every column, whatever the type of its bounds."""
    columns = {
        1: ColumnStatistics(0, -5, 7),
        2: ColumnStatistics(3, None, None),
        3: ColumnStatistics(0, "a", "é\udc80"),
        4: ColumnStatistics(1, 0.1, 2.5e300),
        5: ColumnStatistics(0, lower=False, upper=True),
    }
    receipt = StoredFile("logs/x/b.parquet", 12, 3456, columns)
    read = read_receipt(pack_receipt(receipt))
    assert read == receipt
    assert read.columns == columns


@pytest.mark.parametrize(
    "body",
    [
        b'{"files": 3}',
        b"",
        b"[]",
        b"null",
        b"\xff",
        json.dumps({"root": 3, "layout": "service", "files": []}).encode(),
        json.dumps({"root": "r", "layout": "other", "files": []}).encode(),
        json.dumps({"root": "r", "layout": "hour", "files": [["f", 0, "t", 1]]}).encode(),
        json.dumps({"root": "r", "layout": "hour", "files": [["f", 0, "t", 1e300, []]]}).encode(),
        json.dumps({"root": "r", "layout": "hour", "files": [["f", 0, "t", 1, [[1]]]]}).encode(),
        json.dumps({"root": "r", "layout": [], "files": []}).encode(),
    ],
)
def test_what_is_no_plan_is_a_value_error(body: bytes) -> None:
    """Whatever another version has put there: the caller meets one kind of error."""
    with pytest.raises(ValueError):  # noqa: PT011 - some are those of the json module
        read_plan(body)


@pytest.mark.parametrize(
    "body",
    [b"[1]", b"{}", b"", b"null", b"\xff", b'["p", 1, 2, 3]', b'["p", 1, 2, {"1": 3}]',
     b'["p", 1, 2, {"x": [0, 1, 2]}]', b'["p", 1, 2, {"1": [0, 1]}]'],
)  # fmt: skip
def test_what_is_no_note_is_a_value_error(body: bytes) -> None:
    """As of plans."""
    with pytest.raises(ValueError):  # noqa: PT011 - as above
        read_receipt(body)
