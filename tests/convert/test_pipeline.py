"""convert at work: bounded memory, storage that fails, processes that are interrupted or killed."""

from __future__ import annotations

import itertools
import signal as signals
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from otlp2parquet import ParquetWriter, StorageError, StoredFile
from otlp2parquet.captures import find_inputs
from otlp2parquet.convert import ChunkReport, ConvertOptions, pipeline
from otlp2parquet.convert.selection import read_chunks
from otlp2parquet.errors import StorageUnavailableError
from tests.support.conversion import convert_into, count_rows, run, stream, tables
from tests.support.requests import START, logs_request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otlp2parquet.core.files import PlannedFile


class Blocking:
    """A writer that waits until it is let go."""

    root = "nowhere"

    def __init__(self) -> None:
        """Every ``store`` waits for ``go``."""
        self.go = threading.Event()
        self.waiting = threading.Semaphore(0)

    def store(self, file: PlannedFile, *_: Any, **__: Any) -> StoredFile:
        """Wait, then say that it is stored."""
        self.waiting.release()
        assert self.go.wait(timeout=60)
        return StoredFile(path="x", rows=file.rows, bytes=1)

    def take_back(self, file: PlannedFile, batch_id: str) -> None:
        """Nothing is taken back here."""


def test_bounded_read_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When files cannot be written as fast, reading waits: one chunk more than workers."""
    data = stream(*[logs_request(10, first=10 * n) for n in range(20)])
    (tmp_path / "logs.pb").write_bytes(data)
    files = find_inputs([tmp_path / "logs.pb"]).files
    taken: list[int] = []
    blocked = threading.Event()
    real_chunks = read_chunks

    def counted(*arguments: Any, **options: Any) -> Iterator[Any]:
        for number, chunk in enumerate(real_chunks(*arguments, **options)):
            taken.append(number)
            if number == 2:
                blocked.set()
            yield chunk

    monkeypatch.setattr(pipeline, "read_chunks", counted)
    writer = Blocking()
    options = ConvertOptions(chunk_bytes=len(data) // 20)
    outcome: list[ChunkReport] = []

    def work() -> None:
        outcome.append(convert_into(tmp_path / "out", files, options, writer=writer, threads=2))

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(2):
        assert writer.waiting.acquire(timeout=60)
    assert blocked.wait(timeout=60)
    # Two are being written, one waits, and there is no place to read a fourth into.
    assert taken == [0, 1, 2]
    writer.go.set()
    thread.join(timeout=60)
    assert outcome[0].rows == {"otel_logs": 200}


class Failing(ParquetWriter):
    """A writer whose storage fails at the nth file."""

    def __init__(self, root: Path, at: int) -> None:
        """Fail at file number ``at``, counted from 0, and at all after it."""
        super().__init__(root)
        self.count = itertools.count()
        self.at = at

    def store(self, *arguments: Any, **options: Any) -> StoredFile:
        """As ``ParquetWriter.store``, as long as it lasts."""
        if next(self.count) >= self.at:
            raise StorageUnavailableError("cannot write x: no space left on device")
        return super().store(*arguments, **options)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("at", [0, 3])
def test_storage_failure_ends_it(tmp_path: Path, at: int, threads: int) -> None:
    """When storage fails it is told once and nothing more is tried; a later run completes."""
    captured = tmp_path / "in"
    captured.mkdir()
    for number in range(4):
        requests = [logs_request(60, f"s{one}", first=1800 * one) for one in range(number, 6)]
        (captured / f"logs-{number}.pb").write_bytes(stream(*requests))
    files = find_inputs([captured]).files
    options = ConvertOptions(received_at=START, chunk_bytes=5000)
    writer = Failing(tmp_path / "out", at)
    with pytest.raises(StorageError, match="no space left"):
        convert_into(tmp_path / "out", files, options, writer=writer, threads=threads)
    assert next(writer.count) <= at + threads
    convert_into(tmp_path / "out", files, options, threads=threads)
    convert_into(tmp_path / "whole", files, options)
    assert tables(tmp_path / "out") == tables(tmp_path / "whole")


class FailingSecond:
    """A writer that fails for one service, and only then goes on with the others."""

    root = "nowhere"

    def __init__(self) -> None:
        """Nothing has failed yet."""
        self.failed = threading.Event()

    def store(self, file: PlannedFile, *_: Any, **__: Any) -> StoredFile:
        """Fail for ``bad``, else wait until that has happened."""
        if "bad" in file.services:
            self.failed.set()
            raise StorageError("the true reason")
        assert self.failed.wait(timeout=60)
        return StoredFile(path="x", rows=file.rows, bytes=1)

    def take_back(self, file: PlannedFile, batch_id: str) -> None:
        """Nothing is taken back here."""


def test_the_first_failure_is_the_one_that_is_told(tmp_path: Path) -> None:
    """A chunk that stopped because of a later one's failure does not hide that failure."""
    many = b"".join(logs_request(1, f"s{n}") for n in range(500))
    (tmp_path / "logs.pb").write_bytes(stream(many, logs_request(1, "bad")))
    files = find_inputs([tmp_path / "logs.pb"]).files
    options = ConvertOptions(chunk_bytes=len(many))
    with pytest.raises(StorageError, match="the true reason"):
        convert_into(tmp_path / "out", files, options, writer=FailingSecond(), threads=2)


