"""DuckDB with its own extension for S3: run by the Python of an environment of its own.

    python duckdb_reader.py STATEMENTS ROWS

STATEMENTS is a file of SQL; ROWS is written: the rows of the last of them, as JSON. The extensions
that INSTALL would fetch lie in packages of the environment and are installed from there first. It
needs nothing of this project, and fails unless every statement succeeded.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from pathlib import Path

import duckdb

EXTENSIONS = ("httpfs", "aws")


def main(statements: str, rows: str) -> None:
    """Run everything on one connection."""
    with tempfile.TemporaryDirectory() as folder:
        connection = duckdb.connect(
            config={"extension_directory": folder, "home_directory": folder}
        )
        for name in EXTENSIONS:
            package = importlib.import_module(f"duckdb_extension_{name}").__file__ or ""
            (file,) = Path(package).parent.rglob(f"{name}.duckdb_extension")
            connection.execute(f"INSTALL '{file}'")
        found = connection.execute(Path(statements).read_text(encoding="utf-8")).fetchall()
        connection.close()
    Path(rows).write_text(json.dumps(found, default=str), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
