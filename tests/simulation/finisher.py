"""What comes after the last file of a batch: a finisher that may fail, and remembers.

A catalog's receipts will be one. It stands for all of them: whatever happens, it has to be told of
every file of a batch before the log forgets the batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otlp2parquet.errors import StorageUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otlp2parquet.core.files import PlannedFile
    from otlp2parquet.writers.protocol import StoredFile
    from tests.simulation.faults import Faults
    from tests.simulation.ledger import Ledger
    from tests.simulation.scheduler import Scheduler


class SimulatedFinisher:
    """One life's."""

    def __init__(self, ledger: Ledger, scheduler: Scheduler, faults: Faults) -> None:
        self._ledger = ledger
        self._scheduler = scheduler
        self._faults = faults

    def finish(
        self,
        batch_id: str,
        root: str,  # noqa: ARG002 - the protocol's
        files: Sequence[tuple[PlannedFile, StoredFile]],
    ) -> None:
        """As ``Finisher.finish``."""
        scheduler = self._scheduler
        scheduler.point("finish", batch_id)
        rule = self._faults.next("finish", batch_id, scheduler.now)
        if rule is not None:
            scheduler.note(f"fault {rule.kind}", batch_id)
            if rule.secs:
                scheduler.block("the storage", scheduler.now + rule.secs)
            if rule.kind != "hang":
                raise StorageUnavailableError("the finisher cannot")
        self._ledger.finished.update(stored.path for _, stored in files)
