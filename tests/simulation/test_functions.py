"""Functions in the simulation: what they promise is in its table once, and tables stay small."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.catalogs.forgetting import Forgetting
from otlp2parquet.catalogs.shared_node import SharedNode
from tests.simulation import functions as module
from tests.simulation.commits import World
from tests.simulation.functions import Functions, Schedule, done_objects, live

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otlp2parquet.catalogs.receipts import Receipt
    from tests.simulation.commits import ScriptedStore

SEEDS = 40
ENVIRONMENTS = 10_000
MOST_NODES = 40
MOST_NAMED = 400
"""What a table names at once, at most, in a life of four days.

Keys of environments that ended without a word stay for forty minutes, and a backlog is committed at
once.
"""


def test_lives_end_even() -> None:
    """Environments end anywhere, objects are told of again, answers are lost, requests are late."""
    for seed in range(SEEDS):
        world, functions = live(seed)
        assert not world.problems, f"seed {seed}: {world.problems}"
        assert all(one.is_idle for one in functions)


def many(environments: int) -> World:
    """So many environments one after another, some of which end without a word."""
    world = World(11, faults=0.02, crashes=0.005)
    world.pace = 40.0
    functions = [Functions(world, environments // 2, most_steps=4) for _ in range(2)]
    world.actors = [*functions, Schedule(world)]
    while any(one.left for one in functions):
        world.random.choice(world.actors).turn()
        world.now += world.random.random() * world.pace
        world.trace.clear()
    world.run(0)
    return world


def test_what_a_table_names_does_not_grow() -> None:
    """After ten thousand environments and thousands of objects it is as small as after a few."""
    world = many(ENVIRONMENTS)
    assert not world.problems
    assert done_objects(world) > 500
    assert len(world.tables["otel_logs"].files) > 5000
    assert world.most_nodes < MOST_NODES
    assert world.most_named < MOST_NAMED
    assert len(world.tables["otel_logs"].named) < MOST_NODES / 4


async def _none_present(
    _self: Forgetting, _table: str, receipts: Iterable[Receipt], _candidates: object
) -> set[str]:
    return {receipt.path for receipt in receipts}


@pytest.mark.parametrize(
    ("owner", "name", "fault"),
    [
        (SharedNode, "may_return", lambda _self, _batch_id: False),
        (module, "is_retired", lambda _store, _node, now: now() > 0),
        (Forgetting, "present", _none_present),
    ],
    ids=["keys go at once", "objects are retired at once", "receipts that are there are not seen"],
)
def test_faults_that_are_put_in_are_found(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, fault: object
) -> None:
    """Each rule of forgetting is needed: without it files come twice."""
    monkeypatch.setattr(owner, name, fault)
    # One of them shows in one life of a hundred, and a unit test besides.
    assert any(live(seed)[0].problems for seed in range(10 * SEEDS))


async def _no_candidates(*_: object) -> dict[str, frozenset[str]]:
    return {}


@pytest.mark.parametrize("fault", ["nothing is forgotten", "a node each"])
def test_a_table_that_grows_is_found(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """The bounds above say something: without the rules a tenth of the lives passes them."""
    if fault == "nothing is forgotten":
        monkeypatch.setattr(Forgetting, "candidates", _no_candidates)
    else:
        numbers = iter(range(ENVIRONMENTS))
        shared_by = module.shared_by

        def each(world: World, store: ScriptedStore) -> SharedNode:
            shared = shared_by(world, store)
            shared.node = str(uuid.UUID(int=next(numbers), version=4))
            return shared

        monkeypatch.setattr(module, "shared_by", each)
    world = many(ENVIRONMENTS // 10)
    assert world.most_nodes > MOST_NODES or world.most_named > MOST_NAMED
