"""Under Pyodide the deployed sources decode every vector of the tests as they do here.

Here they are held to the extension by the vectors' own tests, which are run and recorded: rows,
counts, messages and places. Slow, and therefore behind ``--worker``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import vector_digests
from tests.vectors import recorded as recorded_vectors

if TYPE_CHECKING:
    from tests.components.worker_runtime import WorkerRuntime

ROOT = Path(__file__).parents[3]
AT_ONCE = 100
LEAST = 300
"""How many requests the vectors are at least."""


def recorded(path: Path) -> list[str]:
    """The requests of all vectors, whose tests hold this decoder to the extension."""
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "tests/vectors", "-q", "-x",
            "-p", "tests.vectors.recorded",
        ],
        cwd=ROOT,
        env={**os.environ, recorded_vectors.VARIABLE: str(path)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return path.read_text("ascii").splitlines()


def test_every_vector_is_decoded_alike(
    worker: WorkerRuntime, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """To the last digit of every column."""
    if not request.config.getoption("--worker"):
        pytest.skip("all vectors take their time under Pyodide: --worker")
    cases = recorded(tmp_path / "vectors")
    assert len(cases) > LEAST
    program = Path(vector_digests.__file__).read_text("utf-8")
    for start in range(0, len(cases), AT_ONCE):
        some = "\n".join(cases[start : start + AT_ONCE])
        here = vector_digests.digests(some).splitlines()
        there = worker.order("python", f"{program}\ndigests({some!r})").splitlines()
        different = [
            case
            for case, mine, other in zip(some.splitlines(), here, there, strict=True)
            if mine != other
        ]
        assert different == []
