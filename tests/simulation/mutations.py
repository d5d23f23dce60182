"""Faults to put into the product, each of which the simulation has to find.

A mutation replaces a piece of the source by another. It names the module, so that it fails loudly
when the product has changed and the mutation says nothing any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.simulation.instrumented import Replacement

MUTATIONS: Final[Mapping[str, Mapping[str, Sequence[Replacement]]]] = {}


def replacements(name: str) -> Mapping[str, Sequence[Replacement]]:
    """The replacements by module of a mutation; none for the empty name."""
    return MUTATIONS[name] if name else {}
