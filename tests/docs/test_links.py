"""Every link of the documents leads somewhere: to a file that is there, at a heading that it has.

As GitHub finds them; the site finds them alike (``mkdocs.yml`` asks for GitHub's names of
headings), and its build fails where it does not. Links to elsewhere are not followed: tests reach
no network.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import pytest

from .documents import FENCE, PROJECT, pages

if TYPE_CHECKING:
    from pathlib import Path

LINK = re.compile(r"(?<!!)\[[^\]\n]*(?:\n[^\]\n]*)?\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?)\s*$", re.MULTILINE)


def prose(page: Path) -> str:
    """A page without its code."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text("utf-8")))


def slug(heading: str) -> str:
    """A heading's name in links, as GitHub makes it."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


@cache
def anchors(page: Path) -> frozenset[str]:
    """All headings of a page by their names in links."""
    found: list[str] = []
    for heading in HEADING.findall(FENCE.sub("", page.read_text("utf-8"))):
        name = slug(heading)
        count = sum(re.fullmatch(rf"{re.escape(name)}(-\d+)?", one) is not None for one in found)
        found.append(f"{name}-{count}" if count else name)
    return frozenset(found)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_links(page: Path) -> None:
    """Files are there, and so are headings."""
    for target in LINK.findall(prose(page)):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), f"{target}: {sorted(anchors(file))}"


def test_every_page_can_be_found() -> None:
    """No document is an island, but those that a folder shows by itself."""
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in pages()
        for target in LINK.findall(prose(page))
        if "://" not in target
    }
    shown = {PROJECT / "README.md", PROJECT / "benchmarks" / "README.md"}
    islands = set(pages()) - linked - shown
    assert {page.relative_to(PROJECT).as_posix() for page in islands} == set()
