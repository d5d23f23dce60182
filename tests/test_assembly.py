"""Everything put together from the configuration: what is looked for, claimed and told."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.assembly import assemble, promise
from otlp2parquet.batches.log.disk import SystemDisk
from otlp2parquet.config import Config, DurabilityConfig, StorageConfig
from otlp2parquet.config.settings import FsConfig
from otlp2parquet.errors import ConfigError
from tests.support.batches_bench import append_logs
from tests.support.node import Answer, one, services

if TYPE_CHECKING:
    from pathlib import Path

    from otlp2parquet.assembly import Assembly

PATIENCE_SECS = 30


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are relative to the working folder, as they are for who starts a server by hand."""
    monkeypatch.chdir(tmp_path)


def config(
    data: Path, mode: str = "fsync", log: Path | None = None, layout: str = "service"
) -> Config:
    """A configuration that stores in ``data``."""
    return replace(
        Config(),
        durability=DurabilityConfig(mode=mode, path=log),
        storage=StorageConfig(layout=layout, fs=FsConfig(path=data)),
    )


def left_behind(settings: Config, *names: str) -> None:
    """A life that ends as by kill -9: the requests are in the log, and in no file."""
    made = assemble(settings)
    for log in made._logs:  # noqa: SLF001 - to write, and to store nothing
        log.start()
    for name in names:
        answer = Answer()
        append_logs(made.ingest, one(name), acknowledge=answer)
        assert answer.is_kept
    for log in made._logs:  # noqa: SLF001 - as above
        log.stop()


def live(settings: Config) -> Assembly:
    """A life that ends in order, with everything stored that can be."""
    made = assemble(settings)
    made.start()
    assert made.ingest.drain(PATIENCE_SECS)
    return made


@pytest.mark.parametrize("mode", ["fsync", "memory", "stored"])
def test_what_was_left_is_stored_in_every_mode(tmp_path: Path, mode: str) -> None:
    """It was acknowledged, whatever the mode is now; and then the log is empty."""
    data = tmp_path / "data"
    left_behind(config(data), "a", "b")
    made = live(config(data, mode))
    assert services(data) == ["sa", "sb"]
    assert made.counts.batches_replayed == 1
    assert list((data / ".otlp2parquet").glob("*.segment")) == []


@pytest.mark.parametrize("mode", ["fsync", "memory", "stored"])
def test_a_log_under_another_storage_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    """``storage.fs.path`` has changed, and the log with it: its batches are acknowledged.

    It says where they are and what to do; that done, they are stored where they were meant to be.
    """
    old, new = tmp_path / "old", tmp_path / "new"
    left_behind(config(old), "a")
    live(config(new, mode))
    (line,) = (vars(r)["fields"] for r in caplog.records if "a log of other settings" in r.message)
    assert line == {"folder": str(old / ".otlp2parquet"), "batches": 1}
    assert services(old) == services(new) == []
    live(config(new, mode, log=old / ".otlp2parquet"))
    assert (services(old), services(new)) == (["sa"], [])
    caplog.clear()
    live(config(new, mode))
    assert not any("a log of other settings" in message for message in caplog.messages)


def test_a_log_that_durability_path_has_left_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The other way round: the log was in the storage's folder, and now has one of its own."""
    data = tmp_path / "data"
    left_behind(config(data), "a")
    live(config(data, log=tmp_path / "log"))
    (line,) = (vars(r)["fields"] for r in caplog.records if "a log of other settings" in r.message)
    assert line == {"folder": str(data / ".otlp2parquet"), "batches": 1}


@pytest.fixture
def unlisted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the log whose names cannot be listed."""
    folder = tmp_path / "data" / ".otlp2parquet"
    real = SystemDisk.names

    def names(self: SystemDisk, path: Path) -> list[str]:
        if path == folder:
            raise PermissionError(13, os.strerror(13), str(path))
        return real(self, path)

    monkeypatch.setattr(SystemDisk, "names", names)
    return folder


@pytest.mark.parametrize("mode", ["memory", "stored"])
def test_a_log_that_cannot_be_listed_is_told(
    tmp_path: Path, unlisted: Path, caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    """Where the log is not needed, the server starts, and says that it cannot know."""
    live(config(tmp_path / "data", mode))
    (line,) = (vars(r)["fields"] for r in caplog.records if "cannot be told" in r.message)
    assert line == {"folder": str(unlisted), "error": "permission denied"}


def test_where_the_log_is_needed_one_that_cannot_be_listed_is_an_error(
    tmp_path: Path, unlisted: Path
) -> None:
    """The folder and the setting are named, and the folder is given up again."""
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"cannot list the log folder .*durability\.path"):
            assemble(config(tmp_path / "data"))
    assert unlisted.is_dir()


@pytest.mark.parametrize("mode", ["memory", "stored"])
def test_a_log_that_another_process_owns_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    """A server in another mode starts beside it, and leaves its batches to their owner."""
    data = tmp_path / "data"
    left_behind(config(data), "a")
    owner = assemble(config(data))
    live(config(data, mode))
    (line,) = (vars(r)["fields"] for r in caplog.records if "cannot be told" in r.message)
    assert "belongs to pid" in line["error"]
    assert services(data) == []
    owner.start()
    assert owner.ingest.drain(PATIENCE_SECS)
    assert services(data) == ["sa"]


def test_a_storage_that_cannot_be_written_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a row is taken for it."""
    data = tmp_path / "data"
    monkeypatch.setattr(os, "access", lambda *_: False)  # as who is not root would be told
    with pytest.raises(ConfigError, match=r"storage\.fs\.path"):
        assemble(config(data))


def test_a_storage_that_is_no_folder_is_an_error(tmp_path: Path) -> None:
    """The folder and the setting are named."""
    data = tmp_path / "data"
    data.write_text("in the way")
    with pytest.raises(ConfigError, match=r"storage\.fs\.path"):
        assemble(config(data))


def test_a_batch_goes_to_the_storage_and_layout_of_its_time(tmp_path: Path) -> None:
    """Both have changed since; the old folder can be reached, so its rows are there together."""
    old, new = tmp_path / "old", tmp_path / "new"
    log = tmp_path / "log"
    left_behind(config(old, log=log, layout="hour"), "a")
    live(config(new, log=log))
    (file,) = old.rglob("*.parquet")
    assert file.parent.relative_to(old).as_posix() == "logs/date=2026-01-01/hour=0"
    assert services(new) == []


def test_a_storage_that_is_gone_is_left_for_the_one_of_today(tmp_path: Path) -> None:
    """Nothing is lost with it, and nothing doubled when it is back."""
    old, new, log = tmp_path / "old", tmp_path / "new", tmp_path / "log"
    left_behind(config(old, log=log), "a")
    old.rename(tmp_path / "away")
    live(config(new, log=log))
    (tmp_path / "away").rename(old)
    live(config(old, log=log))
    assert (services(old), services(new)) == ([], ["sa"])


@pytest.mark.parametrize("mode", ["fsync", "memory", "stored"])
def test_each_mode_says_what_it_promises_and_its_price(tmp_path: Path, mode: str) -> None:
    """In the line at the start, so that nobody has to guess."""
    text = promise(config(tmp_path / "data", mode))
    assert text.startswith(f"durability is {mode}: ")
    assert "lost" in text
