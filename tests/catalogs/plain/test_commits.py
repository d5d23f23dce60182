"""Requests and schedules that end anywhere: every file comes into its table exactly once.

Nothing here is a double of the committer or of the client: only the network, the disk's moments and
the end of a process are scripted. The catalog applies updates with pyiceberg's own code.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pyiceberg.io.pyarrow import PyArrowFileIO

from otlp2parquet.catalogs.plain import merging
from otlp2parquet.catalogs.plain.commits import REQUEST_SECS, Commits, shared_node_of
from otlp2parquet.catalogs.receipts import FOLDER, DataFile
from tests.support.iceberg import commit, logs_receipt
from tests.support.memory_store import KilledError
from tests.support.plain_catalog import BUCKET, Life, fetch_within, full_client, plain_commits
from tests.support.rest_catalog import RestCatalogServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from otlp2parquet.catalogs.plain import Receipt

TABLE = "otel_logs"
SECS = 60.0
KEEP = 3
"""Snapshots, where the catalog lets any expire."""


@pytest.fixture(autouse=True)
def _upkeep_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """With each commit: manifests are merged, and snapshots expire."""
    monkeypatch.setattr(merging, "least_to_merge", lambda _properties: 2)


@pytest.fixture(params=["nessie", "rest"])
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RestCatalogServer]:
    """A catalog that is asked within this process, with and without Nessie's peculiarities."""
    (tmp_path / "bucket").mkdir()
    with RestCatalogServer(tmp_path, nessie=request.param == "nessie") as running:
        yield running


class Clock:
    """Time goes on where somebody sleeps; ``rng`` is for all that is left to chance."""

    def __init__(self, seed: int = 0) -> None:
        self.now = 1_800_000_000.0
        self.rng = random.Random(seed)

    def monotonic(self) -> float:
        """Seconds."""
        return self.now

    def time_ms(self) -> int:
        """Milliseconds since the epoch."""
        return int(self.now * 1000)

    async def sleep(self, secs: float) -> None:
        """Let time go on, and others come to their turn."""
        self.now += secs
        await asyncio.sleep(0)


def commits_of(
    server: RestCatalogServer,
    clock: Clock,
    life: Life | None = None,
    fault: Callable[[str, str], int] = lambda _method, _path: 0,
    bucket: str = BUCKET,
) -> Commits:
    """The commits of one process."""
    return plain_commits(
        server,
        fetch_within(server, life, fault),
        life,
        bucket,
        KEEP,
        monotonic=clock.monotonic,
        time_ms=clock.time_ms,
        sleep=clock.sleep,
        jitter=clock.rng.random,
    )


def batch_of(clock: Clock, number: int) -> tuple[str, DataFile]:
    """A batch of now: its id, and its file, which nobody has to open."""
    batch_id = f"{clock.time_ms():012x}"
    batch_id = f"{batch_id[:8]}-{batch_id[8:]}-7000-8000-{number:012x}"
    return batch_id, DataFile(f"file:///b/{number}.parquet", number + 1, 100, int(clock.now), {})


async def one_request(commits: Commits, clock: Clock, number: int) -> Receipt:
    """What a request does for its catalog."""
    batch_id, file = batch_of(clock, number)
    shape = await commits.shape(TABLE)
    receipt = commits.receipt(batch_id, TABLE, [file], shape)
    await commits.keep([receipt])
    await commits.commit(SECS)
    return receipt


def files_of(server: RestCatalogServer) -> Counter[str]:
    """The files that the table has."""
    table = server.state.tables.get(("otlp", TABLE))
    if table is None:
        return Counter()
    io, current = PyArrowFileIO(), table.current_snapshot()
    assert current is not None
    return Counter(
        entry.data_file.file_path
        for manifest in current.manifests(io)
        for entry in manifest.fetch_manifest_entry(io)
    )


def receipts_left(server: RestCatalogServer) -> list[str]:
    """What lies there yet."""
    folder = server.folder / "bucket" / FOLDER
    return [path.name for path in folder.rglob("*.json")]


def named(server: RestCatalogServer) -> set[str]:
    """The keys that the table names."""
    properties = server.state.tables["otlp", TABLE].properties
    name = f"otlp2parquet.committed.{shared_node_of(BUCKET)}"
    return set(filter(None, properties.get(name, "").split(",")))


def test_a_request_leaves_nothing_to_be_done(server: RestCatalogServer) -> None:
    """Its file is in the table, and its receipt is gone."""
    clock = Clock()
    receipt = asyncio.run(one_request(commits_of(server, clock), clock, 1))
    assert files_of(server) == {"file:///b/1.parquet": 1}
    assert receipts_left(server) == []
    assert named(server) == {receipt.key}
    report = asyncio.run(commits_of(server, clock).reconcile(SECS))
    assert report.is_complete
    assert report.commits == 0


