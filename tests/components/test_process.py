"""A component that cannot be had is a failure that says why, with its log; never a skip."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.components import ComponentError, RunningProcess, cache_folder
from tests.components.cache import run_build

if TYPE_CHECKING:
    from pathlib import Path

WAITS = "import sys, signal; print('up', flush=True); signal.pause()"


def test_a_process_that_dies_before_it_is_ready_shows_its_log(tmp_path: Path) -> None:
    """A Collector with a bad configuration must not look like one that is merely slow."""
    command = [sys.executable, "-c", "import sys; print('no such exporter'); sys.exit(3)"]
    process = RunningProcess(command, tmp_path / "log")
    with pytest.raises(ComponentError, match=r"(?s)ended with 3 before .*no such exporter"):
        process.wait_ready(lambda: False)


def test_a_process_is_ended_by_its_own_pid(tmp_path: Path) -> None:
    """Leaving the block ends it with SIGTERM, and the exit code says so."""
    with RunningProcess([sys.executable, "-c", WAITS], tmp_path / "log") as process:
        process.wait_ready(lambda: "up" in process.log)
    assert process.process.returncode == -15


def test_a_missing_tool_is_named() -> None:
    """Without Go there is no Collector: the failure says what to install."""
    with pytest.raises(ComponentError, match="no-such-tool is not installed"):
        run_build(["no-such-tool", "install"])


def test_a_failed_build_shows_its_output() -> None:
    """A build that fails is an error that holds what the tool printed."""
    with pytest.raises(ComponentError, match=r"(?s)ended with 7.*cannot find module"):
        run_build([sys.executable, "-c", "print('cannot find module'); raise SystemExit(7)"])


def test_the_cache_lies_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``TESTS_CACHE``, else the user's cache folder: never the checkout."""
    monkeypatch.setenv("TESTS_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("TESTS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "otlp2parquet"
