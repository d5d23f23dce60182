"""``otlp2parquet ls``: tables, hours, files, rows and bytes, of a folder and of a bucket."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.core.layout import LAYOUTS, partition_path
from otlp2parquet.core.schema import TABLE_FOLDERS
from otlp2parquet.listing import list_storage, place_of
from otlp2parquet.stores import LocalStore
from tests.components.s3 import CREDENTIALS, Versitygw
from tests.support.conversion import json_request, run
from tests.support.duckdb_rows import query

if TYPE_CHECKING:
    from pathlib import Path

HOUR = datetime(2026, 7, 1, 9, tzinfo=UTC)


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """Two hours of logs."""
    (tmp_path / "a.json").write_bytes(json_request("one", "two"))
    later = json_request("three").replace(b'timeUnixNano": "17', b'timeUnixNano": "16')
    (tmp_path / "b.json").write_bytes(later)
    assert run("convert", tmp_path / "a.json", "-o", tmp_path / "out").exit_code == 0
    assert run("convert", tmp_path / "b.json", "-o", tmp_path / "out").exit_code == 0
    return tmp_path / "out"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("table", TABLE_FOLDERS)
def test_places_of_every_layout(layout: str, table: str) -> None:
    """What the layouts make of table and hour is read back."""
    for service in ("shop", None, "date=2020-01-01", "../x"):
        folder = partition_path(table, service, HOUR, layout)  # type: ignore[arg-type]
        assert place_of(f"{folder}/id.parquet") == (table, HOUR)
        assert place_of(f"{folder}/.id.parquet") is None
        assert place_of(f"{folder}/id.txt") is None


@pytest.mark.parametrize(
    "path",
    [
        "x.parquet",
        "logs/x.parquet",
        "logs/date=2026-13-01/hour=1/x.parquet",
        "other/date=2026-01-01/hour=1/x.parquet",
    ],
)
def test_no_places_of_ours(path: str) -> None:
    """Other files are none of ours."""
    assert place_of(path) is None


def test_as_json(tables: Path) -> None:
    """A line per table and hour; the figures are those that DuckDB finds."""
    result = run("ls", tables, "--format", "json")
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["table"] for line in lines] == ["otel_logs", "otel_logs"]
    assert [line["rows"] for line in lines] == [1, 2]
    assert lines[0]["hour"] < lines[1]["hour"]
    (found,) = query(
        "SELECT count(*), count(DISTINCT filename) FROM read_parquet($1)",
        [f"{tables}/logs/**/*.parquet"],
    )
    assert found == (sum(line["rows"] for line in lines), sum(line["files"] for line in lines))
    sizes = [path.stat().st_size for path in tables.rglob("*.parquet")]
    assert sum(line["bytes"] for line in lines) == sum(sizes)


def test_as_text(tables: Path) -> None:
    """The same for people, with a sum; what is not ours is counted, what is hidden is not."""
    (tables / "README").write_text("hello")
    text = run("ls", tables).stdout
    assert text.splitlines()[0].split() == ["table", "hour", "(UTC)", "files", "rows", "bytes"]
    assert text.splitlines()[-2].split()[:3] == ["total", "2", "3"]
    assert text.splitlines()[-1] == "1 other objects"


def test_names_only(tables: Path) -> None:
    """No file is opened."""
    for path in tables.rglob("*.parquet"):
        path.write_bytes(b"")
    result = run("ls", tables, "--names-only", "--format", "json")
    assert result.exit_code == 0
    assert all("rows" not in json.loads(line) for line in result.stdout.splitlines())


def test_a_file_that_is_none(tables: Path) -> None:
    """It is named, the others are counted, and the exit code says so."""
    (path, *_) = sorted(tables.rglob("*.parquet"))
    path.write_bytes(b"no parquet")
    result = run("ls", tables, "--format", "json")
    assert result.exit_code == 1
    assert f"{path.relative_to(tables)}: found no footer" in result.stderr
    assert len(result.stdout.splitlines()) == 2


def test_what_somebody_called_a_file_does_nothing_to_a_terminal(tables: Path) -> None:
    """Whoever may write into the folder, or the bucket, names its files."""
    folder = tables / "logs" / "date=2026-07-01" / "hour=9"
    folder.mkdir(parents=True)
    (folder / "\x1b[2J\u202e.parquet").write_bytes(b"junk")
    told = run("ls", tables).stderr
    assert r"\x1b[2J\u202e.parquet: found no footer" in told
    assert "\x1b" not in told
    assert "\u202e" not in told


def test_no_folder(tmp_path: Path) -> None:
    """What is not there is not made by looking at it."""
    result = run("ls", tmp_path / "absent")
    assert result.exit_code == 1
    assert "there is no folder" in result.stderr
    assert not (tmp_path / "absent").exists()


def test_a_bucket(tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its URL, or as it is configured; one request for the names and one a file."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    with Versitygw(tmp_path) as s3:
        url = s3.url("deep")
        for name in ("a.json", "b.json"):
            result = run("convert", tmp_path / name, "-o", url)
            assert result.exit_code == 0, result.output
        here = run("ls", tables, "--format", "json").stdout
        assert run("ls", url, "--format", "json").stdout == here
        monkeypatch.setenv("OTLP2PARQUET_STORAGE_URL", url)
        assert run("ls", "--format", "json").stdout == here
        s3.stop()
        result = run("ls", url)
        assert result.exit_code == 1
        assert "nothing answers there" in result.stderr


def test_listing_counts_a_file_once(tables: Path) -> None:
    """A file belongs to one hour."""
    listing = list_storage(LocalStore(tables))
    assert sum(hour.files for hour in listing.hours) == 2
    assert listing.others == 0
