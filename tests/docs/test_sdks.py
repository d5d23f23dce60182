"""The programs of the guides, run as they stand there with what ``connect`` prints for them.

What they sent is looked up in the files. Nothing else is in their environment that speaks of OTLP.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import duckdb
import pytest

from otlp2parquet.connect.recipes import Endpoint, recipe
from tests.components import Server, build_java_sdk, build_javascript
from tests.components.browser_sdk import bundled
from tests.components.chromium import chromium
from tests.components.go_sdk import SOURCE as GO
from tests.components.java_sdk import FRUGAL
from tests.components.parquet_rows import stored_tables
from tests.components.sender import run_sender
from tests.support.foreign_page import foreign_page
from tests.support.server_process import Server as LocalServer
from tests.support.waiting import wait_for

from .documents import PROJECT, block_to_run, blocks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.components.parquet_rows import Row

PAGES = PROJECT / "docs" / "sdks"


def variables(program: str, endpoint: str) -> dict[str, str]:
    """What a shell exports of the text of ``connect``."""
    text = recipe(program, Endpoint(endpoint))
    lines = [line for line in text.splitlines() if line.startswith("export")]
    script = "\n".join([*lines, "env -0"])
    done = subprocess.run(
        ["sh", "-eu"], input=script, env={}, capture_output=True, check=True, text=True
    )
    found = dict(line.split("=", 1) for line in done.stdout.split("\0") if "=" in line)
    # Loads what is not installed here, into every program.
    return {name: value for name, value in found.items() if name.startswith("OTEL_")}


def python(code: str, folder: Path) -> list[str]:
    """The command of a Python program."""
    (folder / "app.py").write_text(code, "utf-8")
    return [sys.executable, str(folder / "app.py")]


def node(code: str, folder: Path) -> list[str]:
    """The command of a program for Node.js, beside the packages that it needs."""
    (folder / "app.mjs").write_text(code, "utf-8")
    (folder / "node_modules").symlink_to(build_javascript() / "node_modules")
    return ["node", str(folder / "app.mjs")]


def go(code: str, folder: Path) -> list[str]:
    """A Go program, compiled, beside the versions that the tests' own client has."""
    (folder / "main.go").write_text(code, "utf-8")
    for name in ("go.mod", "go.sum"):
        shutil.copy(GO / name, folder)
    subprocess.run(["go", "-C", folder, "build", "-o", folder / "app", "."], check=True)
    return [str(folder / "app")]


def java(code: str, folder: Path) -> list[str]:
    """A Java program, run from its source."""
    (folder / "Shop.java").write_text(code, "utf-8")
    return ["java", *FRUGAL, "-cp", f"{build_java_sdk()}/*", str(folder / "Shop.java")]


PROGRAMS = {"python": python, "node": node, "go": go, "java": java}
NAMES = {"node": "javascript"}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_guides_program(program: str, tmp_path: Path) -> None:
    """It runs with the exporters' own defaults and what ``connect`` prints; its rows are stored."""
    block = block_to_run(f"sdks/{NAMES.get(program, program)}.md", program, "shop")
    folder = tmp_path / "program"
    folder.mkdir()
    command = PROGRAMS[program](block.code, folder)
    with Server(tmp_path) as server:
        run_sender(command, settings=variables(program, server.endpoint))
        assert server.stop() == 0
    assert_stored(stored_tables(server.data))


def test_the_browsers_page(tmp_path: Path) -> None:
    """In Chromium, from another origin: what waits is sent while the page is left."""
    code = block_to_run("sdks/browser.md", "browser", "shop").code
    (origins,) = (one for one in blocks(PAGES / "browser.md") if "allowed_origins" in one.code)
    (tmp_path / "config.toml").write_text(origins.code, "utf-8")
    with LocalServer(tmp_path) as server:
        endpoint = f"http://{server.host}:{server.port}"
        script = bundled(code.replace("http://127.0.0.1:4318", endpoint))
        with foreign_page(script) as port, chromium() as browser:
            page = browser.new_page()
            page.goto(f"http://localhost:{port}/")
            page.goto("about:blank")

            def has_arrived() -> bool:
                server.flush()
                return set(stored_tables(server.data)) == {"otel_traces", "otel_metrics_sum"}

            wait_for(has_arrived)
        assert server.stop() == 0
    assert_stored(stored_tables(server.data))


def assert_stored(tables: dict[str, list[Row]]) -> None:
    """What every guide's program sends."""
    (span,) = tables["otel_traces"]
    assert (span["ServiceName"], span["SpanName"]) == ("my-service", "checkout")
    assert span["SpanAttributes"] == '{"cart.items":3}'
    # Some SDKs count their own exports, too.
    sums = tables["otel_metrics_sum"]
    (point,) = (one for one in sums if one["MetricName"] == "shop.orders")
    assert point["Value"] == 1.0
    assert point["Attributes"] == '{"currency":"EUR"}'


def test_every_guide_is_run_or_says_that_it_is_not() -> None:
    """And the page of all guides says the same."""
    index = (PAGES / "index.md").read_text("utf-8")
    for page in PAGES.glob("*.md"):
        if page.name == "index.md":
            continue
        is_run = any(block.name == "shop" for block in blocks(page))
        text = page.read_text("utf-8")
        assert is_run != ("not run by a test" in text), page.name
        (row,) = re.findall(rf"\({page.name}\).*\| (yes|no)", index)
        assert row == ("yes" if is_run else "no")


def test_a_view_with_the_old_names() -> None:
    """For those who come over: the statement of their page makes a view of the rows."""
    block = block_to_run("coming_over.md", "duckdb-views", "old-names")
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE traces AS SELECT * FROM (VALUES "
            "('SPAN_KIND_SERVER', 'STATUS_CODE_ERROR'), ('SPAN_KIND_CLIENT', 'STATUS_CODE_UNSET')"
            ") AS spans(SpanKind, StatusCode)"
        )
        connection.execute(block.code)
        rows = connection.execute("FROM old_traces").fetchall()
    assert rows == [("SERVER", "Error"), ("CLIENT", "Unset")]
