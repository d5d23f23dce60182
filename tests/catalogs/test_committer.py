"""The committer's steps one by one: when, in which order, and what it says of them."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from otlp2parquet.batch_id import uuid_text
from otlp2parquet.catalogs import backlog
from otlp2parquet.catalogs import committer as module
from otlp2parquet.catalogs.backlog import OTHERS_SECS
from otlp2parquet.catalogs.committer import (
    CONFLICT_LONGEST_SECS,
    CONFLICTS_PER_HALVING,
    LOGGED_SECS,
    MOST_HALVINGS,
    MOST_NAMED,
    MOST_REMOVED,
    RETRY_FIRST_SECS,
    RETRY_LONGEST_SECS,
    Committer,
)
from otlp2parquet.catalogs.receipt_folder import ReceiptFolder
from otlp2parquet.catalogs.receipts import DataFile, Receipt, pack_receipt
from otlp2parquet.catalogs.running import OLD_SECS, CommitThread, commit_within
from otlp2parquet.config.catalog_settings import IcebergConfig
from otlp2parquet.errors import (
    CatalogConflictError,
    CatalogUnavailableError,
    StorageUnavailableError,
)
from tests.support.memory_store import MemoryStore
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pytest

NODE, OTHER = (str(uuid.UUID(int=number, version=4)) for number in (1, 2))
NOW_MS = 1_782_896_400_000


class Table:
    """A table as it was loaded."""

    def __init__(self, catalog: Tables, name: str) -> None:
        self._catalog = catalog
        self._name = name

    def nodes(self) -> frozenset[str]:
        """See ``LoadedTable``."""
        return frozenset(node for name, node in self._catalog.named if name == self._name)

    def committed(self, node: str) -> frozenset[str]:
        """See ``LoadedTable``."""
        return self._catalog.named.get((self._name, node), frozenset())

    def append(self, receipts: Sequence[Receipt], committed: Mapping[str, frozenset[str]]) -> None:
        """See ``LoadedTable``."""
        if self._catalog.errors:
            raise self._catalog.errors.pop(0)
        if len(receipts) > self._catalog.most:
            message = "others commit in the time that so many take"
            raise CatalogConflictError(message)
        self._catalog.commits.append([receipt.key for receipt in receipts])
        for node, keys in committed.items():
            self._catalog.named[self._name, node] = keys
            if not keys:
                del self._catalog.named[self._name, node]


class Tables:
    """A catalog that notes what is committed."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.most = 1_000_000
        """Receipts of one commit that others leave the time for."""
        self.commits: list[list[str]] = []
        self.named: dict[tuple[str, str], frozenset[str]] = {}

    def load(self, table: str) -> Table:
        """See ``Catalog``."""
        return Table(self, table)


class Bench:
    """A committer over a store in memory, with a clock that stands."""

    def __init__(self, *errors: Exception, **options: object) -> None:
        self.now = 0.0
        self.logged: set[str] = set()
        self.catalog = Tables(*errors)
        self.store = MemoryStore()
        self.folder = ReceiptFolder(self.store)
        self.committer = self.make(**options)
        self._count = 0

    def make(self, **options: object) -> Committer:
        """Another process's committer."""
        return Committer(
            self.catalog,
            self.folder,
            NODE,
            is_logged=self.logged.__contains__,
            logged=lambda: self.logged,
            monotonic=lambda: self.now,
            time_ms=lambda: NOW_MS,
            jitter=lambda: 0.5,
            **options,  # type: ignore[arg-type]
        )

    def receipt(self, node: str = NODE, age_secs: float = 0, files: int = 1) -> Receipt:
        """A receipt that is kept."""
        self._count += 1
        opened = NOW_MS - int(age_secs * 1000)
        batch_id = uuid_text(opened.to_bytes(6, "big") + self._count.to_bytes(10, "big"), 7)
        some = tuple(DataFile(f"s3://b/{batch_id}-{n}.parquet", 5, 9, 0) for n in range(files))
        return self.folder.create(Receipt(node, batch_id, "otel_logs", some))

    def run(self, committer: Committer | None = None) -> None:
        """All steps that are due."""
        while (committer or self.committer).run_one():
            pass


