"""The folder of a Worker: what is in it, that it runs by itself, nothing is overwritten."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from otlp2parquet.cli import main
from otlp2parquet.deploy import worker
from otlp2parquet.platforms.cloudflare_worker.settings import BINDING, NAMES, PREFIX, read_settings
from otlp2parquet.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

MOST_COMPRESSED = 60 << 10
"""What a Worker's sources may come to, those for a catalog aside, which have as much again for
themselves as half of it; Cloudflare takes 3 MB of a free plan's."""


def deploy(*arguments: str | Path) -> Result:
    """The command."""
    return CliRunner().invoke(main, ["deploy", "cloudflare", *map(str, arguments)])


def test_the_folder_is_ready(tmp_path: Path) -> None:
    """Configuration, page and sources; the command says how large they are."""
    done = deploy("-o", tmp_path / "new" / "worker")
    assert done.exit_code == 0, done.output
    folder = tmp_path / "new" / "worker"
    assert {path.name for path in folder.iterdir()} == {"wrangler.toml", "README.md", "src"}
    found = {path.relative_to(folder / "src").as_posix() for path in folder.rglob("*.py")}
    modules = worker.needed_modules().values()
    expected = {path.relative_to(worker.PACKAGE.parent).as_posix() for path in modules}
    assert found == expected | {"entry.py"}
    assert f"a Worker of {len(found)} modules" in done.output
    assert "KiB compressed, of which" in done.output


def test_the_current_folder_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the issue of whoever stands in an empty folder."""
    monkeypatch.chdir(tmp_path)
    assert deploy().exit_code == 0
    assert (tmp_path / "wrangler.toml").is_file()


@pytest.mark.parametrize("name", ["wrangler.toml", "README.md", "src/entry.py"])
def test_nothing_is_overwritten(name: str, tmp_path: Path) -> None:
    """The file that is in the way is named, and nothing else is written."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    done = deploy("-o", tmp_path)
    assert done.exit_code == 1
    assert f"{path} is there already" in done.output
    assert path.read_text() == "mine"
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == [path]


def test_what_is_not_needed_stays_out() -> None:
    """No extension, no pyarrow, no server and no command line."""
    modules = worker.needed_modules()
    assert worker.ENTRY in modules
    assert "otlp2parquet" in modules
    parts = {name.split(".")[1] for name in modules if "." in name}
    assert parts == {
        "batch_id", "catalogs", "core", "errors", "platforms", "printable", "version", "writers",
    }  # fmt: skip
    assert "otlp2parquet.writers.encode_pyarrow" not in modules
    assert "otlp2parquet.platforms.server" not in modules


def test_imports_for_types_do_not_count(tmp_path: Path) -> None:
    """Those in functions do, and those of what TYPE_CHECKING is not."""
    path = tmp_path / "module.py"
    path.write_text(
        "import a\nfrom b import c\nif TYPE_CHECKING:\n    import d\nelse:\n    import e\n"
        "def f():\n    import g.h\n"
    )
    assert set(worker.imports(path)) == {"a", "b", "b.c", "e", "g.h"}