def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    """A useless output folder is one message, not a traceback."""
    (tmp_path / "logs.pb").write_bytes(logs_request(4))
    (tmp_path / "file").touch()
    result = run("convert", tmp_path / "logs.pb", "-o", tmp_path / "file" / "out")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: cannot write {tmp_path / 'file' / 'out'}/")
    assert result.stderr.endswith(": not a directory\n")


def started(tmp_path: Path, services: int) -> tuple[subprocess.Popen[str], Path]:
    """The command at work, and the folder in which its first file is."""
    requests = [logs_request(1, f"service-{n}") for n in range(services)]
    (tmp_path / "logs.pb").write_bytes(stream(*requests))
    output = tmp_path / "out"
    # Who runs tests in the background of a shell hands down that Ctrl-C is ignored.
    heeds = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{heeds}; from otlp2parquet.cli import main; main()"]
    command += ["convert", str(tmp_path / "logs.pb"), "--output", str(output)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not any((output / "logs").rglob("*.parquet")):
        assert process.poll() is None, "it ended before it could be interrupted"
        assert time.monotonic() < deadline
    return process, output


@pytest.mark.parametrize("number", [signals.SIGINT, signals.SIGTERM])
def test_interrupted(tmp_path: Path, number: signals.Signals) -> None:
    """Ctrl-C and SIGTERM end it soon, leave no temporary file, and the next run completes."""
    process, output = started(tmp_path, 2000)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "interrupted: the same command again completes the rest\n"
    done = tables(output)
    assert 0 < len(done) < 2000
    assert all(name.endswith(".parquet") for name in done)
    result = run("convert", tmp_path / "logs.pb", "-o", output)
    assert result.exit_code == 0
    assert count_rows(output) == 2000
    assert f"{len(done)} already there" in result.stdout.replace(",", "")


def test_killed(tmp_path: Path) -> None:
    """After kill -9 the same command with more inputs completes it and adds what is new."""
    process, output = started(tmp_path, 500)
    process.kill()
    process.communicate(timeout=60)
    (tmp_path / "logs-0.pb").write_bytes(logs_request(7, "more"))
    inputs = (tmp_path / "logs-0.pb", tmp_path / "logs.pb")
    for _ in range(2):
        assert run("convert", *inputs, "-o", output).exit_code == 0
        assert count_rows(output) == 507
        assert all(name.endswith(".parquet") for name in tables(output))
