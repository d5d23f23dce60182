"""The program itself: help, versions, ``python -m``, and what a shell completes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.cli import COMMANDS
from otlp2parquet.version import __version__
from tests.support.conversion import run
from tests.support.server_process import COMMAND

if TYPE_CHECKING:
    from pathlib import Path


def test_versions() -> None:
    """By an option in two spellings, or by a command."""
    text = run("--version").stdout
    assert text.startswith(f"otlp2parquet {__version__}, decoder ")
    assert run("-V").stdout == run("version").stdout == text


def test_help() -> None:
    """Of the program, of a command, of one below it; and of what is none."""
    assert run("help").stdout == run("--help").stdout
    for names in (["ls"], ["deploy"], ["deploy", "aws"]):
        assert run("help", *names).stdout == run(*names, "--help").stdout
    for names in (["nothing"], ["ls", "deeper"]):
        result = run("help", *names)
        assert result.exit_code == 2
        assert f"found {' '.join(names)}, expected one of the commands" in result.stderr


@pytest.mark.parametrize("command", ["query", "completion"])
def test_lines_of_examples_stay_lines(command: str) -> None:
    """One below the other, to be copied; the character that says so is not shown."""
    shown = run("help", command).stdout
    assert "\\b" not in shown
    examples = [line for line in shown.splitlines()[1:] if f"otlp2parquet {command} " in line]
    assert len(examples) == {"query": 2, "completion": 3}[command], shown


def test_as_a_module(tmp_path: Path) -> None:
    """``python -m otlp2parquet`` is the command."""
    command = [sys.executable, "-m", "otlp2parquet"]
    done = subprocess.run([*command, "-V"], capture_output=True, check=True, cwd=tmp_path)
    assert done.stdout.decode() == run("-V").stdout
    done = subprocess.run([*command, "ls", "--nope"], capture_output=True, check=False)
    assert done.returncode == 2
    assert b"Usage: otlp2parquet ls" in done.stderr


def completed(line: str) -> list[str]:
    """What click's script for bash offers behind a line."""
    words = line.split(" ")
    environ = os.environ | {
        "_OTLP2PARQUET_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run([COMMAND], env=environ, capture_output=True, text=True, check=True)
    return [one.removeprefix("plain,") for one in done.stdout.splitlines()]


def test_what_is_completed() -> None:
    """Commands, options and choices."""
    assert completed("otlp2parquet ") == list(COMMANDS)
    assert completed("otlp2parquet con") == ["connect", "convert", "config"]
    assert completed("otlp2parquet -") == ["-V", "--version", "-h", "--help"]
    assert completed("otlp2parquet query --f") == ["--file", "--format"]
    assert completed("otlp2parquet connect --protocol ") == ["http", "grpc"]
    assert completed("otlp2parquet ls --format j") == ["json"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(shell: str) -> None:
    """It asks this command, by the variable that is listened to."""
    script = run("completion", shell).stdout
    assert f"_OTLP2PARQUET_COMPLETE={shell}_complete" in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_to_complete_a_line_loads_no_work(tmp_path: Path) -> None:
    """Somebody waits for the answer to a key."""
    program = (
        "import os, sys\nfrom otlp2parquet.cli import main\n"
        "try: main(prog_name='otlp2parquet')\nexcept SystemExit: pass\n"
        "sys.exit(','.join({'pyarrow', 'duckdb', 'rich', 'granian'} & set(sys.modules)) or 0)"
    )
    environ = os.environ | {
        "_OTLP2PARQUET_COMPLETE": "bash_complete",
        "COMP_WORDS": "otlp2parquet ",
        "COMP_CWORD": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"plain,serve" in done.stdout
