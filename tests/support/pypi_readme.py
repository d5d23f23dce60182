"""``python -m tests.support.pypi_readme``: README.md as PyPI shows it, printed.

Knows Markdown's links. On PyPI nothing lies beside the page, and a link to what would is dead:
the page names the file instead, which is in the source distribution. What lies elsewhere stays a
link.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[2]
PAGE: Final = PROJECT / "python" / "README.md"
"""What pyproject.toml names: `make docs` writes it."""

_FENCE: Final = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")
_WHERE: Final = "Documents that are named here lie in the source distribution.\n\n"


def of_pypi(readme: str) -> str:
    """The page for PyPI, of the one in the repository."""
    title, _, rest = readme.partition("\n\n")
    parts = _FENCE.split(rest)
    parts[::2] = [_LINK.sub(_named, part) for part in parts[::2]]
    return f"{title}\n\n{_WHERE}{''.join(parts)}"


def dead_links(page: str) -> list[str]:
    """Targets of links that lead nowhere where nothing lies beside the page."""
    prose = "".join(_FENCE.split(page)[::2])
    return [target for _, target in _LINK.findall(prose) if not _is_elsewhere(target)]


def _is_elsewhere(target: str) -> bool:
    return "://" in target or target.startswith(("#", "mailto:"))


def _named(found: re.Match[str]) -> str:
    text, target = found[1], found[2]
    if _is_elsewhere(target):
        return found[0]
    path = target.partition("#")[0]
    return f"`{path}`" if text == path else f"{text} (`{path}`)"


if __name__ == "__main__":
    sys.stdout.write(of_pypi((PROJECT / "README.md").read_text("utf-8")))
