"""The page of storages and catalogs is what the kept results say, and they are whole."""

from __future__ import annotations

import json

from tests.catalogs.matrix import PAGE, RESULT, faults, page

CELLS = {
    "s3": {"plain", "sql", "nessie", "glue", "s3tables", "rest"},
    "fs": {"plain", "sql"},
    "gcs": {"plain", "sql"},
    "azure": {"plain", "sql"},
}


def test_the_page_is_current_and_whole() -> None:
    """Each cell was read by several engines, and none of its numbers is typed by hand."""
    results = json.loads(RESULT.read_text(encoding="utf-8"))
    assert faults(results) == []
    found: dict[str, set[str]] = {}
    for one in results:
        found.setdefault(one["storage"], set()).add(one["catalog"])
    assert found == CELLS
    assert PAGE.read_text(encoding="utf-8") == page(results)


def test_a_fault_is_found() -> None:
    """A row too few, a reader that reads all files, a table that is missing."""
    results = json.loads(RESULT.read_text(encoding="utf-8"))
    results[0]["DuckDB"] = results[0]["DuckDB"] | {"logs": 15}
    results[1]["files_late"] = results[1]["files"]
    del results[2]["pyiceberg"]["traces"]
    assert len(faults(results)) == 3
