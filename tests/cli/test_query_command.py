"""``otlp2parquet query``: arguments, formats, and rows that a running server has not stored yet."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from otlp2parquet import ParquetWriter
from otlp2parquet.cli import main
from otlp2parquet.platforms.presence import FOLDER
from otlp2parquet.stores.clients import open_store
from otlp2parquet.stores.location import parse_location
from tests.components.s3 import CREDENTIALS, Versitygw
from tests.support.conversion import run
from tests.support.server_process import COMMAND, Server, environment, logs_of
from tests.support.tables import logs_batch

if TYPE_CHECKING:
    from pathlib import Path

COUNT = "SELECT count(*) AS n FROM logs"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three log records."""
    ParquetWriter(tmp_path / "data").write(logs_batch(3))
    return tmp_path / "data"


def test_the_default_is_the_configured_storage(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """./data, or what is set."""
    monkeypatch.chdir(folder.parent)
    assert run("query", COUNT, "--format", "csv").stdout == "n\n3\n"
    monkeypatch.chdir("/")
    monkeypatch.setenv("OTLP2PARQUET_STORAGE_FS_PATH", str(folder))
    assert run("query", COUNT, "--format", "csv").stdout == "n\n3\n"


def test_formats(folder: Path) -> None:
    """Each has the same rows."""
    sql = "SELECT Body, SeverityNumber FROM logs ORDER BY Timestamp"
    outputs = {
        form: run("query", sql, folder, "--format", form).stdout
        for form in ("table", "csv", "json", "ndjson", "markdown")
    }
    rows = json.loads(outputs["json"])
    assert [row["Body"] for row in rows] == [f"order {n} placed, naïve ✓" for n in range(3)]
    assert [json.loads(line) for line in outputs["ndjson"].splitlines()] == rows
    read = list(csv.DictReader(io.StringIO(outputs["csv"])))
    assert [row | {"SeverityNumber": int(row["SeverityNumber"])} for row in read] == rows
    for form in ("table", "markdown"):
        lines = outputs[form].splitlines()
        for line, row in zip(lines[2:5], rows, strict=True):
            assert row["Body"] in line
            assert str(row["SeverityNumber"]) in line


def test_sql_from_elsewhere(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file, or standard input; what follows is then the place."""
    (tmp_path / "count.sql").write_text(COUNT, "utf-8")
    assert (
        run("query", "--file", tmp_path / "count.sql", folder, "--format", "csv").stdout == "n\n3\n"
    )
    for arguments in (["-"], ["--file", "-"]):
        done = CliRunner().invoke(
            main, ["query", *arguments, str(folder), "--format", "csv"], input=COUNT
        )
        assert done.stdout == "n\n3\n"
    monkeypatch.chdir(folder.parent)
    assert run("query", "--file", tmp_path / "count.sql", "--format", "csv").stdout == "n\n3\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "found no SQL"),
        (["select", "1", "from", "logs"], 2, "the SQL in quotes"),
        (["--file", "absent.sql"], 2, "absent.sql cannot be read as SQL"),
        (["SELEC 1"], 1, "LINE 1: SELEC 1"),
        (["FROM lgs"], 1, "the views are logs, traces"),
        (["COPY logs TO 'x'"], 1, "expected statements that read"),
    ],
)
def test_mistakes(arguments: list[str], code: int, said: str, folder: Path) -> None:
    """One message, and an exit code."""
    here = os.getcwd()  # noqa: PTH109 - to go back to
    os.chdir(folder.parent)
    try:
        result = run("query", *arguments)
    finally:
        os.chdir(here)
    assert result.exit_code == code
    assert said in result.stderr
    assert result.stdout == ""


def test_nothing_there(tmp_path: Path) -> None:
    """An empty folder has no rows, which is said; a folder that is not there is a mistake."""
    result = run("query", "FROM logs", tmp_path, "--format", "csv")
    assert result.exit_code == 0
    assert result.stdout.startswith("Timestamp,TimestampNanos,ServiceName,")
    assert result.stdout.count("\n") == 1
    assert result.stderr == f"{tmp_path} has no files of logs\n"
    result = run("query", "FROM logs", tmp_path / "absent")
    assert result.exit_code == 1
    assert "there is no folder" in result.stderr
    assert not (tmp_path / "absent").exists()


def test_a_query_changes_nothing(folder: Path) -> None:
    """Neither in the storage nor beside it."""
    before = sorted(folder.parent.rglob("*"))
    run("query", "FROM logs", folder)
    assert sorted(folder.parent.rglob("*")) == before


def test_in_a_terminal(folder: Path) -> None:
    """Lines fit, and nothing that a sender wrote does anything to the terminal."""
    hostile = "SELECT chr(27) || ']0;owned' || chr(7) || repeat('x', 200) AS body, 1 AS n"
    for form in ("table", "csv"):
        ours, theirs = pty.openpty()
        command = [str(COMMAND), "query", hostile, str(folder), "--format", form]
        process = subprocess.Popen(
            command, stdout=theirs, env=environment() | {"COLUMNS": "40", "LINES": "24"}
        )
        os.close(theirs)
        output = b""
        while block := _read(ours):
            output += block
        os.close(ours)
        assert process.wait() == 0
        text = output.decode().replace("\r\n", "\n")
        assert "owned" in text
        assert "\x1b" not in text
        assert "\x07" not in text
        if form == "table":
            assert max(map(len, text.splitlines())) <= 40


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end is closed
        return b""


def test_a_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its URL or as configured, with the credentials that the server has."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    with Versitygw(tmp_path) as s3:
        url = s3.url("deep")
        writer = ParquetWriter(open_store(parse_location(url)))
        for service in ("a b", "c"):
            writer.write(logs_batch(3, service=service))
        sql = "SELECT service, count(*) n, max(Body) b FROM logs WHERE service = 'a b' GROUP BY ALL"
        expected = 'service,n,b\na b,3,"order 2 placed, naïve ✓"\n'
        assert run("query", sql, url, "--format", "csv").stdout == expected
        monkeypatch.setenv("OTLP2PARQUET_STORAGE_URL", url)
        assert run("query", sql, "--format", "csv").stdout == expected
        s3.stop()
        result = run("query", sql)
        assert result.exit_code == 1
        assert "nothing answers there" in result.stderr


def test_rows_of_a_running_server_are_in_the_answer(tmp_path: Path) -> None:
    """It stores them first; not when it is told not to; and it is named when it cannot be asked."""
    with Server(tmp_path, settings={"OTLP2PARQUET_BATCH_MAX_AGE_SECS": "3600"}) as server:
        server.post(logs_of("first"))
        assert run("query", COUNT, server.data, "--format", "csv").stdout == "n\n1\n"
        server.post(logs_of("second"))
        result = run("query", COUNT, server.data, "--format", "csv", "--no-flush")
        assert (result.stdout, result.stderr) == ("n\n1\n", "")
        assert run("query", COUNT, server.data, "--format", "csv").stdout == "n\n2\n"
        server.post(logs_of("third"))
        assert server.process is not None
        server.process.kill()
        server.process.wait()
        assert list((server.data / ".otlp2parquet" / FOLDER).iterdir()) != []
        result = run("query", COUNT, server.data, "--format", "csv")
        assert (result.stdout, result.stderr) == ("n\n2\n", "")


def test_a_server_that_refuses_is_named(tmp_path: Path) -> None:
    """The answer comes all the same, and says what may not be in it."""
    settings = {"OTLP2PARQUET_SERVER_AUTH_TOKENS": "secret"}
    with Server(tmp_path, settings=settings) as server:
        result = run("query", COUNT, server.data, "--format", "csv")
        assert result.exit_code == 0
        assert result.stdout == "n\n0\n"
        assert "Warning: rows that the server" in result.stderr
        assert "401" in result.stderr
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OTLP2PARQUET_SERVER_AUTH_TOKENS", "secret")
            result = run("query", COUNT, server.data, "--format", "csv")
        assert "Warning" not in result.stderr


def test_help_loads_nothing(tmp_path: Path) -> None:
    """Neither DuckDB nor pyarrow is loaded to print a page of help."""
    program = (
        "import sys\nfrom otlp2parquet.cli import main\n"
        "try: main(['query', '--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(','.join({'duckdb', 'pyarrow', 'rich', 'fsspec'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
