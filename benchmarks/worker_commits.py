"""What the commits of a Worker cost while a table grows: at the tenth, at the 2,000th.

``python -m benchmarks.worker_commits`` commits one file after another by the plain client of
Iceberg, each with a client of its own as a Worker's request has one, and keeps what it found in
``benchmarks/results/worker_commits.json``; ``make worker`` shows that on its page. The catalog is
the tests' scripted one, which applies updates with pyiceberg's code; its time is not counted. Files
are only named. At each look pyiceberg finds every one of them, once.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otlp2parquet.batch_id import new_batch_id
from otlp2parquet.catalogs.plain import PlainCatalog, RestClient, RestOptions
from tests.support.iceberg import NODE, logs_receipt
from tests.support.plain_catalog import FileObjects, fetch_within
from tests.support.plain_tables import scanned
from tests.support.rest_catalog import RestCatalogServer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otlp2parquet.catalogs.plain import Receipt

RESULT: Final = Path(__file__).parent / "results" / "worker_commits.json"
AT: Final = (10, 100, 500, 1000, 2000)
"""Commits at which it is looked at the table."""
WINDOW: Final = 50
"""Figures are of so many commits, up to the one that they are given for."""

KEYS: Final = 600
"""Batches of the last ten minutes, which a table's property names: of a commit a second."""


class Counted:
    """What one commit takes: its own processor time, and what it asks of others."""

    def __init__(self, server: RestCatalogServer) -> None:
        self._ask: Any = fetch_within(server)
        self._objects = FileObjects()
        self.others = 0.0
        self.calls = self.read_bytes = self.written_bytes = self.answer_bytes = 0

    async def fetch(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, bytes]:
        """See ``Fetch``."""
        began = time.process_time()
        status, answer = await self._ask(method, url, headers, body)
        self.others += time.process_time() - began
        self.answer_bytes += len(answer)
        return status, answer

    async def create(self, key: str, content: bytes) -> bool:
        """See ``Objects.create``."""
        self.calls += 1
        self.written_bytes += len(content)
        return await self._objects.create(key, content)

    async def read(self, key: str) -> bytes | None:
        """See ``Objects.read``."""
        self.calls += 1
        content = await self._objects.read(key)
        self.read_bytes += len(content or b"")
        return content

    async def list(self, prefix: str) -> Any:
        """See ``Objects.list``."""
        self.calls += 1
        return await self._objects.list(prefix)

    async def delete(self, key: str) -> None:
        """See ``Objects.delete``."""
        self.calls += 1
        await self._objects.delete(key)


async def commit(catalog: PlainCatalog, receipt: Receipt, keys: list[str]) -> None:
    """One attempt, as the committer makes it: load, name the keys, append."""
    table = await catalog.load(receipt.table)
    await table.append([receipt], {NODE: frozenset(keys)})


def measure(folder: Path, most: int) -> list[dict[str, float]]:
    """For each of the commits in ``AT``, up to ``most``: what the last ones took, what is there."""
    found: list[dict[str, float]] = []
    window: list[tuple[float, Counted]] = []
    keys: list[str] = []
    pattern = logs_receipt(folder / "pattern", 1)
    (file,) = pattern.files
    metadata = folder / "otel_logs" / "metadata"
    with RestCatalogServer(folder) as server:
        for number in range(1, most + 1):
            counted = Counted(server)
            batch_id = new_batch_id()
            named = replace(file, location=f"file://{folder}/otel_logs/data/{batch_id}.parquet")
            receipt = replace(pattern, batch_id=batch_id, files=(named,))
            client = RestClient(RestOptions(server.uri), counted.fetch)
            keys = [*keys[1 - KEYS :], receipt.key]
            began = time.process_time()
            asyncio.run(commit(PlainCatalog(client, counted), receipt, keys))
            busy = time.process_time() - began - counted.others
            window = [*window[1 - WINDOW :], (busy, counted)]
            if number in AT:
                table = scanned(server, "otel_logs")
                snapshot = table.current_snapshot()
                assert snapshot is not None
                found.append(
                    {
                        "commits": number,
                        "cpu_ms": round(1000 * statistics.fmean(busy for busy, _ in window), 2),
                        "worst_cpu_ms": round(1000 * max(busy for busy, _ in window), 2),
                        "calls": _mean([one.calls for _, one in window]),
                        "read_bytes": _mean([one.read_bytes for _, one in window]),
                        "written_bytes": _mean([one.written_bytes for _, one in window]),
                        "answer_bytes": _mean([one.answer_bytes for _, one in window]),
                        "manifests": len(snapshot.manifests(table.io)),
                        "snapshots": len(table.snapshots()),
                        "metadata_files": sum(1 for _ in metadata.iterdir()),
                    }
                )
                files = [task.file.file_path for task in table.scan().plan_files()]
                assert len(files) == len(set(files)) == number, "each file is there once"
    return found


def _mean(values: list[int]) -> float:
    return round(statistics.fmean(values), 1)


def main() -> None:
    """Measure in a scratch folder, print and keep."""
    with tempfile.TemporaryDirectory() as scratch:
        found = measure(Path(scratch), AT[-1])
    conditions = {"python": platform.python_version(), "cores": os.cpu_count()}
    text = json.dumps({"conditions": conditions, "at": found}, indent=1) + "\n"
    RESULT.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
