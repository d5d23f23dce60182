"""Inputs: which files are found, and that nothing about a file or folder ends the search."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from otlp2parquet.captures import find_inputs
from tests.support.conversion import json_request, run
from tests.support.requests import logs_request

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def found(*paths: Path) -> tuple[list[str], list[str]]:
    """The names of the files, and the problems."""
    inputs = find_inputs(paths)
    return [file.path.name for file in inputs.files], [str(one) for one in inputs.problems]


@pytest.mark.parametrize(
    ("name", "signals"),
    [
        ("logs.pb", ["logs"]),
        ("LOGS.binpb", ["logs"]),
        ("my.metrics.otlp", ["metrics"]),
        ("otelTraces-2.protobuf", ["traces"]),
        ("logs_15_04_05.pb.gz", ["logs"]),
        ("dialogs.pb", []),
        ("logstash.pb", []),
        ("logs-and-traces.pb", ["logs", "traces"]),
        ("capture.pb", []),
    ],
)
def test_signals_are_words_of_the_name(tmp_path: Path, name: str, signals: list[str]) -> None:
    """A part of a word is not the signal; of two, neither is."""
    (tmp_path / name).touch()
    (file,) = find_inputs([tmp_path]).files
    assert [*file.named] == signals


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("a.json", True),
        ("a.JSONL", True),
        ("a.ndjson.gz", True),
        ("a.json.zstd", True),
        ("a.json.1", True),
        ("a.json.2.gz", True),
        ("a.json-20260701", True),
        ("a_15_04_05.json_3742", True),
        ("a.pb.gz.3", True),
        ("a.txt", False),
        ("a.log", False),
        ("a", False),
        ("a.json.bak", False),
        (".a.json", False),
        ("a.parquet", False),
    ],
)
def test_names_below_folders(tmp_path: Path, name: str, taken: bool) -> None:  # noqa: FBT001
    """What is not taken is counted; named itself, every file is taken."""
    (tmp_path / name).touch()
    inputs = find_inputs([tmp_path])
    assert (len(inputs.files), sum(inputs.passed_over.values())) == (int(taken), int(not taken))
    assert len(find_inputs([tmp_path / name]).files) == 1


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    """Each real folder once, also where links lead in circles."""
    (tmp_path / "in").mkdir()
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere" / "deep" / "logs.pb").touch()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "same").symlink_to(tmp_path / "elsewhere" / "deep")
    (tmp_path / "elsewhere" / "deep" / "up").symlink_to(tmp_path / "in")
    assert found(tmp_path / "in") == (["logs.pb"], [])
    (tmp_path / "link to all").symlink_to(tmp_path / "in")
    assert found(tmp_path / "link to all") == (["logs.pb"], [])


def test_links_that_lead_nowhere_are_told(tmp_path: Path) -> None:
    """A loop of links and one to nothing are problems of their own, named and found."""
    (tmp_path / "a.pb").symlink_to(tmp_path / "b.pb")
    (tmp_path / "b.pb").symlink_to(tmp_path / "a.pb")
    (tmp_path / "gone.pb").symlink_to(tmp_path / "nothing")
    (tmp_path / "logs.pb").touch()
    for paths in ([tmp_path], [*tmp_path.iterdir()]):
        names, problems = found(*paths)
        assert names == ["logs.pb"]
        assert len(problems) == 3
        assert sum("too many levels of symbolic links" in one for one in problems) == 2
        assert sum("no such file or directory" in one for one in problems) == 1


@pytest.mark.parametrize("path", ["x" * 300, "y" * 200 + "/" + "z" * 5000, "nul\0.pb", ""])
def test_names_that_cannot_be(tmp_path: Path, path: str) -> None:
    """A name that is too long, or none at all, is a problem; the others are found."""
    (tmp_path / "logs.pb").touch()
    names, problems = found(Path(f"{tmp_path}/{path}") if path else tmp_path / "no", tmp_path)
    assert names == ["logs.pb"]
    assert len(problems) == 1
    assert ": cannot be read: " in problems[0]


def test_special_files_are_told(tmp_path: Path) -> None:
    """A pipe is never opened, wherever it is met."""
    os.mkfifo(tmp_path / "logs.pb")
    for paths in ([tmp_path], [tmp_path / "logs.pb"]):
        names, problems = found(*paths)
        assert names == []
        assert problems == [
            f"{tmp_path / 'logs.pb'}: is not a regular file: expected a file or a folder"
        ]


@pytest.mark.skipif(ROOT, reason="root may read everything")
@pytest.mark.parametrize("locked", ["file", "folder", "parent"])
def test_what_may_not_be_read_as_a_user(tmp_path: Path, locked: str) -> None:
    """Rights that are missing are told, and the rest is converted."""
    (tmp_path / "in" / "locked").mkdir(parents=True)
    (tmp_path / "in" / "locked" / "logs.pb").write_bytes(logs_request(1))
    (tmp_path / "in" / "logs.pb").write_bytes(logs_request(1, first=1))
    place = tmp_path / "in" / "locked"
    target = place / "logs.pb" if locked == "file" else place
    target.chmod(0o000)
    inputs = [tmp_path / "in"] if locked != "parent" else [place / "logs.pb", tmp_path / "in"]
    try:
        result = run("convert", *inputs, "-o", tmp_path / "out")
    finally:
        target.chmod(0o700)
    assert result.exit_code == 1
    assert "cannot be read: permission denied" in result.stderr
    assert "1 rows from 1 new requests" in result.stdout


@pytest.mark.parametrize("what", ["stat", "scandir", "open"])
def test_what_may_not_be_read(tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever call the system refuses, it is told, and the rest is converted."""
    (tmp_path / "in" / "locked").mkdir(parents=True)
    place = tmp_path / "in" / "locked"
    (place / "logs.pb").write_bytes(logs_request(1))
    (tmp_path / "in" / "logs.pb").write_bytes(logs_request(1, first=1))

    def refusing(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any = ".", *arguments: Any, **options: Any) -> Any:
            if str(path).startswith(str(place)):
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, *arguments, **options)

        return call

    if what == "scandir":
        monkeypatch.setattr(os, "scandir", refusing(os.scandir))
    else:
        monkeypatch.setattr(Path, what, refusing(getattr(Path, what)))
    result = run("convert", tmp_path / "in", place / "logs.pb", "-o", tmp_path / "out")
    monkeypatch.undo()
    assert result.exit_code == 1
    assert "cannot be read: permission denied" in result.stderr
    assert "rows from" in result.stdout


def test_the_folder_that_we_are_in_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Absolute names are still found."""
    (tmp_path / "here").mkdir()
    (tmp_path / "logs.pb").touch()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here").rmdir()
    names, problems = found(tmp_path / "logs.pb", Path("x.pb"))
    assert names == ["logs.pb"]
    assert len(problems) == 1


def test_names_are_printed_on_one_line(tmp_path: Path) -> None:
    """Line breaks, terminal codes and bytes that are no text are escaped in messages."""
    name = os.fsdecode(b"a\nb\x1b[1m\xff.json")
    (tmp_path / name).write_bytes(b"{}}" + json_request("a"))
    result = run("convert", tmp_path / name, "-o", tmp_path / "out")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"{tmp_path}/a\\nb\\x1b[1m\\udcff.json: byte 2: ")
