"""What the proofs of a catalog share: writers behind proxies, and what their table then has.

Knows servers as processes, S3 and REST as far as a proxy sees them, and reads tables by pyiceberg.
Must not know a committer. Every writer reaches the storage and the catalog by proxies of its own,
so that whatever happens can happen to one writer at one step.
"""

from __future__ import annotations

import json
import os
import random
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyiceberg.catalog import load_catalog

from tests.components.process import wait_until
from tests.components.s3 import BUCKET, CREDENTIALS, KEY_ID, REGION, SECRET
from tests.proofs.outage import SETTINGS
from tests.support.catalog_server import is_committed
from tests.support.obligations import Client, stored_in
from tests.support.proxy import Asked, Proxy, Trouble
from tests.support.server_process import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

NAMESPACE: Final = "proofs"
LOGS: Final = "otel_logs"
LAKE: Final = "lake"
"""The folder of the bucket in which the tables lie."""
RECEIPTS: Final = ".otlp2parquet/receipts"

SIGNAL_TABLES: Final = {
    "logs": "otel_logs",
    "traces": "otel_traces",
    "metrics": "otel_metrics_gauge",
}


@dataclass(frozen=True)
class Step:
    """A request that a committer makes on its way, and on which side of it the process ends."""

    name: str
    of_catalog: bool
    method: str
    path: str
    """What is found in its path, a regular expression."""
    is_after: bool
    """Whether the request has had its effect."""

    def is_at(self, asked: Asked, *, of_catalog: bool) -> bool:
        """Whether a request is this step's."""
        return (
            of_catalog == self.of_catalog
            and asked.method == self.method
            and re.search(self.path, asked.path) is not None
        )


STEPS: Final = tuple(
    Step(f"{'after' if is_after else 'before'} {name}", of_catalog, method, path, is_after)
    for name, of_catalog, method, path in (
        ("load", True, "GET", f"/tables/{LOGS}$"),
        ("the look at receipts", False, "GET", "list-type=2"),
        # Uploads in parts: they are there when they are completed.
        ("a manifest", False, "POST", r"-m0\.avro\?uploadId"),
        ("the list of manifests", False, "POST", r"/snap-.*\.avro\?uploadId"),
        ("the commit", True, "POST", f"/tables/{LOGS}$"),
        ("a receipt is removed", False, "DELETE", "receipts"),
    )
    for is_after in (False, True)
)


def settings_for(s3: Proxy, catalog_uri: str) -> dict[str, str]:
    """Those of a server that writes to the bucket and commits to a REST catalog."""
    return {**bucket_settings(s3.endpoint), "OTLP2PARQUET_ICEBERG_REST_URI": catalog_uri}


def bucket_settings(endpoint: str) -> dict[str, str]:
    """Those of a server that writes to the bucket, and commits often."""
    return {
        **SETTINGS,
        **CREDENTIALS,
        "OTLP2PARQUET_STORAGE_BACKEND": "s3",
        "OTLP2PARQUET_S3_BUCKET": BUCKET,
        "OTLP2PARQUET_S3_REGION": REGION,
        "OTLP2PARQUET_S3_ENDPOINT": endpoint,
        "OTLP2PARQUET_ICEBERG_NAMESPACE": NAMESPACE,
        "OTLP2PARQUET_ICEBERG_COMMIT_INTERVAL_SECS": "0.1",
    }


class Writer:
    """A server that is ended and started again, with a client that sends to it.

    ``catalog_trouble`` is asked what becomes of each request to the catalog that ends nothing.
    """

    def __init__(
        self,
        folder: Path,
        number: int,
        s3: Proxy,
        catalog: Proxy,
        *,
        settings: Mapping[str, str],
        catalog_trouble: Callable[[Asked], Trouble | None],
    ) -> None:
        self.folder = folder
        self.commits = 0
        """Commits of files that the catalog has taken."""
        self.kills: list[str] = []
        """The steps at which it was ended."""
        self.client = Client(
            number, lambda: self._port, lambda: 0, signals=("logs",), pause_secs=0.02
        )
        self._s3, self._catalog = s3, catalog
        self._settings = {**settings_for(s3, catalog.endpoint), **settings}
        self._catalog_trouble = catalog_trouble
        self._port: int | None = None
        self._next: Step | None = None
        self._lock = threading.Lock()
        s3.script = lambda asked: self._script(asked, of_catalog=False)
        catalog.script = lambda asked: self._script(asked, of_catalog=True)
        self.server = self._start()

    def _start(self) -> Server:
        server = Server(self.folder, settings=self._settings)
        self._port = server.port
        return server

    @property
    def is_waiting_to_end(self) -> bool:
        """Whether it is still on its way to the step at which it ends."""
        with self._lock:
            return self._next is not None

    def end_at(self, step: Step) -> None:
        """End it when it is next at this step."""
        with self._lock:
            self._next = step

    def revive(self) -> None:
        """Start it again if it has ended."""
        if self.server.process.poll() is not None:
            self.server = self._start()

    def end(self) -> None:
        """Kill what runs of it."""
        self.server.kill()

    def finish(self) -> None:
        """Wait until all that it was sent is in the table, and stop it."""
        with self._lock:
            self._next = None
        self.revive()
        wait_until(lambda: is_committed(self.server), 180, lambda: self.server.log)
        assert self.server.stop() == 0

    def _script(self, asked: Asked, *, of_catalog: bool) -> Trouble | None:
        with self._lock:
            step = self._next
            is_here = step is not None and step.is_at(asked, of_catalog=of_catalog)
            if is_here:
                self._next = None
        if not is_here or step is None:
            return self._catalog_trouble(asked) if of_catalog else None
        if step.is_after:
            return Trouble(seen=self._seen(asked), then=lambda: self._end(step), lose_answer=True)
        self._end(step)
        return Trouble(cut_after=0)

    def _seen(self, asked: Asked) -> Callable[[int], None]:
        def seen(status: int) -> None:
            self.note_commit(asked, status)

        return seen

    def note_commit(self, asked: Asked, status: int) -> bool:
        """Count a request that the catalog has taken as a commit; whether it was one."""
        is_one = asked.method == "POST" and asked.path.endswith(f"/tables/{LOGS}")
        taken = is_one and status == 200
        self.commits += taken
        return taken

    def _end(self, step: Step) -> None:
        self._port = None
        self.server.kill()
        self.kills.append(step.name)


