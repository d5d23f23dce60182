"""Commits in the simulation: whatever fails, every file is in its table exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otlp2parquet.catalogs.committer import Committer
from otlp2parquet.catalogs.forgetting import Forgetting
from otlp2parquet.catalogs.receipt_folder import ReceiptFolder
from otlp2parquet.catalogs.receipts import FOLDER
from tests.simulation.commits import Node, ScriptedTable, World, live

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otlp2parquet.catalogs.receipts import Receipt

SEEDS = 100


@pytest.mark.parametrize("block", range(4))
def test_lives_end_even(block: int) -> None:
    """Crashes, lost answers, late requests, conflicts and refusals at every step."""
    for seed in range(block * SEEDS, (block + 1) * SEEDS):
        world = live(seed)
        assert not world.problems, f"seed {seed}: {world.problems}"


def test_keys_leave_the_table() -> None:
    """What a table names stays small, however many batches it has taken."""
    world = World(7, faults=0.0, crashes=0.005)
    world.actors = [Node(world, 0, 300)]
    world.run(3000)
    assert not world.problems
    assert len(world.tables["otel_logs"].files) > 150
    assert world.most_named < 40


def test_an_outage_delays_and_loses_nothing() -> None:
    """While the catalog is away receipts wait; soon after its return the tables have all."""
    world = World(3, faults=0.0, crashes=0.0)
    nodes = [Node(world, number, 40) for number in range(2)]
    world.actors = list(nodes)
    world.is_away = True
    for _ in range(400):
        world.random.choice(world.actors).turn()
        world.now += 1.5
    assert not any(state.files for state in world.tables.values())
    assert nodes[0].committer.status().error
    assert nodes[0].committer.status().oldest_ms is not None
    world.is_away = False
    returned = world.now
    while not all(node.is_idle for node in nodes):
        world.now += 0.5
        for node in nodes:
            node.turn()
    assert world.now - returned < 60
    world.settle()
    assert not world.problems


def _nothing_named(self: ScriptedTable, node: str) -> frozenset[str]:  # noqa: ARG001
    return frozenset()


async def _all_present(
    _self: Forgetting, _table: str, receipts: Iterable[Receipt], _candidates: object
) -> set[str]:
    return {receipt.path for receipt in receipts}


async def _forget_all(
    self: Committer, table: ScriptedTable, _waiting: object
) -> dict[str, frozenset[str]]:
    return {self.node: table.committed(self.node)}


def _but_nothing(
    _self: Committer, _progress: object, candidates: dict[str, frozenset[str]], _present: object
) -> dict[str, frozenset[str]]:
    return candidates


def _lands_anywhere(world: World) -> Callable[..., bool]:
    def land(commit: object) -> bool:
        state = world.tables[commit.table]  # type: ignore[attr-defined]
        commit.base = state.version  # type: ignore[attr-defined]
        return World.land(world, commit)  # type: ignore[arg-type]

    return land


@pytest.mark.parametrize(
    ("owner", "name", "fault"),
    [
        (ScriptedTable, "committed", _nothing_named),
        (Forgetting, "present", _all_present),
        (Committer, "_candidates", _forget_all),
        (Committer, "_forgettable", _but_nothing),
        (ReceiptFolder, "delete", lambda _self, _receipt: None),
    ],
    ids=[
        "marks are not looked at",
        "receipts may be gone",
        "keys go at once",
        "receipts are there",
        "receipts stay",
    ],
)
def test_faults_that_are_put_in_are_found(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, fault: object
) -> None:
    """A ledger that finds nothing says something only if it finds what is wrong."""
    monkeypatch.setattr(owner, name, fault)
    monkeypatch.setattr(World, "settle", _settle_less)
    assert any(live(seed).problems for seed in range(4 * SEEDS))


def test_a_catalog_that_asserts_nothing_is_found() -> None:
    """The design needs the assertion: without it a late request adds files twice."""
    found = []
    for seed in range(SEEDS):
        world = World(seed, faults=0.3)
        nodes = [Node(world, number, 6) for number in range(3)]
        world.actors = list(nodes)
        world.land = _lands_anywhere(world)  # type: ignore[method-assign]
        world.run(300)
        found += world.problems
    assert found


def _settle_less(world: World) -> None:
    """As ``World.settle``, but with fewer turns: a fault may keep it from ending."""
    for _ in range(200):
        world.now += 5.0
        for actor in world.actors:
            actor.turn()
    if any(path.startswith(FOLDER) for path in world.objects):
        world.problems.append("receipts are left")
    world._check()  # noqa: SLF001 - the same ledger