@pytest.mark.parametrize("first", [True, False], ids=["table is made", "table is there"])
def test_a_request_may_end_anywhere(server: RestCatalogServer, first: bool) -> None:  # noqa: FBT001
    """At each call, before and behind its effect; the schedule then does the rest, once."""
    clock = Clock()
    ends, expected = 0, set()
    if not first:
        asyncio.run(one_request(commits_of(server, clock), clock, 0))
        expected.add("file:///b/0.parquet")
    kept = 0
    while True:
        ends += 1
        if first:
            server.state.tables.clear()
            server.state.namespaces.clear()
            expected.clear()
        clock.now += 1
        life = Life(ends)
        try:
            asyncio.run(one_request(commits_of(server, clock, life), clock, ends))
        except KilledError:
            pass
        else:
            break
        was_kept = receipts_left(server) or (
            ("otlp", TABLE) in server.state.tables
            and f"file:///b/{ends}.parquet" in files_of(server)
        )
        if was_kept:
            kept += 1
            expected.add(f"file:///b/{ends}.parquet")
        report = asyncio.run(commits_of(server, clock).reconcile(SECS))
        assert report.is_complete
        if expected:
            assert files_of(server) == dict.fromkeys(expected, 1)
        assert receipts_left(server) == []
    assert ends > 12
    assert kept > 8


def test_a_schedule_may_end_anywhere(server: RestCatalogServer) -> None:
    """As a request; what it began another one ends."""
    clock = Clock()
    asyncio.run(one_request(commits_of(server, clock), clock, 0))
    expected = {"file:///b/0.parquet"}
    ends = 0
    while True:
        ends += 1
        for number in range(2):
            batch_id, file = batch_of(clock, 10 * ends + number)
            commits = commits_of(server, clock)
            receipt = commits.receipt(batch_id, TABLE, [file], None)
            asyncio.run(commits.keep([receipt]))
            expected.add(file.location)
        try:
            asyncio.run(commits_of(server, clock, Life(ends)).reconcile(SECS))
        except KilledError:
            pass
        else:
            break
        asyncio.run(commits_of(server, clock).reconcile(SECS))
        assert files_of(server) == dict.fromkeys(expected, 1)
        assert receipts_left(server) == []
    assert files_of(server) == dict.fromkeys(expected, 1)
    assert ends > 12


def storm(rng: random.Random, share: list[float]) -> Callable[[str, str], int]:
    """Answers that are lost, with and without effect; the configuration is never."""

    def fault(_method: str, path: str) -> int:
        if path.endswith("/config") or rng.random() >= share[0]:
            return 0
        return rng.choice((500, 502, 504, -500, -503, -429, -409))

    return fault


@pytest.mark.parametrize("seed", range(12))
def test_every_file_once_whatever_meets(server: RestCatalogServer, seed: int) -> None:
    """Requests and schedules at the same time, in any order, in a storm, some of which end."""
    clock, share = Clock(seed), [0.25]
    rng = clock.rng
    expected: set[str] = set()
    doubtful: set[str] = set()

    async def request(number: int) -> None:
        life = Life(rng.choice((None, None, rng.randrange(1, 40))), rng)
        commits = commits_of(server, clock, life, storm(rng, share))
        batch_id, file = batch_of(clock, number)
        doubtful.add(file.location)
        try:
            receipt = commits.receipt(batch_id, TABLE, [file], None)
            await commits.keep([receipt])
            expected.add(file.location)
            await commits.commit(rng.choice((0.0, 2.0, 30.0)))
        except KilledError:
            pass

    async def schedule() -> None:
        life = Life(rng.choice((None, rng.randrange(1, 60))), rng)
        with contextlib.suppress(KilledError):
            await commits_of(server, clock, life, storm(rng, share)).reconcile(30.0)

    async def all_of_them() -> None:
        for wave in range(3):
            tasks = [request(10 * wave + number) for number in range(5)]
            tasks += [schedule() for _ in range(2)]
            rng.shuffle(tasks)
            await asyncio.gather(*tasks)
            clock.now += rng.choice((1.0, REQUEST_SECS + 1))

    asyncio.run(all_of_them())
    share[0] = 0.0
    report = asyncio.run(commits_of(server, clock).reconcile(SECS))
    assert report.is_complete, report
    counted = files_of(server)
    assert max(counted.values(), default=1) == 1
    assert expected <= set(counted) <= doubtful
    assert receipts_left(server) == []


def test_keys_leave_the_table(server: RestCatalogServer) -> None:
    """Once no request can make their receipts again; before that they stay."""
    clock, most = Clock(), 0
    for number in range(60):
        asyncio.run(one_request(commits_of(server, clock), clock, number))
        most = max(most, len(named(server)))
        clock.now += REQUEST_SECS / 10
    assert sum(files_of(server).values()) == 60
    assert 10 <= most <= 12