def test_the_sources_run_by_themselves(tmp_path: Path) -> None:
    """Without any installed package, and with the version of the package that they are of."""
    deploy("-o", tmp_path)
    program = f"""
import sys, types
sys.path.insert(0, {str(tmp_path / "src")!r})
for name in ("js", "pyodide", "pyodide.ffi", "workers"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["workers"].WorkerEntrypoint = sys.modules["workers"].Response = object
sys.modules["pyodide.ffi"].to_js = object
import entry, otlp2parquet.version
from otlp2parquet.platforms.cloudflare_worker import storing
assert not any("catalogs" in name for name in sys.modules), "a catalog is loaded"
from otlp2parquet.platforms.cloudflare_worker import catalog
print(otlp2parquet.version.__version__, otlp2parquet.__file__)
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [__version__, str(tmp_path / "src/otlp2parquet/__init__.py")]


def test_documentation_stays_out_and_nothing_else() -> None:
    """What runs is what was written: the same tree without its texts."""
    source = (
        '"""Rule.\n\nMore."""\nx = 1  # why\n\n\nclass A:\n    """A."""\n    y: int\n    """Y."""\n'
    )
    source += '\n\ndef f():\n    """F."""\n'
    stripped = worker.without_documentation(source)
    expected = "x = 1\nclass A:\n    y: int\ndef f():\n    pass\n"
    assert ast.dump(ast.parse(stripped)) == ast.dump(ast.parse(expected))


def test_types_stay_out_but_those_of_fields() -> None:
    """What a class is made of stays; a function loses its types and does the same."""
    source = (
        "A: Final = 1\nB: int\nclass C:\n    d: int = 2\n    def f(self, x: int) -> int:\n"
        "        y: int = x\n        return y\nasync def g(*a: int, **k: int) -> None: ...\n"
    )
    expected = (
        "A = 1\npass\nclass C:\n    d: int = 2\n    def f(self, x):\n"
        "        y = x\n        return y\nasync def g(*a, **k): ...\n"
    )
    stripped = worker.without_documentation(source)
    assert ast.dump(ast.parse(stripped)) == ast.dump(ast.parse(expected))


def test_a_level_is_one_space_where_texts_allow_it() -> None:
    """White space is a part of what is uploaded; a text over lines keeps its own."""
    source = "def f():\n    if x:\n        return 'a    b'\n"
    assert worker.without_documentation(source) == "def f():\n if x:\n  return 'a    b'\n"
    text = "def f(x):\n    return f'''a\n    b{x}'''\n"
    stripped = worker.without_documentation(text)
    assert ast.dump(ast.parse(stripped)) == ast.dump(ast.parse(text))


def test_imports_for_types_stay_out() -> None:
    """Those that something uses when it runs stay, and what is not for types."""
    source = (
        "from typing import TYPE_CHECKING, Final, NamedTuple\nfrom collections.abc import Mapping\n"
        "import json\nif TYPE_CHECKING:\n    import a\nelse:\n    b = 1\n"
        "class C(NamedTuple):\n    d: Final\ndef f(e: Mapping) -> None: ...\n"
    )
    expected = (
        "from typing import Final, NamedTuple\nimport json\nb = 1\n"
        "class C(NamedTuple):\n    d: Final\ndef f(e): ...\n"
    )
    stripped = worker.without_documentation(source)
    assert ast.dump(ast.parse(stripped)) == ast.dump(ast.parse(expected))


def test_the_configuration_is_for_this_worker(tmp_path: Path) -> None:
    """Names of the binding, of the main module and of variables; no secret among them."""
    deploy("-o", tmp_path)
    found = tomllib.loads((tmp_path / "wrangler.toml").read_text("utf-8"))
    assert (tmp_path / found["main"]).is_file()
    assert found["compatibility_date"] >= "2026-09-08"
    assert found["compatibility_flags"] == ["python_workers"]
    assert [bucket["binding"] for bucket in found["r2_buckets"]] == [BINDING]
    assert found["triggers"]["crons"]
    settings = read_settings(found["vars"])
    assert settings == read_settings({})
    assert not settings.warnings


def test_the_catalog_waits_in_comments(tmp_path: Path) -> None:
    """Without their signs the lines are settings that are taken; the token is no variable."""
    deploy("-o", tmp_path)
    text = (tmp_path / "wrangler.toml").read_text("utf-8")
    given = tomllib.loads(re.sub(r"^# (OTLP2PARQUET_)", r"\1", text, flags=re.MULTILINE))["vars"]
    assert given["OTLP2PARQUET_CATALOG_TYPE"] == "r2"
    assert not any("TOKEN" in name for name in given)
    account = {"OTLP2PARQUET_R2_ACCOUNT_ID": "0123"}
    settings = read_settings({**given, **account, "OTLP2PARQUET_ICEBERG_TOKEN": "secret"})
    assert settings.catalog is not None
    assert settings.catalog.uri.endswith("/0123/otlp")
    assert not settings.warnings


def test_the_page_warns_of_an_open_endpoint(tmp_path: Path) -> None:
    """And names no variable that is not read."""
    deploy("-o", tmp_path)
    page = (tmp_path / "README.md").read_text("utf-8")
    assert "endpoint is open" in page
    assert "secret put OTLP2PARQUET_SERVER_AUTH_TOKENS" in page
    known = {PREFIX + name for names in NAMES.values() for name in names}
    assert set(re.findall(r"OTLP2PARQUET_\w+", page)) <= known


def test_the_sources_are_small(tmp_path: Path) -> None:
    """They are read at each cold start."""
    made = worker.write(tmp_path)
    assert made.compressed_bytes - made.catalog_bytes < MOST_COMPRESSED
    assert 0 < made.catalog_bytes < MOST_COMPRESSED / 2
