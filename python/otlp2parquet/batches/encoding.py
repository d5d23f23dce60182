"""A writer whose encoder is within the budget: what a file takes while it is written is counted.

Knows the writer's protocol and the budget. It must not know where files go. The Parquet encoder
keeps the pages of the row group that it is at; how large they come out nobody knows before, so
they are counted as that row group's share of the rows, halved where pages are compressed
(telemetry shrinks to a quarter).
"""

from collections.abc import Sequence

import pyarrow as pa

from otlp2parquet.batches.budget import Budget
from otlp2parquet.config import ParquetConfig
from otlp2parquet.core.files import PlannedFile
from otlp2parquet.writers.protocol import ArrowArrayExportable, Existing, OtlpWriter, StoredFile


class BudgetedWriter:
    """An ``OtlpWriter`` around another one.

    ``upload_bytes`` is the most that the storage holds of a file while it takes it.
    """

    def __init__(
        self, writer: OtlpWriter, budget: Budget, config: ParquetConfig, upload_bytes: int = 0
    ) -> None:
        self._writer = writer
        self._budget = budget
        self._upload_bytes = upload_bytes
        self._row_group_rows = config.row_group_rows
        self._divisor = 1 if config.compression == "none" else 2

    @property
    def root(self) -> str:
        """As the other's."""
        return self._writer.root

    def store(
        self,
        file: PlannedFile,
        batches: Sequence[ArrowArrayExportable],
        batch_id: str,
        *,
        existing: Existing = "refuse",
    ) -> StoredFile:
        """As the other's; the budget is held meanwhile, beyond its limit if need be."""
        pages = self._pages_bytes(batches)
        self._budget.take(pages)
        try:
            return self._writer.store(file, batches, batch_id, existing=existing)
        finally:
            self._budget.give(pages)
            # What Arrow's allocator keeps for the next file is in nobody's budget.
            pa.default_memory_pool().release_unused()

    def take_back(self, file: PlannedFile, batch_id: str) -> None:
        """As the other's."""
        self._writer.take_back(file, batch_id)

    def _pages_bytes(self, batches: Sequence[ArrowArrayExportable]) -> int:
        parts = [pa.record_batch(batch) for batch in batches]  # views, nothing is copied
        rows = sum(part.num_rows for part in parts)
        if not rows:
            return 0
        size = int(sum(part.nbytes for part in parts))
        share = min(1.0, self._row_group_rows / rows)
        pages = int(size * share) // self._divisor
        return pages + min(size // self._divisor, self._upload_bytes)
