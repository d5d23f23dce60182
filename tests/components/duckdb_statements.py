"""A DuckDB of any age answers statements: run by the Python of an environment of its own.

    python duckdb_statements.py FOLDER ASKED ANSWERED

ASKED is a JSON file: ``setup`` is run first, in FOLDER, then each of ``statements`` by its name, on
one connection. ANSWERED is written: the rows of each. It needs nothing of this project, and fails
unless every statement succeeded.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb


def as_json(value: object) -> str:
    """What JSON has no word for; times in UTC."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat()
    return value.isoformat() if isinstance(value, datetime) else str(value)


def main(folder: str, asked: str, answered: str) -> None:
    """Run everything on one connection."""
    wanted = json.loads(Path(asked).read_text(encoding="utf-8"))
    os.chdir(folder)
    answers = {}
    with duckdb.connect() as connection:
        connection.execute(wanted["setup"])
        for name, statement in wanted["statements"].items():
            try:
                answers[name] = connection.execute(statement).fetchall()
            except duckdb.Error as error:
                sys.exit(f"{name}: {error}")
    Path(answered).write_text(json.dumps(answers, default=as_json), encoding="utf-8")


if __name__ == "__main__":
    main(*map(os.path.abspath, sys.argv[1:]))
