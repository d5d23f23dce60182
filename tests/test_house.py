"""The order of the house: what may import what, and what no file may hold."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.deploy.worker import imports, needed_modules
from tests.support.layers import PACKAGE, drawing, drawn, imported_parts, imports_of, part_of

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[1]
MODULES = sorted(PACKAGE.rglob("*.py"))
TESTS = PROJECT / "tests"

TESTS_OF_THE_WHOLE = {"test_api", "test_assembly", "test_demo", "test_house", "test_release"}

OTHER_TEST_FOLDERS = frozenset(
    {"clients", "components", "docs", "hostile", "proofs", "simulation", "support", "vectors"}
)
"""Folders of tests that are no part of the package; all others are named like one."""

PURE = frozenset(
    {
        "__future__", "base64", "binascii", "bisect", "collections", "contextlib", "dataclasses",
        "datetime", "enum", "functools", "hashlib", "hmac", "itertools", "json", "math", "re",
        "string", "struct", "types", "typing", "zlib",
    }
)  # fmt: skip
"""What of the standard library the core may use: no file, socket, process, clock, environment
or thread among it."""

RUNTIME = frozenset({"js", "pyodide", "workers"})
"""What only Cloudflare's runtime has; one module of a Worker's knows it."""
DOOR = PACKAGE / "core" / "decoder.py"
ARROW = PACKAGE / "core" / "pure" / "batch.py"
"""Gives rows as Arrow to who has pyarrow, which it loads inside of what needs it."""

CORE_PACKAGES = frozenset({"otlp2parquet"})

OUR_PATH = re.compile(r"(?<![\w/.])(?:tests|benchmarks|demo)/[\w/]+(?:\.\w+)?")
OUR_MODULE = re.compile(r"-m ((?:tests|benchmarks|demo)[\w.]*\w)")
MACHINE_PATH = re.compile(r"(?<![\w.*])/(?:home|root|work|Users|mnt|opt)/\w")


def test_design_draws_the_layers() -> None:
    """DESIGN.md draws what imports what, as it is: parts in layers, none above another twice."""
    assert drawn() == drawing(), "make docs draws them anew; read what changed"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_public_names_are_for_users(module: Path) -> None:
    """No file of the package imports from the package's own face."""
    for name, line in imports_of(module):
        assert name != "otlp2parquet", f"{module.name}:{line} imports {name}"


@pytest.mark.parametrize("lower", ["core", "stores", "writers"])
def test_what_lies_below_batches_knows_none(lower: str) -> None:
    """Who stores a batch knows the writers' protocol, and no writer knows what a batch is."""
    imported = imported_parts()[lower]
    assert not imported & {"batches", "convert", "assembly", "platforms", "cli"}, imported


