"""Faults to put into the store for buckets, each of which the lives over a bucket have to find.

As ``mutations``; a module of its own, because it is loaded before what it changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.simulation.mutations import Mutation

if TYPE_CHECKING:
    from collections.abc import Mapping

_OBSTORE: Final = "otlp2parquet.stores.obstore"

BUCKET_MUTATIONS: Final[Mapping[str, Mutation]] = {
    "a put is repeated behind our back": Mutation({
        _OBSTORE: (
            ('obstore.put(self._once, path, content, mode="create"',
             'obstore.put(self._again, path, content, mode="create"'),
        ),
    }),
    "a put replaces what is there": Mutation({
        _OBSTORE: (
            ('obstore.put(self._once, path, content, mode="create"',
             'obstore.put(self._once, path, content, mode="overwrite"'),
        ),
    }, "foreign"),
    "a large file is not looked for": Mutation({
        _OBSTORE: (
            ("        self._look()\n        self._writer = ",
             "        self._writer = "),
            ("            self._look()\n            writer, ",
             "            writer, "),
        ),
    }, "foreign"),
}  # fmt: skip


def mutation_of(name: str) -> Mutation:
    """The mutation of this name; none for the empty one."""
    return BUCKET_MUTATIONS[name] if name else Mutation({})
