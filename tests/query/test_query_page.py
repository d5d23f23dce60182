"""The statements in docs/query.md, run as they stand there, on files of every table and on none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from otlp2parquet.query.statements import EXPECTED
from otlp2parquet.query.views import METRICS, VIEWS
from otlp2parquet.stores import LocalStore
from tests.support.questions import ask, write_all_tables

PAGE = (Path(__file__).parents[2] / "docs" / "query.md").read_text("utf-8")
STATEMENTS = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
IN_SHELL = re.findall(r'otlp2parquet query "([^"]+)"', PAGE)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    """A file of every table."""
    folder = tmp_path_factory.mktemp("tables")
    write_all_tables(folder)
    return LocalStore(folder)


@pytest.mark.parametrize("sql", [*STATEMENTS, *IN_SHELL])
def test_statements(sql: str, store: LocalStore, tmp_path: Path) -> None:
    """They answer something, and are no error where nothing is stored."""
    found = ask(store, sql)
    if "INTERVAL 6 HOURS" not in sql and "SPAN_KIND_SERVER" not in sql:
        assert found
    ask(LocalStore(tmp_path), sql)


def test_all_views_and_statements_are_named() -> None:
    """What the page lists is what there is."""
    assert len(STATEMENTS) >= 6
    for view in (*VIEWS, METRICS):
        assert f"`{view}`" in PAGE
    for word in re.findall(r"\b[A-Z]{2,}(?: [A-Z]{4,})?\b", EXPECTED):
        assert word in PAGE
