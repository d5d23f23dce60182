"""Spark runs a statement of a page: run by the Python of an environment of its own.

    python spark_statement.py STATEMENT SETTINGS ROWS

STATEMENT is a file of Python that finds the session as ``spark`` and leaves a frame as ``errors``;
SETTINGS is a JSON file of Spark's settings; ROWS is written: the frame's rows. It needs nothing of
this project, and fails unless the statement succeeded.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from spark_reader import new_session  # type: ignore[import-not-found]  # beside this file


def main(statement: str, settings: str, rows: str) -> None:
    """Run it in a session of its own."""
    session = new_session(json.loads(Path(settings).read_text(encoding="utf-8")))
    names: dict[str, Any] = {"spark": session}
    exec(Path(statement).read_text(encoding="utf-8"), names)  # noqa: S102 - the page's own text
    found = [list(row) for row in names["errors"].collect()]
    session.stop()
    Path(rows).write_text(json.dumps(found, default=str), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
