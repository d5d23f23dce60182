"""The documents as people read them: which there are, and the code in them.

Knows Markdown's fences, and the comment before one that says what is done with it:
``<!-- run: ENGINE NAME -->``. Must not know what any code means.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[2]
FENCE = re.compile(
    r"^(?:<!-- run: (?P<engine>\S+) (?P<name>\S+) -->\n)?"
    r"(?P<indent> *)```(?P<language>\S*)[^\n]*\n(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of code in a document, and where it stands."""

    page: str
    line: int
    language: str
    code: str
    engine: str = ""
    name: str = ""

    @property
    def place(self) -> str:
        """For the name of a test."""
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Every document that is for users and those who work on it."""
    found = [*PROJECT.glob("*.md"), *(PROJECT / "benchmarks").glob("*.md")]
    return sorted([*found, *(PROJECT / "docs").rglob("*.md")])


def blocks(page: Path) -> Iterator[Block]:
    """All code of a page, in order."""
    text = page.read_text("utf-8")
    name = page.relative_to(PROJECT).as_posix()
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start("language")) + 1
        indent = len(found["indent"])
        code = "".join(row[indent:] or "\n" for row in found["code"].splitlines(keepends=True))
        yield Block(name, line, found["language"], code, found["engine"] or "", found["name"] or "")


def all_blocks(*languages: str) -> list[Block]:
    """The code in all documents in some languages; in all, without any."""
    everything = (one for page in pages() for one in blocks(page))
    return [one for one in everything if not languages or one.language in languages]


def block_to_run(page: str, engine: str, name: str) -> Block:
    """The one block of a page that is marked so."""
    (found,) = (
        one for one in blocks(PROJECT / "docs" / page) if (one.engine, one.name) == (engine, name)
    )
    return found
