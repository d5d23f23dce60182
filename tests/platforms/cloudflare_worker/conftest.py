"""The Worker of a deployed folder: one Node process for all tests of a session.

Each test takes an isolate of its own, which is the sources imported anew, and an empty bucket.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.deploy import worker as deployed
from tests.components.worker_runtime import WorkerRuntime

if TYPE_CHECKING:
    from collections.abc import Iterator

HARNESS = Path(__file__).with_name("harness.mjs")
PATIENT = """
import otlp2parquet.platforms.cloudflare_worker.storing as storing
storing.STORE_SECS = storing.TAKE_BACK_SECS = 300
"""
"""A machine that tests run on may be many times slower than Cloudflare's."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, as the command writes it."""
    output = tmp_path_factory.mktemp("worker")
    deployed.write(output)
    return output


@pytest.fixture(scope="session")
def runtime(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerRuntime]:
    """The Worker, started once."""
    log = tmp_path_factory.mktemp("runtime") / "node.log"
    with WorkerRuntime(HARNESS, folder / deployed.SOURCES, log, PATIENT) as running:
        yield running


@pytest.fixture
def worker(runtime: WorkerRuntime) -> WorkerRuntime:
    """The Worker with no variable set, over an empty bucket."""
    runtime.clear()
    runtime.restart()
    return runtime
