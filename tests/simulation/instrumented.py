"""Loads the batch layer over the simulation's primitives, with a point before each statement.

Knows source text and syntax trees. Threads may lose the processor between any two statements, so
the scheduler gets its say there too. A mutation puts a fault in, by replacing a piece of the
source: the simulation has to find it. Install the loader before the first import of the package.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping, Sequence
    from types import CodeType, ModuleType

    from tests.simulation.scheduler import Scheduler

PACKAGES: Final = (
    "otlp2parquet.batches",
    "otlp2parquet.assembly",
    "otlp2parquet.stores.obstore",
    "otlp2parquet.stores.pace",
)
PRIMITIVES: Final = "tests.simulation.primitives"
_POINT: Final = "__point__"
_REPLACED: Final = frozenset({"threading", "queue"})

Replacement = tuple[str, str]


@dataclass(slots=True)
class _Preemption:
    """Statements until the next point; ``None`` for the scheduler while there are none."""

    left: int = 0
    scheduler: Scheduler | None = None
    next: Callable[[], int] = lambda: 1 << 30


_preemption = _Preemption()


def statement() -> None:
    """Called before each statement of the batch layer."""
    preemption = _preemption
    preemption.left -= 1
    if preemption.left < 0 and preemption.scheduler is not None:
        preemption.left = preemption.next()
        scheduler = preemption.scheduler
        if scheduler.current is not None and not scheduler.dead:
            scheduler.point("statement")


def preempt(scheduler: Scheduler | None, dice: random.Random, every: int) -> None:
    """From now on about one statement in ``every`` is a point of the scheduler; 0 for none."""
    _preemption.scheduler = scheduler if every else None
    _preemption.next = lambda: int(dice.expovariate(1 / every)) if every else 1 << 30
    _preemption.left = _preemption.next() if every else 1 << 30


def install(mutation: Mapping[str, Sequence[Replacement]] | None = None) -> None:
    """Load the batch layer as described from now on. ``mutation``: replacements by module."""
    loaded = [name for name in sys.modules if _is_inside(name)]
    if loaded:
        raise RuntimeError(f"{loaded[0]} is loaded already; expected to be first")
    sys.meta_path.insert(0, _Finder(dict(mutation or {})))


def _is_inside(name: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in PACKAGES)


class MutationError(Exception):
    """A replacement that does not fit the source any more."""


class _Finder(MetaPathFinder):
    def __init__(self, mutation: dict[str, Sequence[Replacement]]) -> None:
        self._mutation = mutation

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The usual place, another loader."""
        inside = _is_inside(fullname)
        replacements = self._mutation.get(fullname, ())
        if not inside and not replacements:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin, replacements, with_points=inside)
        return spec


class _Loader(SourceFileLoader):
    def __init__(
        self, name: str, path: str, replacements: Sequence[Replacement], *, with_points: bool
    ) -> None:
        super().__init__(name, path)
        self._replacements = replacements
        self._with_points = with_points

    def get_code(self, fullname: str) -> CodeType:
        """Compiled anew: what is cached is the plain source."""
        path = self.get_filename(fullname)
        text = self.get_data(path).decode("utf-8")
        for old, new in self._replacements:
            if text.count(old) != 1:
                raise MutationError(f"{fullname} has {text.count(old)} of {old!r}, expected one")
            text = text.replace(old, new)
        tree = ast.parse(text, path)
        if self._with_points:
            tree = ast.fix_missing_locations(_Points().visit(tree))
        return compile(tree, path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        """As usual, with the point in the module's names."""
        module.__dict__[_POINT] = statement
        super().exec_module(module)


class _Points(ast.NodeTransformer):
    """Puts a call of the point before each statement of each function."""

    def __init__(self) -> None:
        self._inside = False

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Its statements, not its docstring."""
        outside, self._inside = self._inside, True
        self.generic_visit(node)
        node.body = self._with_points(node.body)
        self._inside = outside
        return node

    def visit_Import(self, node: ast.Import) -> ast.AST:
        """The simulation's primitives instead of the standard library's."""
        for name in node.names:
            if name.name in _REPLACED:
                name.asname = name.asname or name.name
                name.name = PRIMITIVES
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        """As ``visit_Import``."""
        if node.module in _REPLACED:
            node.module = PRIMITIVES
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        """A lambda has no statements."""
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Statements within statements."""
        super().generic_visit(node)
        if self._inside and not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            for name in ("body", "orelse", "finalbody"):
                block: Any = getattr(node, name, None)
                if isinstance(block, list) and block:
                    setattr(node, name, self._with_points(block))
        return node

    @staticmethod
    def _with_points(block: list[ast.stmt]) -> list[ast.stmt]:
        points: list[ast.stmt] = []
        for number, one in enumerate(block):
            is_docstring = (
                number == 0 and isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)
            )
            if not is_docstring:
                call = ast.Call(ast.Name(_POINT, ast.Load()), [], [])
                points.append(ast.copy_location(ast.Expr(call), one))
            points.append(one)
        return points
