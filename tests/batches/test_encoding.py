"""What the Parquet encoder takes is within the budget while a file is written, and no longer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from otlp2parquet.batches.budget import Budget
from otlp2parquet.batches.encoding import BudgetedWriter
from otlp2parquet.config import ParquetConfig
from otlp2parquet.core.files import PlannedFile
from tests.support.doubles import Recorder, Written

FILE = PlannedFile("logs/x", 0, "otel_logs", datetime(2026, 1, 1, tzinfo=UTC), {"shop": 1000})
ROWS = pa.record_batch({"n": list(range(1000))})
"""8,000 bytes."""


class Looking(Recorder):
    """A writer that looks at the budget while it is at work."""

    def __init__(self, budget: Budget, error: Exception | None = None) -> None:
        super().__init__(root="somewhere")
        self.seen: list[int] = []

        def look(_: Written) -> Exception | None:
            self.seen.append(budget.used)
            return error

        self.fail = look


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
    writer = BudgetedWriter(looking, budget, settings)
    stored = writer.store(FILE, [ROWS], "b", existing="same")
    assert stored.path == "logs/x/b.parquet"
    assert looking.seen == [expected]
    assert budget.used == 0
    assert looking.files[0].existing == "same"


def test_a_write_that_fails_gives_it_back() -> None:
    """Retries must not eat the budget up."""
    budget = Budget(100)
    looking = Looking(budget, OSError("disk"))
    writer = BudgetedWriter(looking, budget, ParquetConfig())
    for _ in range(3):
        with pytest.raises(OSError, match="disk"):
            writer.store(FILE, [ROWS], "b")
    assert budget.used == 0


def test_all_else_is_the_other_writers() -> None:
    """Its root, and what is taken back."""
    looking = Looking(Budget(1))
    writer = BudgetedWriter(looking, Budget(1), ParquetConfig())
    assert writer.root == "somewhere"
    writer.take_back(FILE, "b")
    assert looking.taken_back == ["logs/x/b.parquet"]
