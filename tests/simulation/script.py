"""What a seed says: the settings of each life, its clients, its faults, and its end.

Pure: dice in, a script out. It must not know how anything of it is done.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from tests.simulation import storage
from tests.simulation.disk import READS, WRITES
from tests.simulation.faults import FOR_EVER, Rule

if TYPE_CHECKING:
    from otlp2parquet.core.layout import Layout

Mode = Literal["fsync", "memory", "stored"]
End = Literal["stop", "kill", "power"]
Event = Literal["remove log", "move log", "restore log", "make log", "damage", "full disk"]

Focus = Literal[
    "", "fsync", "memory", "stored", "disk", "store", "foreign", "folder", "roots", "folds"
]
"""What the seeds of a search have in common: a mode of all lives, or something that goes wrong."""

_MODES: Final[tuple[Mode, ...]] = ("fsync", "memory", "stored")

_STORE_CALLS: Final = (
    ("store",), ("store",), ("store",), ("store", "take back", "finish"), ("finish",),
)  # fmt: skip

ROOTS: Final = ("/data", "/other")

_SECS: Final = 10.0
"""The time in which clients send and things go wrong."""


@dataclass(slots=True)
class Client:
    """Somebody who sends requests, one after another."""

    number: int
    requests: int
    pause: float
    """The longest pause between two requests."""
    waits: bool
    """Whether an append may wait for a shard, as on a pool's thread; else as on an event loop."""


@dataclass(slots=True)
class FlushScript:
    """Somebody who wants to have stored what there is."""

    time: float
    patience: float
    """How long it waits; infinite for who waits as long as it takes."""


@dataclass(slots=True)
class LifeScript:
    """One life of a process."""

    seed: int
    mode: Mode
    root: str
    layout: Layout
    threads: int
    """As many shards, and some more to write files."""
    memory_bytes: int
    log_bytes: int
    max_rows: int
    max_bytes: int
    max_age_secs: float
    batched: bool
    clients: list[Client]
    disk_rules: list[Rule]
    store_rules: list[Rule]
    events: list[tuple[float, Event]]
    refused_share: float
    """Of the requests of all times, those that this life's decoder does not read."""
    away: tuple[str, ...]
    """Roots that cannot be reached in this life."""
    healed: bool
    """Whether all that is wrong ends, and enough time passes for all to be stored."""
    end: End
    end_step: int | None
    """When it ends, unless it is over before."""
    stop_secs: float
    stop_step: int | None
    """At which step a stop begins that does not wait for clients and trouble to be over."""
    statements: int
    """About one in so many statements is a point; 0 for none."""
    tick_secs: float
    flushes: list[FlushScript] = field(default_factory=list)


@dataclass(slots=True)
class Script:
    """All lives of a seed."""

    seed: int
    folds: bool
    lives: list[LifeScript] = field(default_factory=list)


def script_of(seed: int, focus: Focus = "") -> Script:
    """What this seed says. After its lives comes a calm one, in which nothing goes wrong."""
    dice = random.Random(seed)
    script = Script(seed, folds=dice.random() < 0.2 or focus == "folds")
    # Most seeds are of one theme: faults that are rare together hide each other.
    theme = _Theme(dice, focus)
    mode: Mode = dice.choice(("fsync", "fsync", "fsync", "memory", "stored"))
    for _ in range(dice.choice((1, 1, 2, 3))):
        for one in _MODES:
            mode = one if focus == one else mode
        script.lives.append(_life(dice, theme, mode))
        if dice.random() < 0.3:
            mode = dice.choice(_MODES)
    script.lives.append(_calm(dice, mode))
    add_flushes(script)
    return script


def add_flushes(script: Script) -> None:
    """Who flushes, and when: by dice of their own, so that all else of a seed stays as it is."""
    dice = random.Random(script.seed + (1 << 40))
    if dice.random() < 0.5:
        return
    for life in script.lives:
        life.flushes = [
            FlushScript(
                dice.choice((0.0, dice.uniform(0, _SECS), dice.uniform(0, 2.0))),
                dice.choice((0.0, dice.uniform(0, 5), FOR_EVER, FOR_EVER)),
            )
            for _ in range(dice.choice((0, 1, 2, 5)))
        ]


class _Theme:
    """What goes wrong in a seed, and how often."""

    def __init__(self, dice: random.Random, focus: Focus) -> None:
        def share(most: float) -> float:
            return dice.random() ** 2 * most if dice.random() < 0.6 else 0.0

        self.disk = dice.random() < 0.5 or focus == "disk"
        self.store = dice.random() < 0.7 or focus in ("store", "memory", "stored")
        self.folder = dice.random() < 0.15 or focus == "folder"
        self.damage = dice.random() < 0.15
        self.roots = dice.random() < 0.25 or focus == "roots"
        self.decoder = dice.random() < 0.1
        self.foreign = focus == "foreign"
        self.disk_chance = share(0.5)
        self.store_chance = share(0.9)
        self.few = dice.random() < 0.5
        """Few requests and small settings: short traces."""


