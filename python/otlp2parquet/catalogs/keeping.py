"""How many snapshots of a table stay, for every client.

Knows Iceberg's table properties of that. Must not know how a snapshot is removed.
"""

from collections.abc import Mapping, Sequence
from typing import Final

_COLLECTS: Final = "gc.enabled"
_MOST_AGE: Final = "history.expire.max-snapshot-age-ms"
_LEAST: Final = "history.expire.min-snapshots-to-keep"


def most_that_stay(
    properties: Mapping[str, str], made_ms: Sequence[int], keep: int, now_ms: int
) -> int:
    """How many of the newest snapshots stay behind the next commit, which makes one more.

    ``made_ms`` is when each was made. So that ``keep`` remain; a table may say that age counts,
    too. All of them where ``gc.enabled`` is false (Nessie keeps history itself).
    """
    if properties.get(_COLLECTS, "true").lower() == "false":
        return len(made_ms)
    stay = max(1, keep - 1)
    age = properties.get(_MOST_AGE, "")
    if age.isdecimal():
        least = properties.get(_LEAST, "1")
        least_count = max(1, int(least) if least.isdecimal() else 1)
        young = sum(1 for made in made_ms if made >= now_ms - int(age))
        stay = min(stay, max(young, least_count))
    return min(stay, len(made_ms))
