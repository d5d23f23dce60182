"""What DuckDB says of a statement that cannot be run, as we say it: with what there is.

Knows DuckDB's messages. A message may hold text of senders, so it is made harmless here.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Final

from otlp2parquet.query.values import harmless
from otlp2parquet.query.views import METRICS, VIEWS

_KIND: Final = re.compile(r"\A(?:Parser|Binder|Catalog|Conversion|Invalid Input|IO) Error: ")
_COLUMN: Final = re.compile(
    r'(?:Referenced column|column named|does not have a column named) "([^"]*)"'
)
_FILE: Final = re.compile(r"\.parquet'")
_TABLE: Final = re.compile(r"Table with name (\S+) does not exist")
_NEAREST: Final = 5
_BESIDE_A_BROKEN_FILE: Final = (
    "no query of this table can be answered beside such a file: 'otlp2parquet ls' names all of "
    "them, to be moved away"
)


def explanation(message: str, columns: Mapping[str, Iterable[str]]) -> str:
    """A message of DuckDB with what is near to what it did not find.

    ``columns`` are those of each view.
    """
    body = _KIND.sub("", message).strip()
    body = body[:1].lower() + body[1:]
    lines = [harmless(line) for line in body.splitlines()]
    if _TABLE.search(message):
        lines += ["", f"the views are {', '.join((*VIEWS, METRICS))}"]
    elif _FILE.search(message):
        lines += ["", _BESIDE_A_BROKEN_FILE]
    elif (column := _COLUMN.search(message)) is not None:
        lines += ["", *_nearest(column[1], columns)]
    return "\n".join(lines)


def _nearest(name: str, columns: Mapping[str, Iterable[str]]) -> list[str]:
    by_folded = {one.lower(): one for names in columns.values() for one in names}
    near = difflib.get_close_matches(name.lower(), by_folded, n=_NEAREST, cutoff=0.5)
    lines = []
    for folded in near:
        views = [view for view, names in columns.items() if by_folded[folded] in names]
        lines.append(f"near to it: {by_folded[folded]} (in {', '.join(views)})")
    return lines or ["otlp2parquet schema shows the columns of each table"]