@pytest.mark.parametrize(
    "module",
    [path for path in MODULES if part_of(path) == "core"],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_core_is_pure(module: Path) -> None:
    """The core imports nothing that does I/O, tells the time or reads the environment."""
    allowed = PURE | CORE_PACKAGES
    if module == DOOR:
        # Which decoder is wanted: asked once, of one variable, and it changes no result.
        allowed |= {"os"}
        assert re.findall(r"\bos\..*", module.read_text("utf-8")) == [
            'os.environ.get(VARIABLE, "")'
        ]
    if module == ARROW:
        allowed |= {"pyarrow"}
    for name, line in imports_of(module):
        assert name.split(".")[0] in allowed, f"{module.name}:{line} imports {name}"
    calls = [
        node.func.id
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    assert not {"open", "print", "input", "__import__", "exec", "eval"} & set(calls)


@pytest.mark.parametrize(
    "module",
    sorted((PACKAGE / "core" / "pure").rglob("*.py")),
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_the_twin_is_the_standard_library_alone(module: Path) -> None:
    """And its own modules, the errors and the signals: a Worker bundles no more.

    Where pyarrow is loaded, that is not when the module is imported.
    """
    ours = ("otlp2parquet.core.pure", "otlp2parquet.errors", "otlp2parquet.core.signals")
    for name, line in imports_of(module):
        if name == "pyarrow" and module == ARROW:
            continue
        assert name.split(".")[0] in PURE or name.startswith(ours), (
            f"{module.name}:{line} imports {name}"
        )
    top = ast.parse(module.read_text("utf-8")).body
    loaded = [node.names[0].name for node in top if isinstance(node, ast.Import)]
    assert "pyarrow" not in loaded


def test_one_door_to_the_decoder() -> None:
    """Only ``core.decoder`` imports the extension: the package can be had without it."""
    files = [*MODULES, *(PROJECT / "benchmarks").rglob("*.py"), *(PROJECT / "demo").rglob("*.py")]
    importers = [path for path in files if "otlp2parquet._native" in path.read_text("utf-8")]
    found = [
        path
        for path in importers
        if any(
            f"{name}.".startswith("otlp2parquet._native.")
            for name, _ in chain(imports_of(path), names_imported(path))
        )
    ]
    assert found == [DOOR]


@pytest.mark.parametrize(
    "package",
    [
        "batches", "batches/log", "captures", "captures/framings", "captures/wrappings",
        "cli/terminal", "connect", "convert", "core/pure",
        "deploy", "platforms/cloudflare_worker", "platforms/server/live", "platforms/server/page",
        "query", "writers",
    ],
)  # fmt: skip
def test_a_package_lists_its_modules(package: str) -> None:
    """Where its docstring has such a list, that is what is there."""
    init = PACKAGE / package / "__init__.py"
    text = ast.get_docstring(ast.parse(init.read_text("utf-8")), clean=False) or ""
    lines = re.findall(r"^    ((?:\w+/?)(?:, \w+/?)*) +\S", text, re.MULTILINE)
    listed = {name.strip().rstrip("/") for line in lines for name in line.split(",")}
    modules = {path.stem for path in init.parent.glob("*.py")} - {"__init__"}
    assert listed == modules | {path.parent.name for path in init.parent.glob("*/__init__.py")}


def test_links_in_documents_lead_somewhere() -> None:
    """Also to pages that a command writes."""
    folders = (PROJECT, PROJECT / "docs", PROJECT / "benchmarks")
    dead = [
        f"{document.name}: {target}"
        for document in (path for folder in folders for path in folder.glob("*.md"))
        for target in re.findall(r"\]\(([^)#\s]+)", document.read_text("utf-8"))
        if "://" not in target and not (document.parent / target).exists()
    ]
    assert dead == []


def test_nobody_shares_a_connection_of_duckdb() -> None:
    """A result that one test has not fetched would be in the way of another one."""
    shared = re.compile(r"\bduckdb\.(?:sql|query|execute|read_\w+|from_\w+)\(")
    folders = (PACKAGE, PROJECT / "benchmarks", PROJECT / "demo", PROJECT / "tests")
    files = [path for folder in folders for path in folder.rglob("*.py")]
    assert [path for path in files if shared.search(path.read_text("utf-8"))] == []


def test_the_use_case_knows_no_protocol() -> None:
    """What every platform shares names no platform: no ASGI, no HTTP, no status codes."""
    for module in (PACKAGE / "core" / "outcome.py", PACKAGE / "platforms" / "export.py"):
        for name, line in imports_of(module):
            foreign = {"server", "otlp_http", "http", "status", "granian"} & set(name.split("."))
            assert not foreign, f"{module.name}:{line} imports {name}"
        numbers = {
            node.value
            for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and type(node.value) is int
        }
        assert not {number for number in numbers if 100 <= number < 600}, module


def names_imported(module: Path) -> Iterator[tuple[str, int]]:
    """Every name that a file imports from a module: ``from package import name``."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((f"{node.module}.{name.name}", node.lineno) for name in node.names)


def test_core_does_nothing_when_imported() -> None:
    """Importing the core, all of it, writes nothing, connects to nothing and loads no pyarrow."""
    names = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for path in MODULES
        if part_of(path) == "core"
    ]
    program = f"""
import importlib, sys
def watch(event, arguments):
    if event == "open" and arguments[2] & 3:
        raise SystemExit(f"opened {{arguments[0]}} to write")
    if event.startswith(("socket.", "subprocess.", "os.system", "os.mkdir", "os.remove")):
        raise SystemExit(f"{{event}} {{arguments}}")
sys.dont_write_bytecode = True
sys.addaudithook(watch)
for name in {names}:
    importlib.import_module(name)
loaded = {{name.partition(".")[0] for name in sys.modules}}
foreign = loaded & {{"pyarrow", "numpy", "click", "rich", "granian", "asyncio", "logging"}}
sys.exit(f"loaded {{foreign}}" if foreign else 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_what_the_worker_imports_is_the_standard_library_alone() -> None:
    """And what Cloudflare's runtime has: a Worker's bundle holds no other package."""
    for name, path in needed_modules().items():
        found = {one.partition(".")[0] for one in imports(path)} - {PACKAGE.name}
        of_the_runtime = RUNTIME if name.endswith("cloudflare_worker.entrypoint") else set()
        # A batch becomes Arrow's where somebody has Arrow and asks for it.
        when_asked_for = {"pyarrow"} if path == ARROW else set()
        foreign = found - sys.stdlib_module_names - of_the_runtime - when_asked_for
        assert not foreign, f"{name} imports {foreign}"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_states_its_rule(module: Path) -> None:
    """Each file opens by saying what it is."""
    docstring = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8")))
    assert docstring, module
    assert len(docstring.split()) >= 5, f"{module} says too little: {docstring}"


@pytest.mark.parametrize(
    "module", sorted(TESTS.rglob("*.py")), ids=lambda path: str(path.relative_to(TESTS))
)
def test_no_test_imports_a_test(module: Path) -> None:
    """What several tests need is in the support: no module imports one that is collected."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = f"tests.{node.module or ''}" if node.level else node.module
            names = [f"{base}.{name.name}" for name in node.names]
        ours = [name for name in names if name.startswith("tests.")]
        assert [name for name in ours if ".test_" in name] == []


def test_tests_mirror_the_package() -> None:
    """Every folder of tests is named like the part of the package that its tests are about."""
    assert {path.stem for path in TESTS.glob("test_*.py")} == TESTS_OF_THE_WHOLE
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    mirrored = {path for path in folders if path.parts and path.parts[0] not in OTHER_TEST_FOLDERS}
    assert {path for path in mirrored if not (PACKAGE / path).is_dir()} == set()
    parts = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert parts - {path.parts[0] for path in mirrored} == set(), "parts without tests"


@pytest.mark.parametrize("folder", ["package", "tests", "benchmarks", "demo"])
def test_no_file_shadows_the_standard_library(folder: str) -> None:
    """No module is called like one of the standard library."""
    root = PACKAGE if folder == "package" else PROJECT / folder
    for path in root.rglob("*.py"):
        name = path.stem if path.stem != "__init__" else path.parent.name
        assert name.startswith("__") or name not in sys.stdlib_module_names, path


def project_files() -> Iterator[Path]:
    """Every file of ours that people read, wherever the tests run."""
    ours = ("tests", "benchmarks", "demo", "deploy", "docs", "rust")
    roots = [PACKAGE, *(PROJECT / name for name in ours)]
    kinds = {".py", ".pyi", ".rs", ".toml", ".md", ".yaml", ".lua", ".go", ".mjs", ".service"}
    below = chain.from_iterable(root.rglob("*") for root in roots if root.is_dir())
    for path in chain(below, PROJECT.glob("*.md"), PROJECT.glob("*.toml"), [PROJECT / "Makefile"]):
        if path.suffix in kinds or path.name == "Makefile":
            relative = path.parts[len(PROJECT.parts) :] if path.is_relative_to(PROJECT) else ()
            if path.is_file() and not {"target", "node_modules"} & set(relative):
                yield path


@pytest.mark.parametrize(
    "page",
    [PROJECT / "Makefile", *PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md")],
    ids=lambda path: path.name,
)
def test_what_pages_and_targets_name_is_there(page: Path) -> None:
    """Files and modules of the tests and benchmarks that a person is told to run can be run."""
    text = page.read_text(encoding="utf-8")
    for path in OUR_PATH.findall(text):
        assert (PROJECT / path).exists(), path
    for name in OUR_MODULE.findall(text):
        module = PROJECT.joinpath(*name.split("."))
        assert module.with_suffix(".py").is_file() or (module / "__main__.py").is_file(), name


def test_no_machine_paths() -> None:
    """No file names a place on somebody's machine."""
    found = [
        f"{path}: {line.strip()}"
        for path in project_files()
        for line in path.read_text(encoding="utf-8").splitlines()
        if MACHINE_PATH.search(line)
    ]
    assert found == []
