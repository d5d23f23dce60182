"""What the site is made of besides ``docs``: the pages at the top of the repository, and an order.

Hooks of MkDocs. Knows which page of the repository is which of the site, and how links between them
are written in each. It must not know what a page says.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

TOP = {
    "README.md": "index.md",
    "DESIGN.md": "design.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Pages at the top of the repository, and what the site calls them."""

LINK = re.compile(r"(\]\()([^)\s#:]+)((?:#[^)\s]*)?\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the top, and order what is there into sections."""
    project = Path(config.config_file_path).parent
    for source, name in TOP.items():
        text = (project / source).read_text("utf-8")
        files.append(File.generated(config, name, content=with_links(text, source)))
    pages = {one.src_uri for one in files.documentation_pages()}
    nav, used = ordered(config.nav or [], pages)
    rest = sorted(pages - used)
    config.nav = [*nav, {"More": rest}] if rest else nav
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Links of a page in ``docs`` to one at the top."""
    if page.file.generated_by is not None:
        return markdown
    return with_links(markdown, f"docs/{page.file.src_uri}")


def with_links(text: str, source: str) -> str:
    """The text of ``source``, a path in the repository, with its links as they are in the site."""
    here = page_of(source) or ""

    def moved(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), found[2]))
        page = page_of(target)
        if page is None:
            return found[0]
        return f"]({posixpath.relpath(page, posixpath.dirname(here) or '.')}{found[3]}"

    return LINK.sub(moved, text)


def page_of(path: str) -> str | None:
    """What the site calls a page of the repository; None where it is none."""
    if path in TOP:
        return TOP[path]
    return path.removeprefix("docs/") if path.startswith("docs/") and path.endswith(".md") else None


def ordered(nav: list[Any], pages: set[str]) -> tuple[list[Any], set[str]]:
    """The part of ``nav`` that there are pages for, and those pages; ``folder/*`` is all of it."""
    kept: list[Any] = []
    used: set[str] = set()
    for entry in nav:
        if isinstance(entry, str):
            if entry in pages:
                kept.append(entry)
                used.add(entry)
            continue
        ((title, below),) = entry.items()
        if isinstance(below, str) and below.endswith("/*"):
            folder = below.removesuffix("*")
            inside = {one for one in pages if one.startswith(folder)}
            index = [one for one in inside if one == f"{folder}index.md"]
            below = [*index, *sorted(inside - set(index))]
        inner, more = ordered(below, pages)
        if inner:
            kept.append({title: inner})
            used |= more
    return kept, used
