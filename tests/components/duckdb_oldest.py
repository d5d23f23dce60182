"""The oldest DuckDB that reads our files as documented, in an environment of its own.

Knows pip and the arguments of ``duckdb_statements.py``. Must not know what is in the files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .cache import python_environment
from .sender import run_sender

if TYPE_CHECKING:
    from collections.abc import Mapping

SCRIPT = Path(__file__).with_name("duckdb_statements.py")
OLDEST = "1.4.0"
REQUIREMENTS = (f"duckdb=={OLDEST}", "pytz==2025.2")


def build_duckdb_oldest() -> Path:
    """The Python of the environment, made on first use."""
    return python_environment("duckdb-oldest", REQUIREMENTS)


def ask_oldest_duckdb(
    folder: Path, setup: str, statements: Mapping[str, str], scratch: Path
) -> dict[str, list[list[Any]]]:
    """The rows of each statement, run in ``folder`` behind ``setup``, as JSON has them.

    Raises ``ComponentError`` with DuckDB's output when one failed.
    """
    asked, answered = scratch / "duckdb_asked.json", scratch / "duckdb_answered.json"
    asked.write_text(json.dumps({"setup": setup, "statements": dict(statements)}), "utf-8")
    python = str(build_duckdb_oldest())
    run_sender([python, str(SCRIPT), str(folder), str(asked), str(answered)])
    rows: dict[str, list[list[Any]]] = json.loads(answered.read_text("utf-8"))
    return rows
