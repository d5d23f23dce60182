"""Notes of running servers: there while they run, and believed only then."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.cli.running_server import server_at
from otlp2parquet.config import AuthConfig, Config, Flags, ServerConfig, load
from otlp2parquet.platforms import presence
from otlp2parquet.platforms.presence import (
    ServerNote,
    announced,
    local_url,
    notes_folder,
    notes_of,
)

if TYPE_CHECKING:
    from pathlib import Path

URL = "http://127.0.0.1:4318"

DIES = """
import os, sys
from pathlib import Path
from otlp2parquet.platforms.presence import announced
with announced(Path(sys.argv[1]), "http://127.0.0.1:1", "/data"):
    os._exit(9)
"""


def test_a_note_lasts_as_long_as_its_server(tmp_path: Path) -> None:
    """And leaves nothing behind."""
    folder = tmp_path / "servers"
    with announced(folder, URL, "/data"):
        assert notes_of(folder, "/data") == [ServerNote(URL, "/data", os.getpid())]
        assert notes_of(folder, "/elsewhere") == []
        with announced(folder, "http://127.0.0.1:1", "/data"):
            assert len(notes_of(folder, "/data")) == 2
        assert len(notes_of(folder, "/data")) == 1
    assert notes_of(folder, "/data") == []
    assert not folder.exists()


def test_the_note_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one, but no token is sent to where it leads."""
    folder = tmp_path / "servers"
    with announced(folder, URL, "/data"):
        monkeypatch.setattr(presence, "_trusted_users", lambda: {os.getuid() + 1})
        (note,) = notes_of(folder, "/data")
    assert not note.is_trusted
    tokens = ("known to the server",)
    config = Config(server=ServerConfig(auth=AuthConfig(tokens=tokens)))
    assert server_at(URL, config).token == tokens[0]
    assert server_at(URL, config, shows_token=note.is_trusted).token == ""


def test_the_note_of_a_server_that_was_killed(tmp_path: Path) -> None:
    """Nobody believes it, and the next server removes it."""
    folder = tmp_path / "servers"
    died = subprocess.run([sys.executable, "-c", DIES, str(folder)], check=False)
    assert died.returncode == 9
    (note,) = folder.iterdir()
    assert notes_of(folder, "/data") == []
    assert note.exists(), "who asks changes nothing"
    with announced(folder, URL, "/data"):
        assert not note.exists()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"url": 1, "storage": [], "pid": "x"}', "\udc80", "null"]
)
def test_what_is_no_note(content: str, tmp_path: Path) -> None:
    """It is passed by."""
    (tmp_path / f"{'0' * 16}.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    (tmp_path / "other.json").write_text(json.dumps({"url": URL, "storage": "/data", "pid": 1}))
    assert notes_of(tmp_path, "/data") == []


def test_where_no_note_can_be_written(tmp_path: Path) -> None:
    """The server serves."""
    (tmp_path / "file").write_bytes(b"")
    with announced(tmp_path / "file" / "servers", URL, "/data"):
        assert notes_of(tmp_path / "file" / "servers", "/data") == []


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:4318"),
        ("0.0.0.0", "http://127.0.0.1:4318"),  # noqa: S104 - nothing is bound
        ("::", "http://[::1]:4318"),
        ("::1", "http://[::1]:4318"),
        ("10.0.0.7", "http://10.0.0.7:4318"),
    ],
)
def test_where_this_machine_reaches_it(host: str, url: str) -> None:
    """Who listens everywhere is reached at home."""
    assert local_url("http", host, 4318) == url


def test_notes_lie_beside_the_files(tmp_path: Path) -> None:
    """Wherever the log is; with a bucket beside the log."""
    environ = {"OTLP2PARQUET_DURABILITY_PATH": str(tmp_path / "log")}
    config = load(Flags(output=tmp_path / "data"), environ=environ, folder=tmp_path).config
    assert notes_folder(config) == tmp_path / "data" / ".otlp2parquet" / "servers"
    config = load(Flags(output="s3://bucket"), environ=environ, folder=tmp_path).config
    assert notes_folder(config) == tmp_path / "log" / "servers"