class Storm:
    """Conflicts and lost answers for the commits of some writers, until there were enough."""

    def __init__(self, seed: int, lost: int, conflicts: float = 0.3, losses: float = 0.3) -> None:
        self.conflicts = 0
        """Answers with 409 in place of a commit."""
        self.lost = 0
        """Commits that the catalog took and of which nobody was told."""
        self.is_over = False
        self._wanted = lost
        self._shares = (conflicts, losses)
        self._dice = random.Random(seed)
        self._lock = threading.Lock()

    @property
    def has_lost_enough(self) -> bool:
        """Whether as many answers were lost as it was asked for."""
        return self.lost >= self._wanted

    def trouble(self, writer: Callable[[], Writer], asked: Asked) -> Trouble | None:
        """What becomes of a writer's request to the catalog."""
        if asked.method != "POST" or not asked.path.endswith(f"/tables/{LOGS}"):
            return None
        with self._lock:
            dice = 1.0 if self.is_over else self._dice.random()
        conflicts, losses = self._shares
        if dice < conflicts:
            self.conflicts += 1
            return Trouble(status=409, code="branch main has changed")
        is_lost = dice < conflicts + losses and not self.has_lost_enough

        def seen(status: int) -> None:
            taken = writer().note_commit(asked, status)
            with self._lock:
                self.lost += taken and is_lost

        return Trouble(seen=seen, lose_answer=is_lost)


def catalog_at(uri: str, s3_endpoint: str, region: str = REGION) -> Catalog:
    """A catalog, of REST or a database, as anybody opens it; its tables lie in the bucket."""
    properties = {
        "type": "rest" if uri.startswith("http") else "sql",
        "uri": uri,
        "warehouse": "" if uri.startswith("http") else f"s3://{BUCKET}/{LAKE}",
        "s3.endpoint": s3_endpoint,
        "s3.access-key-id": KEY_ID,
        "s3.secret-access-key": SECRET,
        "s3.region": region,
    }
    # A database keeps tables under the name of the catalog.
    return load_catalog("otlp2parquet", **{key: text for key, text in properties.items() if text})


def receipts_in(folder: Path) -> set[Path]:
    """The receipts in the bucket, whose objects are files."""
    # Folders come and go meanwhile, which a walk passes by.
    return {
        Path(place) / name
        for place, _, names in os.walk(folder / RECEIPTS)
        for name in names
        if name.endswith(".json")
    }


def files_of(receipt: Path) -> list[str]:
    """The files that a receipt names; none if it has gone meanwhile."""
    try:
        packed = json.loads(receipt.read_bytes())
    except FileNotFoundError:
        return []
    return [file["location"] for file in packed["files"]]


def all_files(catalog: Catalog) -> set[str]:
    """The data files of all tables into which the signals go."""
    tables = (catalog.load_table(f"{NAMESPACE}.{name}") for name in SIGNAL_TABLES.values())
    return {path for table in tables for path in table_files(table)}


def table_files(table: Table) -> list[str]:
    """The data files of a table, each as often as the table has it."""
    return sorted(
        entry.data_file.file_path
        for snapshot in [table.current_snapshot()]
        if snapshot is not None
        for manifest in snapshot.manifests(table.io)
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True)
    )


def check_files(catalog: Catalog, folder: Path, tables: Iterable[str]) -> dict[str, list[str]]:
    """The paths of the files of each table, which has each file of its folder exactly once.

    ``folder`` is the bucket, whose objects are files.
    """
    found = {}
    for name in tables:
        table = catalog.load_table(f"{NAMESPACE}.{name}")
        named = [path.removeprefix(f"s3://{BUCKET}/") for path in table_files(table)]
        there = (folder / table.location().removeprefix(f"s3://{BUCKET}/") / "data").rglob("*")
        stored = {str(path.relative_to(folder)) for path in there if path.suffix == ".parquet"}
        assert len(named) == len(set(named)), f"{name} has files twice"
        assert (set(named) - stored, stored - set(named)) == (set(), set()), (
            f"missing; left in {name}"
        )
        found[name] = [str(folder / path) for path in named]
    assert not receipts_in(folder), "receipts go when tables have the files"
    return found


def rows_in(files: Mapping[str, Sequence[str]]) -> dict[tuple[str, str], int]:
    """How often each id is in the files of the tables, by DuckDB."""
    return stored_in(
        {signal: files[table] for signal, table in SIGNAL_TABLES.items() if table in files}
    )


def deleted_data(proxy: Proxy) -> list[str]:
    """Data files that somebody has asked to remove."""
    return [
        one.path for one in proxy.asked if one.method == "DELETE" and one.path.endswith(".parquet")
    ]