def test_receipts_of_an_earlier_process_are_found() -> None:
    """At the first step, without being told of them."""
    bench = Bench()
    receipt = bench.receipt()
    bench.run()
    assert bench.catalog.commits == [[receipt.key]]
    assert bench.store.objects == {}
    assert bench.committer.is_idle


def test_one_commit_takes_all_that_wait() -> None:
    """And the next comes an interval later, with what came meanwhile."""
    bench = Bench(interval_secs=10.0)
    first = [bench.receipt() for _ in range(3)]
    bench.run()
    assert bench.catalog.commits == [[receipt.key for receipt in first]]
    for _ in range(2):
        bench.committer.add(bench.receipt())
    bench.run()
    assert len(bench.catalog.commits) == 1
    assert bench.committer.secs_until_due() == 10.0
    assert bench.committer.status().receipts == 2
    bench.now += 10.0
    bench.run()
    assert [len(commit) for commit in bench.catalog.commits] == [3, 2]
    counts = bench.committer.counts
    assert (counts.commits, counts.files, counts.rows) == (2, 5, 25)


def test_a_commit_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an outage the oldest come first, one commit after another without a pause."""
    monkeypatch.setattr(module, "MOST_FILES", 4)
    bench = Bench()
    keys = [bench.receipt(files=files).key for files in (2, 2, 9, 1)]
    bench.run()
    assert bench.catalog.commits == [keys[:2], keys[2:3], keys[3:]]


def test_a_backlog_is_committed_beside_others_that_are_faster() -> None:
    """An attempt is halved until it fits between two commits of others, the oldest first."""
    bench = Bench()
    keys = [bench.receipt().key for _ in range(60)]
    bench.catalog.most = 7
    for _ in range(120):
        bench.run()
        bench.now += CONFLICT_LONGEST_SECS
    assert [key for commit in bench.catalog.commits for key in commit] == keys
    # Of each size that is too large there are as many as it takes to know, for one that fits.
    attempts = CONFLICTS_PER_HALVING * (len(bench.catalog.commits) + MOST_HALVINGS)
    assert bench.committer.counts.conflicts <= attempts
    bench.catalog.most = 1_000_000
    more = [bench.receipt().key for _ in range(60)]
    bench.committer.list_again()
    for _ in range(MOST_HALVINGS):
        bench.run()
        bench.now += 100.0
    assert bench.catalog.commits[-1][-1] == more[-1]


def test_a_commit_looks_through_no_more_receipts_than_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the backlog behind them; those it has removed itself are gone, unasked."""
    monkeypatch.setattr(module, "MOST_FILES", 10)
    bench = Bench()
    bench.run()
    seen: list[str] = []
    listed = bench.folder.list

    def noted(node: str = "", table: str = "") -> Iterator[str]:
        for path in sorted(listed(node, table)):
            seen.append(path)
            yield path

    monkeypatch.setattr(bench.folder, "list", noted)
    keys = [bench.receipt().key for _ in range(400)]
    for path in sorted(bench.store.objects):
        receipt = bench.folder.read(path)
        assert receipt is not None
        bench.committer.add(receipt)
    while bench.store.objects:
        assert bench.committer.run_one()
        bench.now += 0.01
    assert [len(commit) for commit in bench.catalog.commits] == [10] * 40
    # Each once, and again where it was committed and not removed yet.
    assert len(seen) <= 2 * 400
    named = bench.catalog.named["otel_logs", NODE]
    assert named <= frozenset(keys[-20:]), "what was removed before is named no more"


def test_a_receipt_stays_while_its_batch_is_in_the_log() -> None:
    """The log could make it again: then the table has to name it still."""
    bench = Bench()
    receipt = bench.receipt()
    bench.logged.add(receipt.batch_id)
    bench.run()
    assert len(bench.catalog.commits) == 1
    assert receipt.path in bench.store.objects
    bench.logged.clear()
    bench.now += LOGGED_SECS
    bench.run()
    assert bench.store.objects == {}
    # And is forgotten by the commit after that.
    bench.now += 100
    second = bench.receipt()
    bench.committer.add(second)
    bench.run()
    assert bench.catalog.named["otel_logs", NODE] == {second.key}


