"""DuckDB with its extension for S3, in an environment of its own: ``duckdb_reader.py``.

Knows pip and the script's arguments. The extension is that of a DuckDB older than the tests' own:
the newest of which the extension is to be had as a package. Must not know what is in the files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .cache import python_environment
from .sender import run_sender

SCRIPT = Path(__file__).with_name("duckdb_reader.py")
VERSION = "1.5.5"
REQUIREMENTS = tuple(
    f"{name}=={VERSION}" for name in ("duckdb", "duckdb-extension-httpfs", "duckdb-extension-aws")
)


def build_duckdb_s3() -> Path:
    """The Python of the environment, made on first use."""
    return python_environment("duckdb-s3", REQUIREMENTS)


def query_with_duckdb(statements: str, scratch: Path) -> list[list[Any]]:
    """The rows of the last of some statements, as JSON has them.

    Raises ``ComponentError`` with DuckDB's output when one failed.
    """
    asked, answered = scratch / "statements.sql", scratch / "duckdb_rows.json"
    asked.write_text(statements, encoding="utf-8")
    run_sender([str(build_duckdb_s3()), str(SCRIPT), str(asked), str(answered)])
    rows: list[list[Any]] = json.loads(answered.read_text(encoding="utf-8"))
    return rows
