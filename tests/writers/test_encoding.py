"""What the Parquet encoder takes is within the budget while a file is written, and no longer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from otlp2parquet.batches.budget import Budget
from otlp2parquet.config import ParquetConfig
from otlp2parquet.platforms.server.encoding import BudgetedWriter
from otlp2parquet.writers.protocol import StoredFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otlp2parquet.writers.protocol import ArrowArrayExportable

WHERE: dict[str, Any] = {
    "table": "otel_logs",
    "service": "shop",
    "hour": datetime(2026, 1, 1, tzinfo=UTC),
    "batch_id": "b",
}
ROWS = pa.record_batch({"n": list(range(1000))})
"""8,000 bytes."""


class Looking:
    """An ``OtlpWriter`` that looks at the budget while it is at work."""

    def __init__(self, budget: Budget, error: Exception | None = None) -> None:
        self.budget, self.error = budget, error
        self.seen: list[int] = []

    def write(self, batches: Sequence[ArrowArrayExportable], **where: Any) -> StoredFile:
        """Look, then fail if told to."""
        self.seen.append(self.budget.used)
        if self.error is not None:
            raise self.error
        return StoredFile(
            "x", where["table"], where["service"], where["hour"], len(list(batches)), 1
        )


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (ParquetConfig(), 4_000),
        (replace(ParquetConfig(), compression="none"), 8_000),
        (replace(ParquetConfig(), compression="none", row_group_rows=250), 2_000),
    ],
)
def test_a_row_group_is_counted_while_it_is_encoded(settings: ParquetConfig, expected: int) -> None:
    """Half of it where pages are compressed, and never more than one row group."""
    budget = Budget(100)
    looking = Looking(budget)
    stored = BudgetedWriter(looking, budget, settings).write([ROWS], **WHERE)
    assert stored.path == "x"
    assert looking.seen == [expected]
    assert budget.used == 0


def test_a_write_that_fails_gives_it_back() -> None:
    """Retries must not eat the budget up."""
    budget = Budget(100)
    looking = Looking(budget, OSError("disk"))
    writer = BudgetedWriter(looking, budget, ParquetConfig())
    for _ in range(3):
        with pytest.raises(OSError, match="disk"):
            writer.write([ROWS], **WHERE)
    assert budget.used == 0
