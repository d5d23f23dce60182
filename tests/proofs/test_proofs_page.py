"""The page of the proofs is what their kept results say, and nothing else."""

from __future__ import annotations

from tests.proofs.page import PAGE, PROOFS, kept, page


def test_the_page_is_current_and_whole() -> None:
    """Every proof was run in full at least once, and none of its numbers is typed by hand."""
    results = kept()
    assert set(results) == set(PROOFS)
    assert PAGE.read_text(encoding="utf-8") == page(results)
