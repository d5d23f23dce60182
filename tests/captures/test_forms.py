"""Every form of a capture that the page names: read as it says, or named as what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.capture_forms import SECTIONS, Example, page, read

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = [example for examples in SECTIONS.values() for example in examples]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.what)
def test_each_form_gives_its_rows(tmp_path: Path, example: Example) -> None:
    """And what is wrong with it is told, and nothing else."""
    outcome = read(example, tmp_path)
    assert outcome.rows == example.rows, outcome.told
    if example.told:
        assert any(example.told in told for told in outcome.told), outcome.told
    else:
        assert outcome.told == ()


def test_the_page_is_current() -> None:
    """The committed page is what its command prints now."""
    command = "python -m tests.support.capture_forms > docs/captures.md"
    committed = (DOCS / "captures.md").read_text(encoding="utf-8")
    assert committed == page(), f"docs/captures.md is stale: run {command}"
    assert command in committed
