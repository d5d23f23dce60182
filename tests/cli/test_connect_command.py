"""``otlp2parquet connect``: which server is meant, and a check that tells each step."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.connect.check import SERVICE
from otlp2parquet.connect.recipes import PROGRAMS
from tests.support.conversion import rows, run
from tests.support.server_process import Server

if TYPE_CHECKING:
    from pathlib import Path

GRPC = {"OTLP2PARQUET_GRPC_ADDR": "127.0.0.1:0"}
SLOW = {"OTLP2PARQUET_BATCH_MAX_AGE_SECS": "3600"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OTLP2PARQUET_GRPC_ADDR", raising=False)


@pytest.mark.parametrize("program", PROGRAMS)
def test_it_prints_what_to_set(program: str) -> None:
    """For the server of these settings, and nothing else, so that it can be copied or piped."""
    result = run("connect", program)
    assert result.exit_code == 0
    assert "127.0.0.1:4318" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("program", PROGRAMS)
def test_only_the_variables(program: str) -> None:
    """They are all of the recipe's, and a shell runs nothing else of it."""
    recipe, only = run("connect", program).stdout, run("connect", program, "--env")
    exports = [line for line in recipe.splitlines() if line.startswith("export ")]
    if exports:
        assert only.stdout.splitlines() == exports
    else:
        assert only.exit_code == 2
        assert f"{program} is not set by variables" in only.stderr
    assert any(run("connect", name, "--env").stdout for name in PROGRAMS)


def test_which_server_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the settings, on the port of the protocol, or any other."""
    assert "http://127.0.0.1:4317" in run("connect", "go", "--protocol", "grpc").stdout
    assert "https://otlp.example" in run("connect", "go", "--url", "https://otlp.example/").stdout
    monkeypatch.setenv("OTLP2PARQUET_LISTEN_ADDR", "0.0.0.0:1234")
    monkeypatch.setenv("OTLP2PARQUET_GRPC_ADDR", "[::]:1235")
    assert "http://127.0.0.1:1234" in run("connect", "go").stdout
    assert "http://[::1]:1235" in run("connect", "go", "--protocol", "grpc").stdout


def test_a_token_is_asked_for_and_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets of the settings stand nowhere."""
    assert "x-api-key" not in run("connect", "python").stdout
    monkeypatch.setenv("OTLP2PARQUET_SERVER_AUTH_TOKENS", "s3cret")
    for program in PROGRAMS:
        text = run("connect", program).stdout
        assert "OTLP_TOKEN" in text
        assert "s3cret" not in text


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "expected one of claude-code, codex"),
        (["cobol"], 2, "'cobol' is not one of"),
        (["browser", "--protocol", "grpc"], 2, "browser cannot send over gRPC"),
        (["go", "--url", "nowhere"], 1, "expected a URL such as"),
    ],
)
def test_mistakes(arguments: list[str], code: int, said: str) -> None:
    """One message, and an exit code."""
    result = run("connect", *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr


def test_no_grpc_to_send_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said which setting says so."""
    monkeypatch.setenv("OTLP2PARQUET_GRPC_ADDR", "off")
    result = run("connect", "go", "--protocol", "grpc")
    assert result.exit_code == 1
    assert "server.grpc_addr: found off" in result.stderr


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("tokens", ["", "s3cret"])
def test_a_check_finds_its_records(
    protocol: str, tokens: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent, stored, and read again from the files; each step is a line."""
    guarded = {"OTLP2PARQUET_SERVER_AUTH_TOKENS": tokens} if tokens else {}
    with Server(tmp_path / "server", settings=GRPC | SLOW | guarded) as server:
        for name, value in guarded.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("OTLP2PARQUET_LISTEN_ADDR", f"127.0.0.1:{server.port}")
        monkeypatch.setenv("OTLP2PARQUET_GRPC_ADDR", server.grpc_address)
        result = run("connect", "--check", "--protocol", protocol)
        assert result.exit_code == 0, result.output
        lines = result.stdout.splitlines()
        assert lines[3] == f"stored by the server: 3 rows in 3 files, in {server.data}"
        for at, signal in enumerate(("logs", "traces", "metrics")):
            assert lines[at].startswith(f"{signal}: sent over {protocol} to http://127.0.0.1:")
            path = lines[4 + at].removeprefix(f"{signal}: found in ")
            assert (server.data / path).is_file()
        (record,) = rows(server.data)
        assert record["ServiceName"] == SERVICE


def test_a_check_behind_the_text(tmp_path: Path) -> None:
    """Both can be asked for at once."""
    with Server(tmp_path / "server") as server:
        url = f"http://127.0.0.1:{server.port}"
        text = run("connect", "python", "--url", url, "--check").stdout
    assert re.search(r"opentelemetry-instrument python app.py\nlogs: sent over http", text)


def test_files_of_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the files cannot be seen, what the server says is what is told."""
    with Server(tmp_path / "server") as server:
        monkeypatch.setattr("otlp2parquet.cli.connect._store_at", lambda *_: None)
        result = run("connect", "--check", "--url", f"http://127.0.0.1:{server.port}")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].startswith("its files are not to be seen from here")


def test_a_check_that_fails(tmp_path: Path) -> None:
    """No server, or one that refuses: the reason, and exit code 1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        for protocol, said in (("http", "no server answers"), ("grpc", "UNAVAILABLE")):
            url = f"http://127.0.0.1:{port}"
            result = run("connect", "--check", "--protocol", protocol, "--url", url)
            assert result.exit_code == 1
            assert said in result.stderr
    with Server(tmp_path, settings={"OTLP2PARQUET_SERVER_AUTH_TOKENS": "s3cret"}) as server:
        result = run("connect", "--check", "--url", f"http://127.0.0.1:{server.port}")
        assert result.exit_code == 1
        assert "answered 401 to logs" in result.stderr