def test_a_crash_loop_has_a_table_name_few_keys() -> None:
    """Each life comes to one commit and to no removal of its own."""
    bench = Bench()
    for life in range(10 * MOST_NAMED):
        receipt = bench.receipt()
        committer = bench.make()
        while len(bench.catalog.commits) <= life:
            assert committer.run_one()
        assert receipt.key in bench.catalog.named["otel_logs", NODE]
        assert len(bench.catalog.named["otel_logs", NODE]) <= MOST_NAMED + 2
    assert sum(map(len, bench.catalog.commits)) == 10 * MOST_NAMED, "each once"


def test_a_storage_that_removes_nothing_holds_up_no_commit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who may write and not delete has tables that name many keys, and every row."""
    bench = Bench()

    def refuse(_path: str) -> None:
        raise StorageUnavailableError("may not delete")

    monkeypatch.setattr(bench.store, "delete", refuse)
    for count in range(3 * MOST_NAMED):
        bench.committer.add(bench.receipt())
        bench.now += 100
        bench.run()
        assert sum(map(len, bench.catalog.commits)) == count + 1


def test_what_reconcile_commits_stays_named() -> None:
    """It makes no receipts of the node, so it cannot know that none comes back."""
    bench = Bench()
    first = bench.receipt()
    bench.run(bench.make(forgets=False, all_nodes=True))
    second = bench.receipt()
    bench.run(bench.make(forgets=False, all_nodes=True))
    assert bench.catalog.named["otel_logs", NODE] == {first.key, second.key}
    third = bench.receipt()
    bench.run()
    assert bench.catalog.named["otel_logs", NODE] == {third.key}


def test_others_have_time_to_commit_themselves() -> None:
    """Receipts of other nodes are taken when they are older than an hour; a server takes none."""
    bench = Bench()
    old, young = bench.receipt(OTHER, OTHERS_SECS + 1), bench.receipt(OTHER, OTHERS_SECS - 1)
    bench.run()
    assert bench.catalog.commits == []
    everybody = bench.make(all_nodes=True, forgets=False)
    bench.run(everybody)
    assert bench.catalog.commits == [[old.key]]
    assert bench.catalog.named["otel_logs", OTHER] == {old.key}
    assert everybody.counts.younger == 1
    assert set(bench.store.objects) == {young.path}


def test_a_backlog_is_taken_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """One is committed and removed before the next one is read."""
    monkeypatch.setattr(backlog, "PORTION", 2)
    bench = Bench()
    receipts = [bench.receipt() for _ in range(5)]
    seen = []
    while bench.committer.run_one():
        seen.append((len(bench.catalog.commits), len(bench.store.objects)))
        bench.now += 0.1
        bench.committer.hurry()
    keys = [receipt.key for receipt in receipts]
    assert bench.catalog.commits == [keys[:2], keys[2:4], keys[4:]]
    assert seen == [(0, 5), (1, 5), (1, 3), (1, 3), (2, 3), (2, 1), (2, 1), (3, 1), (3, 0)]
    assert bench.committer.is_idle


def test_a_portion_ends_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slowly receipts are read; the next portion goes on where this one ended."""
    bench = Bench()
    receipts = [bench.receipt() for _ in range(4)]
    read = ReceiptFolder.read

    def slowly(self: ReceiptFolder, path: str) -> Receipt | None:
        bench.now += backlog.PORTION_SECS / 2
        return read(self, path)

    monkeypatch.setattr(ReceiptFolder, "read", slowly)
    bench.committer.run_one()
    assert bench.committer.status().receipts == 2
    assert not bench.committer.is_listed
    bench.committer.hurry()
    bench.run()
    keys = [receipt.key for receipt in receipts]
    assert bench.catalog.commits == [keys[:2], keys[2:]]


