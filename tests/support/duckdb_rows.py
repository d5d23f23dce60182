"""Rows by DuckDB, an independent reader, on a connection of its own for each question.

The connection that DuckDB shares within a process has one result at a time: a test that has not
fetched all of its own would be in the way of the next one.
"""

from __future__ import annotations

from typing import Any

import duckdb


def query(statement: str, parameters: object = None) -> list[tuple[Any, ...]]:
    """All rows of a statement."""
    with duckdb.connect() as connection:
        return connection.execute(statement, parameters).fetchall()
