"""When a call goes wrong, and how: rules that a script has drawn, asked at every call.

Knows names of calls, times and dice. It must not know what the calls do: whoever asks does what
the fault says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

Effect = Literal["none", "part", "whole"]
"""What a call that fails has done nevertheless."""

FOR_EVER: Final = math.inf


@dataclass(slots=True)
class Rule:
    """Calls that go wrong: which, from when to when, how likely, how often at most, and how."""

    calls: frozenset[str]
    kind: str
    """An errno's name for the disk, a kind of failure for the store, ``hang`` for either."""
    start: float = 0.0
    end: float = FOR_EVER
    chance: float = 1.0
    most: float = math.inf
    effect: Effect = "none"
    secs: float = 0.0
    """How long a call hangs; it may be for ever."""
    about: str = ""
    """Only calls whose subject holds this text."""

    def applies(self, call: str, about: str, now: float) -> bool:
        """Whether this call may go wrong by this rule."""
        return (
            self.start <= now < self.end
            and self.most > 0
            and call in self.calls
            and self.about in about
        )


@dataclass(slots=True)
class Faults:
    """The rules of one life, and what has come of them."""

    dice: random.Random
    rules: list[Rule] = field(default_factory=list)
    met: int = 0

    def next(self, call: str, about: str, now: float) -> Rule | None:
        """The rule by which this call goes wrong, if it does."""
        for rule in self.rules:
            if rule.applies(call, about, now) and (
                rule.chance >= 1 or self.dice.random() < rule.chance
            ):
                rule.most -= 1
                self.met += 1
                return rule
        return None

    def add(self, rules: Iterable[Rule]) -> None:
        """More rules."""
        self.rules += rules

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        self.rules.clear()
