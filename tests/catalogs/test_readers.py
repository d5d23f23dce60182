"""What the page says of reading tables is run, against the embedded catalog."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.iceberg import commit, iceberg_catalog, logs_receipt

PAGE = Path(__file__).parents[2] / "docs" / "catalogs.md"
BLOCKS = re.findall(r"### (\w+)\n.*?```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def test_the_page_has_statements() -> None:
    """One for each engine that can be had here."""
    assert [name for name, _ in BLOCKS] == ["pyiceberg", "polars", "DuckDB"]


@pytest.mark.parametrize(("name", "code"), BLOCKS, ids=[name for name, _ in BLOCKS])
def test_statements_find_rows(
    name: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As written, in the folder of a server."""
    from pyiceberg.catalog.sql import SqlCatalog  # noqa: PLC0415

    monkeypatch.chdir(tmp_path)
    # Its other planner is a package of its own.
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")
    (tmp_path / "data").mkdir()
    there = SqlCatalog(
        "otlp2parquet",
        uri=f"sqlite:///{tmp_path}/data/catalog.db",
        warehouse=f"file://{tmp_path}/data/warehouse",
    )
    commit(iceberg_catalog(lambda: there), logs_receipt(tmp_path / "a", 10))
    names: dict[str, object] = {}
    exec(compile(code, f"{PAGE.name}, {name}", "exec"), names)  # noqa: S102 - our own page
    errors = names["errors"]
    rows = errors.read_all() if hasattr(errors, "read_all") else errors
    assert len(rows) > 0  # type: ignore[arg-type]
