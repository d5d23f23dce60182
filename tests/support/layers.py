"""The layers of the package, derived from what its files import: the drawing in DESIGN.md.

Knows Python's syntax and the package's files. A part is the first name below the package. A part
lies one layer above the highest of those that it imports; a circle of parts has no layer.

``python -m tests.support.layers`` writes the drawing into DESIGN.md.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import otlp2parquet

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(otlp2parquet.__file__).parent
DESIGN = Path(__file__).parents[2] / "DESIGN.md"
FACADE = "__init__"

_BEGIN = "<!-- layers: written by `make docs`, from the imports -->\n"
_END = "<!-- end of layers -->\n"


def part_of(module: Path) -> str:
    """The part of the package that a file belongs to: the first name below the package."""
    return module.relative_to(PACKAGE).with_suffix("").parts[0]


def imports_of(module: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, at any depth, absolutely named, with its line."""
    folder = module.relative_to(PACKAGE.parent).parent
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((name.name, node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = folder.parts[: len(folder.parts) - node.level + 1]
                base = ".".join([*above, base]).rstrip(".")
            for name in node.names:
                whole = f"{base}.{name.name}"
                # "from otlp2parquet import batches" names a module, most others do not.
                yield (whole if is_module(whole) else base, node.lineno)


def is_module(name: str) -> bool:
    """Whether a dotted name is a module of the package."""
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file() or path.with_suffix(".pyi").is_file()


def imported_parts() -> dict[str, set[str]]:
    """For each part, the other parts that its files import."""
    imported: dict[str, set[str]] = defaultdict(set)
    for module in sorted(PACKAGE.rglob("*.py")):
        part = part_of(module)
        if part == FACADE:
            continue
        imported[part] |= set()
        for name, _ in imports_of(module):
            package, _, rest = name.partition(".")
            target = rest.split(".")[0]
            if package == PACKAGE.name and target not in ("", part):
                imported[part].add(target)
                imported[target] |= set()
    return dict(imported)


def layers() -> list[list[str]]:
    """The parts, layer by layer, the lowest first; ``ValueError`` for a circle."""
    left, found, below = imported_parts(), [], set[str]()
    while left:
        layer = sorted(part for part, imported in left.items() if imported <= below)
        if not layer:
            raise ValueError(f"a circle of imports among {', '.join(sorted(left))}")
        found.append(layer)
        below.update(layer)
        for part in layer:
            del left[part]
    return found


def drawing() -> str:
    """The drawing, as it stands in DESIGN.md between its two marks."""
    imported = imported_parts()
    lines = ["```"]
    for layer in reversed(layers()):
        for part in layer:
            targets = ", ".join(sorted(imported[part]))
            lines.append(f"{part:<12} ─▶ {targets}" if targets else part)
        lines.append("")
    lines[-1] = "```"
    return "\n".join(lines) + "\n"


def drawn() -> str:
    """What DESIGN.md has."""
    return DESIGN.read_text(encoding="utf-8").partition(_BEGIN)[2].partition(_END)[0]


if __name__ == "__main__":
    text = DESIGN.read_text(encoding="utf-8")
    head, _, rest = text.partition(_BEGIN)
    DESIGN.write_text(head + _BEGIN + drawing() + _END + rest.partition(_END)[2], encoding="utf-8")