def test_a_receipt_that_cannot_be_reached_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read before it is committed, and the look begins again."""
    bench = Bench()
    first, second = bench.receipt(), bench.receipt()
    read = ReceiptFolder.read

    def fail(self: ReceiptFolder, path: str) -> Receipt | None:
        if path == second.path and bench.now == 0:
            raise StorageUnavailableError("away")
        return read(self, path)

    monkeypatch.setattr(ReceiptFolder, "read", fail)
    bench.run()
    assert bench.catalog.commits == [[first.key]]
    assert not bench.committer.is_listed
    bench.now += 100
    bench.run()
    assert bench.catalog.commits == [[first.key], [second.key]]
    assert bench.committer.is_idle


def test_no_step_begins_when_the_time_is_over() -> None:
    """Whoever is answered by then waits no longer; what is left is told."""
    bench = Bench()
    receipts = [replace(bench.receipt(), table=table) for table in ("otel_logs", "otel_traces")]
    for receipt in receipts:
        bench.folder.create(receipt)
        bench.committer.add(receipt)
    load = bench.catalog.load

    def slowly(table: str) -> Table:
        bench.now += 2.0
        return load(table)

    bench.catalog.load = slowly  # type: ignore[method-assign]
    for secs, commits in ((0.0, 0), (-1.0, 0), (1.5, 1)):
        bench.committer.list_again()
        assert not commit_within(bench.committer, secs, lambda: bench.now, lambda _: None)
        assert len(bench.catalog.commits) == commits


def test_who_lists_nothing_looks_only_for_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commit costs the same, however many receipts wait for others."""
    bench = Bench(lists=False, may_return=lambda _: False)
    monkeypatch.setattr(ReceiptFolder, "list", None)
    gone = {f"{number:08x}-0000-7000-8000-000000000000" for number in range(20)}
    bench.catalog.named["otel_logs", NODE] = frozenset(gone)
    for done in (1, 2, 3):
        bench.committer.add(bench.receipt())
        bench.committer.hurry()
        bench.run()
        assert len(bench.catalog.named["otel_logs", NODE]) == max(1, 20 - 8 * done + done)


def test_a_retired_node_is_named_no_more() -> None:
    """Its names go with the next commit, but for a receipt that is still there."""
    bench = Bench(all_nodes=False, is_retired=lambda node: node == OTHER)
    left = bench.receipt(OTHER)
    third = str(uuid.UUID(int=3, version=4))
    for node in (OTHER, third):
        bench.catalog.named["otel_logs", node] = frozenset({left.key, "gone"})
    bench.receipt()
    bench.run()
    assert bench.catalog.named["otel_logs", OTHER] == {left.key}
    assert bench.catalog.named["otel_logs", third] == {left.key, "gone"}
    bench.folder.delete(left)
    bench.committer.add(bench.receipt())
    bench.committer.hurry()
    bench.run()
    assert ("otel_logs", OTHER) not in bench.catalog.named
    assert ("otel_logs", third) in bench.catalog.named


