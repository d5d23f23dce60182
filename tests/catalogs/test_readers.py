"""What the page says of reading tables is run, against the embedded catalog."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.iceberg import commit, iceberg_catalog, logs_receipt

if TYPE_CHECKING:
    from otlp2parquet.catalogs.receipts import Receipt

PAGE = Path(__file__).parents[2] / "docs" / "catalogs.md"
GONE = re.findall(r"gone for good\n.*?```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
BLOCKS = re.findall(r"### (\w+)\n.*?```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def test_the_page_has_statements() -> None:
    """One for each engine that can be had here."""
    assert [name for name, _ in BLOCKS] == ["pyiceberg", "polars", "DuckDB"]


@pytest.mark.parametrize(("name", "code"), BLOCKS, ids=[name for name, _ in BLOCKS])
def test_statements_find_rows(
    name: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As written, in the folder of a server."""
    commit_ten_rows(tmp_path, monkeypatch)
    names: dict[str, object] = {}
    exec(compile(code, f"{PAGE.name}, {name}", "exec"), names)  # noqa: S102 - our own page
    errors = names["errors"]
    rows = errors.read_all() if hasattr(errors, "read_all") else errors
    assert len(rows) > 0  # type: ignore[arg-type]


def test_the_names_of_a_node_that_is_gone_can_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As written, of that node."""
    node = commit_ten_rows(tmp_path, monkeypatch).node
    (code,) = GONE
    names: dict[str, Any] = {}
    exec(compile(code.replace("NODE", node), PAGE.name, "exec"), names)  # noqa: S102 - as above
    logs = names["logs"].refresh()
    assert not [name for name in logs.properties if node in name]
    assert len(logs.scan().to_arrow()) == 10


def commit_ten_rows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Receipt:
    """The embedded catalog of a server in ``folder``, where what follows is run."""
    from pyiceberg.catalog.sql import SqlCatalog  # noqa: PLC0415

    monkeypatch.chdir(folder)
    # Its other planner is a package of its own.
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")
    (folder / "data").mkdir()
    there = SqlCatalog(
        "otlp2parquet",
        uri=f"sqlite:///{folder}/data/catalog.db",
        warehouse=f"file://{folder}/data/warehouse",
    )
    receipt = logs_receipt(folder / "a", 10)
    commit(iceberg_catalog(lambda: there), receipt)
    return receipt
