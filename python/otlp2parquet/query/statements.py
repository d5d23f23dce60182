"""Which statements are run: those that only read.

Knows DuckDB's statements. What a statement of ``CREATE`` makes lives in the memory of one command
and is gone with it, so that a view or macro can be made for the statement that follows.
"""

import re
from typing import TYPE_CHECKING, Final

from otlp2parquet.errors import QueryError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, Statement

_COMMENT: Final = re.compile(r"\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/", re.DOTALL)
_EXPLAIN: Final = re.compile(r"explain\b(?:\s+analyze\b)?(?:\s*\([^()]*\))?", re.IGNORECASE)
_PIVOT: Final = re.compile(r"(?:pivot|unpivot|with|from|select)\b", re.IGNORECASE)
_SET: Final = re.compile(r"set\s+(?:session\s+)?(?:variable|timezone)\b", re.IGNORECASE)

EXPECTED: Final = (
    "expected statements that read: SELECT, FROM, WITH, VALUES, PIVOT, DESCRIBE, SUMMARIZE, SHOW, "
    "EXPLAIN, and CREATE for what lives as long as the command (a view, a macro, a table), SET "
    "VARIABLE and SET TimeZone"
)
"""What is run, in words."""


def reading_statements(connection: "DuckDBPyConnection", sql: str) -> "list[Statement]":
    """The statements of a text, if each of them only reads.

    Raises ``QueryError`` for a text without a statement, and for one that does more than read;
    DuckDB's own errors for what is no SQL.
    """
    statements = connection.extract_statements(sql)
    if not statements:
        raise QueryError(f"found no statement, {EXPECTED}")
    for statement in statements:
        if not _only_reads(connection, statement):
            kind = statement.type.name.replace("_", " ")
            raise QueryError(f"found a statement of the kind {kind}, {EXPECTED}")
    return list(statements)


def _only_reads(connection: "DuckDBPyConnection", statement: "Statement") -> bool:
    text = _without_comment(statement.query)
    kind = statement.type.name
    if kind == "EXPLAIN":
        # EXPLAIN ANALYZE runs what it explains.
        explained = _EXPLAIN.match(text)
        rest = text[explained.end() :] if explained else ""
        return _kinds(connection, rest) == ["SELECT"]
    if kind == "MULTI":
        return _PIVOT.match(text) is not None
    if kind == "SET":
        return _SET.match(text) is not None
    return kind in {"SELECT", "CREATE"}


def _kinds(connection: "DuckDBPyConnection", text: str) -> list[str]:
    import duckdb  # noqa: PLC0415 - an extra, which is there by now

    try:
        return [one.type.name for one in connection.extract_statements(text)]
    except duckdb.Error:
        return []


def _without_comment(text: str) -> str:
    """The text without white space and comments before its first word."""
    at = 0
    while (found := _COMMENT.match(text, at)) is not None and found.end() > at:
        at = found.end()
    return text[at:]