def test_a_key_stays_while_its_receipt_does(server: RestCatalogServer) -> None:
    """However old it is: who committed it may have ended before it removed the receipt."""
    clock = Clock()
    commits = commits_of(server, clock)
    receipt = asyncio.run(one_request(commits, clock, 1))
    asyncio.run(commits.keep([receipt]))  # as if it had never been removed
    clock.now += 2 * REQUEST_SECS
    other = asyncio.run(one_request(commits_of(server, clock), clock, 2))
    assert named(server) == {receipt.key, other.key}
    report = asyncio.run(commits_of(server, clock).reconcile(SECS))
    assert (report.already, report.commits) == (1, 0)
    assert files_of(server) == {f"file:///b/{number}.parquet": 1 for number in (1, 2)}


def test_a_catalog_that_is_away_loses_nothing(server: RestCatalogServer) -> None:
    """The request ends in its time, says why, and the schedule commits later."""
    clock = Clock()
    batch_id, file = batch_of(clock, 1)
    commits = commits_of(server, clock, fault=lambda _method, _path: -503)
    receipt = commits.receipt(batch_id, TABLE, [file], None)
    started = clock.now

    async def request() -> bool:
        await commits.keep([receipt])
        return await commits.commit(2.0)

    assert not asyncio.run(request())
    assert clock.now - started <= 2.0
    assert "503" in commits.status().error
    report = asyncio.run(commits_of(server, clock).reconcile(SECS))
    assert (report.files, report.left) == (1, 0)


def test_receipts_of_servers_are_taken_when_they_are_old(server: RestCatalogServer) -> None:
    """And their keys stay named: only their servers know when they may go."""
    clock = Clock()
    commits = commits_of(server, clock)
    batch_id, file = batch_of(clock, 1)
    node = "00000000-0000-4000-8000-000000000009"
    receipt = replace(commits.receipt(batch_id, TABLE, [file], None), node=node)
    asyncio.run(commits.keep([receipt]))
    report = asyncio.run(commits_of(server, clock).reconcile(SECS))
    assert (report.files, report.younger) == (0, 1)
    clock.now += 3601
    report = asyncio.run(commits_of(server, clock).reconcile(SECS))
    assert (report.files, report.younger) == (1, 0)
    properties = server.state.tables["otlp", TABLE].properties
    assert properties[f"otlp2parquet.committed.{node}"] == receipt.key


def test_a_receipt_of_another_file_is_not_replaced(server: RestCatalogServer) -> None:
    """The same one may be there; another one of its name is an error."""
    clock = Clock()
    commits = commits_of(server, clock)
    batch_id, file = batch_of(clock, 1)
    receipt = commits.receipt(batch_id, TABLE, [file], None)
    asyncio.run(commits.keep([receipt]))
    asyncio.run(commits.keep([receipt]))
    other = replace(receipt, files=(replace(file, rows=77),))
    with pytest.raises(ValueError, match="found another receipt"):
        asyncio.run(commits.keep([other]))


def test_rows_are_read_from_what_a_request_commits(
    server: RestCatalogServer, tmp_path: Path
) -> None:
    """Of a real file, by pyiceberg, beside a server that commits to the same table."""
    clock = Clock()
    commits = commits_of(server, clock)
    shape = asyncio.run(commits.shape(TABLE))
    stored = logs_receipt(tmp_path / "a", 6, shape.field_ids)
    receipt = commits.receipt(stored.batch_id, TABLE, stored.files, shape)
    asyncio.run(commits.keep([receipt]))
    assert asyncio.run(commits.commit(SECS))
    full = full_client(server)
    commit(full, logs_receipt(tmp_path / "b", 4))
    assert full.load(TABLE).table.scan().to_arrow().num_rows == 10


def test_two_buckets_do_not_forget_each_others_batches(server: RestCatalogServer) -> None:
    """Whoever does not see a receipt must not take it for gone: its file would come twice."""
    clock = Clock()
    asyncio.run(one_request(commits_of(server, clock), clock, 0))
    number, cut_off = 0, False
    while not cut_off:  # killed between the commit and the removal of the receipt
        number += 1
        with contextlib.suppress(KilledError):
            life = Life(number)
            asyncio.run(one_request(commits_of(server, clock, life), clock, number))
            raise AssertionError("expected a life that ends behind the commit")
        cut_off = f"file:///b/{number}.parquet" in files_of(server) and bool(receipts_left(server))
        if not cut_off:
            asyncio.run(commits_of(server, clock).reconcile(SECS))
    clock.now += REQUEST_SECS + 1
    for other in range(100, 104):
        asyncio.run(one_request(commits_of(server, clock, bucket="other"), clock, other))
    asyncio.run(commits_of(server, clock, bucket="other").reconcile(SECS))
    report = asyncio.run(commits_of(server, clock).reconcile(SECS))
    assert (report.files, report.already) == (0, 1)
    assert set(files_of(server).values()) == {1}