def test_one_commit_takes_receipts_of_so_many_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that names thousands of them at once would be slow for everybody."""
    monkeypatch.setattr(module, "MOST_NODES", 2)
    bench = Bench(all_nodes=True)
    for number in range(5):
        bench.receipt(str(uuid.UUID(int=10 + number, version=4)), OTHERS_SECS + 1)
    bench.run()
    assert [len(commit) for commit in bench.catalog.commits] == [2, 2, 1]


def test_what_cannot_be_read_is_passed_by(caplog: pytest.LogCaptureFixture) -> None:
    """It stays, and its key stays named: another version of ours may commit it."""
    bench = Bench()
    strange = bench.receipt()
    body = pack_receipt(strange).replace(b'"version":1', b'"version":2')
    bench.store.objects[strange.path] = body
    bench.catalog.named["otel_logs", NODE] = frozenset({strange.key})
    good = bench.receipt()
    bench.run()
    assert bench.catalog.commits == [[good.key]]
    assert bench.catalog.named["otel_logs", NODE] == {strange.key, good.key}
    assert list(bench.store.objects) == [strange.path]
    assert "another version of otlp2parquet wrote it" in caplog.text
    assert bench.committer.counts.unreadable == 1


def test_conflicts_are_quiet_and_quick(caplog: pytest.LogCaptureFixture) -> None:
    """Many writers meet often: that is no trouble, and nothing to read."""
    bench = Bench(CatalogConflictError("other"), CatalogConflictError("other"))
    bench.receipt()
    for _ in range(3):
        bench.run()
        bench.now += 1.0
    assert len(bench.catalog.commits) == 1
    assert bench.committer.counts.conflicts == 2
    assert "warning" not in caplog.text.lower()


def test_troubles_are_told_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """After pauses that grow, up to a bound; whatever is raised ends nothing."""
    bench = Bench(*[CatalogUnavailableError("away"), ValueError("a defect")] * 4)
    receipt = bench.receipt()
    pauses = []
    while not bench.catalog.commits:
        bench.run()
        due = bench.committer.secs_until_due()
        if due is not None:
            pauses.append(due)
            bench.now += due
    assert pauses[:5] == [1.0, 2.0, 4.0, 8.0, 10.0]
    assert max(pauses) <= RETRY_LONGEST_SECS
    assert bench.catalog.commits == [[receipt.key]]
    assert bench.committer.counts.failures == 8
    assert "the catalog took nothing" in caplog.text
    assert bench.committer.status().error == ""


def test_a_catalog_that_is_back_has_everything_within_a_minute() -> None:
    """Even where the last request before hung as long as one may, and its pause is the longest."""
    assert IcebergConfig().timeout_secs + 1.25 * RETRY_LONGEST_SECS <= 45  # and time to commit


def test_conflicts_make_no_trouble_worse() -> None:
    """A catalog that many write to is not one that is ill: the first trouble rests for a second."""
    conflicts = [CatalogConflictError("other") for _ in range(6)]
    bench = Bench(*conflicts, CatalogUnavailableError("away"))
    bench.receipt()
    while len(bench.catalog.errors) > 1:
        bench.run()
        bench.now += 5.0
    bench.run()
    assert bench.committer.secs_until_due() == RETRY_FIRST_SECS


def test_removals_are_not_starved() -> None:
    """Where a table always has something to commit, too: else receipts and keys pile up."""
    bench = Bench(interval_secs=1.0)
    for _ in range(20):
        bench.committer.add(bench.receipt())
        bench.now += 5.0  # longer than the interval: the table is due whenever it is looked at
        for _ in range(3):
            bench.committer.run_one()
            bench.committer.add(bench.receipt())
            bench.now += 1.0
    assert len(bench.store.objects) < 8


def test_a_removal_is_bounded() -> None:
    """After an outage, what waits is committed before all receipts of what was are removed."""
    bench = Bench()
    for _ in range(3 * MOST_REMOVED):
        bench.receipt()
    for _ in range(3):  # look, commit, remove
        bench.committer.run_one()
    assert len(bench.store.objects) == 2 * MOST_REMOVED
    bench.run()
    assert bench.store.objects == {}


def test_a_batch_may_have_several_receipts() -> None:
    """Each has a key of its own, and both leave the table with their batch."""
    bench = Bench()
    first = bench.receipt()
    more = replace(first.files[0], location="s3://b/more.parquet")
    bench.folder.create(replace(first, files=(*first.files, more)))
    bench.logged.add(first.batch_id)
    bench.run()
    keys = {first.key, f"{first.batch_id}.1"}
    assert bench.catalog.named["otel_logs", NODE] == keys
    bench.now += 100
    bench.committer.add(bench.receipt())
    bench.run()
    assert keys < bench.catalog.named["otel_logs", NODE]


def test_a_thread_commits_what_it_is_told_of() -> None:
    """As soon as it may, and once more when it is stopped."""
    bench = Bench(interval_secs=3600.0)
    thread = CommitThread(bench.committer, "test")
    thread.start()
    bench.committer.add(bench.receipt())
    wait_for(lambda: len(bench.catalog.commits) == 1)
    bench.committer.add(bench.receipt())
    assert thread.stop(30)
    assert len(bench.catalog.commits) == 2


def test_a_stop_is_bounded() -> None:
    """A catalog that hangs does not keep the process from ending."""
    bench, gate = Bench(), threading.Event()

    class Hanging(Tables):
        def load(self, table: str) -> Table:
            gate.wait(60)
            return super().load(table)

    committer = Committer(Hanging(), bench.folder, NODE)
    thread = CommitThread(committer, "test")
    thread.start()
    committer.add(bench.receipt())
    assert not thread.stop(0.1)
    gate.set()


def test_age_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """By a number at once, and by a line when it is great."""
    bench = Bench(*[CatalogUnavailableError("away")] * 100)
    bench.receipt(age_secs=OLD_SECS + 60)
    thread = CommitThread(
        bench.committer, "test", monotonic=lambda: bench.now, time_ms=lambda: NOW_MS
    )
    assert thread.oldest_secs() == 0.0
    bench.run()
    assert thread.oldest_secs() == OLD_SECS + 60
    bench.now += OLD_SECS
    thread._warn_of_age()  # noqa: SLF001 - what its thread calls
    thread._warn_of_age()  # noqa: SLF001
    assert caplog.text.count("files wait to become part of their tables") == 1
