"""Spark answers statements in one session: run by the Python of an environment of its own.

    python spark_statements.py FOLDER ASKED ANSWERED

ASKED is a JSON file: ``setup``, in Python, finds the session as ``spark`` and is run first, in
FOLDER, then each of ``statements``, in SQL by its name. ANSWERED is written: the rows of each. It
needs nothing of this project, and fails unless every statement succeeded.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import datetime
from pathlib import Path

os.environ["TZ"] = "UTC"  # by which Spark's Python makes times of those it is given
time.tzset()

from spark_reader import new_session  # type: ignore[import-not-found]  # noqa: E402 - beside this


def main(folder: str, asked: str, answered: str) -> None:
    """Run everything in one session."""
    wanted = json.loads(Path(asked).read_text(encoding="utf-8"))
    os.chdir(folder)
    # Small files and many statements: what plans ahead costs more than it saves.
    settings = {
        "spark.sql.warehouse.dir": str(Path(answered).parent / "warehouse"),
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    }
    session = new_session(settings)
    exec(wanted["setup"], {"spark": session})  # noqa: S102 - the page's own text
    answers = {}
    for name, statement in wanted["statements"].items():
        try:
            answers[name] = [list(row) for row in session.sql(statement).collect()]
        except Exception as error:  # noqa: BLE001 - which statement it was is what helps
            sys.exit(f"{name}: {error}")
    session.stop()
    text = json.dumps(
        answers, default=lambda one: one.isoformat() if isinstance(one, datetime) else str(one)
    )
    Path(answered).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*map(os.path.abspath, sys.argv[1:]))