def _life(dice: random.Random, theme: _Theme, mode: Mode) -> LifeScript:
    life = _calm(dice, mode)
    life.clients = [
        Client(
            number,
            dice.randint(1, 4 if theme.few else 12),
            dice.choice((0.0, 0.1, 0.5, 2.0)),
            waits=dice.random() < 0.7,
        )
        for number in range(1, dice.randint(1, 2 if theme.few else 5) + 1)
    ]
    if theme.disk:
        life.disk_rules = [_disk_rule(dice, theme) for _ in range(dice.randint(1, 3))]
    if theme.store:
        life.store_rules = [_store_rule(dice, theme) for _ in range(dice.randint(1, 4))]
    if theme.decoder and dice.random() < 0.5:
        life.refused_share = dice.choice((0.1, 0.5))
    if theme.foreign:
        life.store_rules.append(Rule(frozenset({"store"}), storage.FOREIGN, chance=0.3, most=3))
    if theme.roots:
        life.root = dice.choice(ROOTS)
        if dice.random() < 0.4:
            life.away = (dice.choice(ROOTS),)
    if theme.folder:
        life.events = _folder_events(dice)
    if theme.damage:
        life.events += [(dice.uniform(0, _SECS), "damage") for _ in range(dice.randint(1, 3))]
    if dice.random() < 0.1:
        life.events.append((dice.uniform(0, _SECS), "full disk"))
    life.events.sort()
    life.healed = dice.random() < 0.5
    if dice.random() < 0.15:
        life.stop_step = int(10 ** dice.uniform(1.0, 3.0))
        life.end = "stop"
        return life
    life.end = dice.choice(("stop", "kill", "kill", "power"))
    if life.end != "stop" or dice.random() < 0.1:
        life.end_step = int(10 ** dice.uniform(0.5, 3.7)) if dice.random() < 0.8 else None
    if not life.healed:
        life.stop_secs = min(life.stop_secs, 20.0)
    if life.end == "stop" and life.end_step is not None:
        life.end = dice.choice(("kill", "power"))
    return life


def _calm(dice: random.Random, mode: Mode) -> LifeScript:
    return LifeScript(
        seed=dice.getrandbits(32),
        mode=mode,
        root=ROOTS[0],
        layout=dice.choice(("service", "service", "hour", "classic")),
        threads=dice.choice((1, 1, 2, 3)),
        memory_bytes=dice.choice((1 << 17, 1 << 20, 1 << 29)),
        log_bytes=dice.choice((1 << 12, 1 << 15, 1 << 30)),
        max_rows=dice.choice((2, 10, 40, 1_000_000)),
        max_bytes=dice.choice((1 << 12, 1 << 27)),
        max_age_secs=dice.choice((0.3, 2.0, 60.0)),
        batched=dice.random() < 0.9,
        clients=[],
        disk_rules=[],
        store_rules=[],
        events=[],
        refused_share=0.0,
        away=(),
        healed=True,
        end="stop",
        end_step=None,
        stop_secs=dice.choice((2.0, 20.0, 200.0)),
        stop_step=None,
        statements=dice.choice((0, 0, 200, 30, 5)),
        tick_secs=dice.choice((0.1, 0.3, 1.0)),
    )


def _window(dice: random.Random) -> tuple[float, float]:
    start = dice.choice((0.0, dice.uniform(0, _SECS)))
    end = dice.choice((FOR_EVER, start + 10 ** dice.uniform(-2, 1.2)))
    return start, end


def _disk_rule(dice: random.Random, theme: _Theme) -> Rule:
    calls: frozenset[str]
    calls = dice.choice(
        (
            WRITES, WRITES, READS, WRITES | READS, frozenset({"sync"}), frozenset({"write"}),
            frozenset({"sync_folder"}), frozenset({"truncate", "unlink", "rename"}),
            frozenset({dice.choice(sorted(WRITES | READS))}),
        )
    )  # fmt: skip
    kind = dice.choice(("EIO", "EIO", "ENOSPC", "EROFS", "EACCES", "hang"))
    start, end = _window(dice)
    rule = Rule(
        calls,
        kind,
        start,
        end,
        chance=theme.disk_chance or 1.0,
        effect=dice.choice(("none", "none", "part", "whole")),
    )
    if kind == "hang":
        rule.secs = dice.choice((0.5, 5.0, 30.0, 1e6))
    if dice.random() < 0.4:
        rule.most = dice.choice((1, 1, 2, 5))
    if dice.random() < 0.2:
        rule.about = ".segment"
    return rule


def _store_rule(dice: random.Random, theme: _Theme) -> Rule:
    kind = dice.choice(
        (
            storage.UNAVAILABLE, storage.UNAVAILABLE, storage.REFUSED, storage.DEFECT,
            storage.UNANSWERED, storage.LATE, storage.FOREIGN, "hang", "hang",
        )
    )  # fmt: skip
    start, end = _window(dice)
    rule = Rule(
        frozenset(
            dice.choice((("store",), ("store",), ("store", "take back", "finish"), ("finish",)))
        ),
        kind,
        start,
        end,
        chance=theme.store_chance or 1.0,
    )
    if kind in ("hang", storage.LATE) or dice.random() < 0.2:
        rule.secs = dice.choice((0.1, 3.0, 40.0, 1e6))
    if kind in (storage.FOREIGN, storage.LATE) or dice.random() < 0.4:
        rule.most = dice.choice((1, 1, 2, 5))
    if dice.random() < 0.4:
        # One folder, as if only that were trouble.
        rule.about = dice.choice(("oo/", "bar", "unknown", "hour=0", "hour=1", "logs", "traces"))
    return rule


def _folder_events(dice: random.Random) -> list[tuple[float, Event]]:
    at = dice.uniform(0, _SECS)
    first: Event = dice.choice(("remove log", "move log"))
    events: list[tuple[float, Event]] = [(at, first)]
    if first == "move log" and dice.random() < 0.7:
        events.append((at + dice.uniform(0, 10), "restore log"))
    elif dice.random() < 0.5:
        events.append((at + dice.uniform(0, 10), "make log"))
    return events
