"""Which keys a table need not name any more, so that what it names stays small.

Knows keys, nodes and receipts. Must not know how a commit is made. A key may go when its receipt
can never be made again, and is gone. In this order: what can still be made again is asked first,
whether it is there second, both after the table was loaded. Then a receipt that was made in between
is seen.

A node is retired when none of its receipts can be made again: one that converted an object and has
noted that it is done. A table that kept the names of such nodes would grow with each of them.
"""

import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

from otlp2parquet.catalogs.awaiting import settled
from otlp2parquet.catalogs.protocol import LoadedTable, Receipts
from otlp2parquet.catalogs.receipts import Receipt, path_of

MOST_LOOKED_UP: Final = 8
"""Keys, and retired nodes, that are looked for in one commit by who lists no receipts."""
MOST_NODES: Final = 64
"""Other nodes that one commit takes receipts of."""
MOST_RETIRED: Final = 2 * MOST_NODES
"""Nodes of which it is asked in one commit whether they are retired: more than one adds."""
MOST_LISTINGS: Final = 8
"""Nodes whose receipts are listed one by one; for more all receipts are listed at once."""


class Forgetting:
    """What a committer of ``node`` may forget. ``lists`` says whether it may list receipts.

    A committer that lasts for a moment must not: there may be thousands that wait for another.
    """

    def __init__(
        self,
        receipts: Receipts,
        node: str,
        *,
        may_return: Callable[[str], bool],
        is_retired: Callable[[str], Awaitable[bool] | bool] | None,
        forgets: bool,
        lists: bool,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._receipts = receipts
        self._node = node
        self._may_return = may_return
        self._is_retired = is_retired
        self._forgets = forgets
        self._lists = lists
        self._jitter = jitter

    async def candidates(
        self, table: LoadedTable, waiting: Iterable[str]
    ) -> dict[str, frozenset[str]]:
        """The keys, by node, whose receipts cannot be made again.

        ``waiting`` are the nodes whose receipts wait for this table.
        """
        found = {}
        if self._forgets:
            own = sorted(
                key
                for key in table.committed(self._node)
                if not self._may_return(key.partition(".")[0])
            )
            found[self._node] = frozenset(own if self._lists else own[:MOST_LOOKED_UP])
        for node in await self._retired(table.nodes() - {self._node, *waiting}):
            found[node] = table.committed(node)
        return {node: keys for node, keys in found.items() if keys}

    async def _retired(self, nodes: Iterable[str]) -> list[str]:
        if self._is_retired is None:
            return []
        ordered = sorted(nodes)
        # Each time from another one on: those that are not retired must not hide the others.
        start = int(self._jitter() * len(ordered))
        asked = (ordered[start:] + ordered[:start])[
            : MOST_RETIRED if self._lists else MOST_LOOKED_UP
        ]
        return [node for node in asked if await settled(self._is_retired(node))]

    async def present(
        self, table: str, receipts: Iterable[Receipt], candidates: Mapping[str, frozenset[str]]
    ) -> set[str]:
        """The paths that exist now, of these receipts and of those of the candidates."""
        waiting = {receipt.path: receipt.node for receipt in receipts}
        asked = waiting | {
            path_of(node, table, key): node for node, keys in candidates.items() for key in keys
        }
        present: set[str] = set()
        if self._lists and len(asked) > MOST_LOOKED_UP:
            nodes = set(asked.values())
            for node in nodes if len(nodes) <= MOST_LISTINGS else [""]:
                left = {path for path, of in asked.items() if not node or of == node}
                listed = await settled(self._receipts.list(node, table if node else ""))
                for path in listed:
                    present.add(path)
                    left.discard(path)
                    if not left:
                        break  # a backlog may be long behind what one attempt takes of it
            # A listing may be behind: what it does not have is asked for by name.
            asked = waiting
        for path in asked:
            if path not in present and await settled(self._receipts.exists(path)):
                present.add(path)
        return present
