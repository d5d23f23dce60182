"""The page of the proofs is what their kept results say, and nothing else."""

from __future__ import annotations

from tests.proofs.page import PAGE, PROOFS, kept, page


def test_the_page_is_current_and_whole() -> None:
    """None of its numbers is typed by hand, and a proof that was not run in full says so."""
    results = kept()
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(results)
    assert text.count("not run in full yet") == len(set(PROOFS) - set(results))
