"""The folder of a Cloudflare Worker: wrangler's configuration, a page of commands, the sources.

Knows which modules the Worker's entry point imports, by reading them, and what wrangler expects of
a folder. Calls nothing at Cloudflare, and overwrites nothing.
"""

import ast
import gzip
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from otlp2parquet.errors import ConfigError
from otlp2parquet.version import __version__

PACKAGE: Final = Path(__file__).parents[1]
ENTRY: Final = "otlp2parquet.platforms.cloudflare_worker.entrypoint"
CATALOG: Final = "otlp2parquet.platforms.cloudflare_worker.catalog"
"""What a Worker loads only where a catalog is configured, with all that this alone needs."""
SOURCES: Final = "src"
"""The folder of the sources. Wrangler bundles every .py file in the folder of its main module."""

_ENTRY_NAME: Final = f"{SOURCES}/entry.py"
_ENTRY: Final = f'''\
"""The Worker: wrangler's main module. Everything is in the package beside it."""

from {ENTRY} import Default

__all__ = ["Default"]
'''
_VERSION: Final = f'''\
"""The version of the package that this Worker was made of."""

__version__ = "{__version__}"
'''


@dataclass(frozen=True, slots=True)
class WorkerFolder:
    """A folder that was written."""

    paths: tuple[Path, ...]
    """Of its files."""
    modules: int
    source_bytes: int
    compressed_bytes: int
    """By gzip, all sources together: as wrangler says the size of an upload."""
    catalog_bytes: int
    """How much of that is for a catalog alone."""


def needed_modules(entry: str = ENTRY, *, but: str = "") -> dict[str, Path]:
    """Every module of the package that ``entry`` imports, itself and the packages above included.

    ``but`` is a module that is taken to be none. Imports in functions count too, those for types do
    not. What is no Python source, as the extension, is left out: whoever imports it does without.
    """
    found: dict[str, Path] = {}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        above = name.rpartition(".")[0]
        path = _source(name)
        if path is None or name in found or name == but:
            continue
        found[name] = path
        waiting += [above] if above else []
        waiting += [one for one in imports(path) if one.partition(".")[0] == PACKAGE.name]
    return dict(sorted(found.items()))


def imports(path: Path) -> Iterator[str]:
    """The modules that a source may import when it runs, those of the package absolutely named."""
    for node in _run_time_nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def write(output: Path) -> WorkerFolder:
    """Write the folder. Raises ``ConfigError`` where one of its files is there already."""
    contents = _contents()
    there = [name for name in contents if (output / name).exists()]
    if there:
        raise ConfigError(
            f"{output / there[0]} is there already: expected a folder without it, nothing is "
            "overwritten"
        )
    for name, content in contents.items():
        path = output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(content)
    sources = {name: text.encode() for name, text in contents.items() if name.endswith(".py")}
    always = {_name_of(path) for path in needed_modules(but=CATALOG).values()} | {_ENTRY_NAME}
    compressed = _compressed_bytes(sources.values())
    without = _compressed_bytes(source for name, source in sources.items() if name in always)
    return WorkerFolder(
        tuple(output / name for name in contents),
        len(sources),
        sum(len(source) for source in sources.values()),
        compressed,
        compressed - without,
    )


def _compressed_bytes(sources: Iterable[bytes]) -> int:
    return len(gzip.compress(b"".join(sources), mtime=0))


def _name_of(path: Path) -> str:
    """Where a module of the package lies in the folder."""
    return f"{SOURCES}/{path.relative_to(PACKAGE.parent).as_posix()}"


def _contents() -> dict[str, str]:
    beside = files(__package__)
    contents = {
        "wrangler.toml": beside.joinpath("worker_wrangler.toml").read_text(encoding="utf-8"),
        "README.md": beside.joinpath("worker_readme.md").read_text(encoding="utf-8"),
        _ENTRY_NAME: _ENTRY,
    }
    for name, path in needed_modules().items():
        # An installed package knows its version by metadata that a bundle does not have.
        is_version = name == "otlp2parquet.version"
        source = _VERSION if is_version else path.read_text("utf-8")
        contents[_name_of(path)] = without_documentation(source)
    return contents


def without_documentation(source: str) -> str:
    """A module that does the same, without comments and docstrings.

    Nor with types of arguments, results and variables: only classes look at theirs. All that would
    be half of what is uploaded, and of what is read and evaluated at each cold start.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            texts = [one for one in node.body if _is_text(one)]
            node.body = [one for one in node.body if one not in texts] or [ast.Pass()]
    tree = _WithoutTypes().visit(tree)
    _leave_out_unused_types(tree)
    return _indented_little(f"{ast.unparse(tree)}\n")


def _indented_little(source: str) -> str:
    """A module with a space for each level, where no text of it goes over lines."""
    little = re.sub(r"^( {4})+", lambda found: found[0][::4], source, flags=re.MULTILINE)
    same = ast.dump(ast.parse(little)) == ast.dump(ast.parse(source))
    return little if same else source


class _WithoutTypes(ast.NodeTransformer):
    """Leaves out annotations that nothing reads when a module runs."""

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        """Fields of dataclasses and named tuples are made of theirs."""
        node.body = [
            one if isinstance(one, ast.AnnAssign) else self.visit(one) for one in node.body
        ]
        return node

    def visit_If(self, node: ast.If) -> ast.stmt | list[ast.stmt]:
        """What is there for types alone is not there when it runs."""
        self.generic_visit(node)
        return node.orelse if ast.unparse(node.test) == "TYPE_CHECKING" else node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        """An argument without its type."""
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """A function without the type of its result."""
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        """As above."""
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        """A variable without its type; one that has no value says nothing when it runs."""
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        assigned = ast.Assign([node.target], node.value)
        return ast.fix_missing_locations(ast.copy_location(assigned, node))


def _leave_out_unused_types(tree: ast.Module) -> None:
    """Leave out the names that a module imports from where types are, and has no use for."""
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in list(tree.body):
        if isinstance(node, ast.ImportFrom) and node.module in ("typing", "collections.abc"):
            node.names = [name for name in node.names if (name.asname or name.name) in used]
            if not node.names:
                tree.body.remove(node)


def _is_text(statement: ast.stmt) -> bool:
    """Whether a statement is nothing but a text: a docstring, wherever it stands."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _source(name: str) -> Path | None:
    """The source of a module of the package; None where it has none."""
    path = PACKAGE.parent.joinpath(*name.split("."))
    if (path / "__init__.py").is_file():
        return path / "__init__.py"
    return path.with_suffix(".py") if path.with_suffix(".py").is_file() else None


def _run_time_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below ``node``, but what stands under ``if TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(node):
        yield child
        below: list[ast.AST] = [child]
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            below = list(child.orelse)
            yield from below
        for one in below:
            yield from _run_time_nodes(one)
