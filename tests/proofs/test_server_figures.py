"""The page of the server's figures is what its kept results say, and nothing else."""

from __future__ import annotations

from benchmarks.server_report import NAMES, PAGE, kept, page


def test_the_page_is_current() -> None:
    """No figure is typed by hand: the page is the results, written out."""
    results = kept()
    assert set(results) == set(NAMES)
    assert PAGE.read_text(encoding="utf-8") == page(results)
