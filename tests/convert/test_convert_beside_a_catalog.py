"""``convert`` where a catalog is configured: it commits nothing, and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.conversion import run
from tests.support.requests import logs_request

if TYPE_CHECKING:
    from pathlib import Path

NOTE = "in none of its tables"


@pytest.fixture
def capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file to convert, in a folder without settings."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "logs.pb"
    path.write_bytes(logs_request(3))
    return path


@pytest.mark.parametrize(
    ("name", "value"),
    [("CATALOG_TYPE", "sql"), ("ICEBERG_REST_URI", "http://nessie:19120/api/v1")],
)
def test_who_has_a_catalog_is_told(
    capture: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """That the files are in no table, and what to do; once, when there are files."""
    monkeypatch.setenv(f"OTLP2PARQUET_{name}", value)
    done = run("convert", capture, "-o", "out")
    assert done.exit_code == 0
    assert NOTE in done.stderr
    assert "send them to a server" in done.stderr
    assert NOTE not in run("convert", capture, "-o", "out").stderr, "nothing was written"


def test_who_has_none_is_told_nothing(capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor who has settings that cannot be read: a folder needs none."""
    assert NOTE not in run("convert", capture, "-o", "out").stderr
    monkeypatch.setenv("OTLP2PARQUET_CATALOG_TYPE", "unknown")
    done = run("convert", capture, "-o", "other")
    assert done.exit_code == 0
    assert NOTE not in done.stderr
