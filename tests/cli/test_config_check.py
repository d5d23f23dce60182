"""``config --check`` refuses what ``serve`` would, all of it at once, and leaves nothing behind."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from otlp2parquet.batches.log import record
from otlp2parquet.batches.log.folder import LogFolder
from otlp2parquet.config import Address, Config, FsConfig, ServerConfig, StorageConfig, TlsConfig
from otlp2parquet.config.settings import DurabilityConfig
from otlp2parquet.errors import ConfigError
from otlp2parquet.platforms.server.checks import check_all, check_start
from otlp2parquet.platforms.server.run import serve
from tests.support.conversion import run
from tests.support.server_process import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANY = Address("127.0.0.1", 0)


@pytest.fixture
def taken() -> Iterator[Address]:
    """An address on which somebody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield Address("127.0.0.1", sock.getsockname()[1])


def config_in(
    folder: Path,
    *,
    address: Address = ANY,
    tls: TlsConfig | None = None,
    grpc: Address | None = None,
    durability: DurabilityConfig | None = None,
) -> Config:
    """The usual settings, with files in ``folder``."""
    server = ServerConfig(listen_addr=address, grpc_addr=grpc, tls=tls or TlsConfig())
    storage = StorageConfig(fs=FsConfig(folder / "data"))
    return Config(server=server, storage=storage, durability=durability or DurabilityConfig())


def names(folder: Path) -> list[str]:
    """Everything below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_nothing_is_wrong_and_nothing_is_left(tmp_path: Path) -> None:
    """Neither folder nor lock, and the port is free."""
    findings = check_all(config_in(tmp_path, grpc=ANY))
    assert (findings.errors, findings.warnings) == ((), ())
    assert names(tmp_path) == []


def test_all_that_is_wrong_is_told_at_once_by_both(tmp_path: Path, taken: Address) -> None:
    """The same list keeps a server from starting, and nothing was made when it is told."""
    (tmp_path / "data").write_text("no folder")
    config = config_in(
        tmp_path,
        address=taken,
        tls=TlsConfig(tmp_path / "cert.pem", tmp_path / "key.pem"),
        durability=DurabilityConfig(path=tmp_path / "data" / "log"),
    )
    errors = check_all(config).errors
    keys = ("server.tls.cert", "server.listen_addr", "storage.fs.path", "durability.path")
    assert len(errors) == len(keys)
    for key, error in zip(keys, errors, strict=True):
        assert f"({key})" in error
    for refuse in (check_start, serve):
        with pytest.raises(ConfigError) as told:
            refuse(config)
        assert str(told.value).splitlines()[1:] == [f"  {error}" for error in errors]
    assert names(tmp_path) == ["data"]


def test_one_error_is_told_in_its_own_words(tmp_path: Path, taken: Address) -> None:
    """As whoever meets it would have told it."""
    with pytest.raises(ConfigError, match=r"^cannot listen on 127\.0\.0\.1:\d+: address already"):
        check_start(config_in(tmp_path, address=taken))


def test_a_log_of_another_server_is_an_error(tmp_path: Path) -> None:
    """The owner is named, and is not disturbed."""
    with Server(tmp_path) as server:
        config = config_in(tmp_path)
        (error,) = check_all(config).errors
        assert f"belongs to pid {server.process.pid} on host" in error
        assert "(durability.path)" in error
        assert server.stop() == 0
    assert check_all(config).errors == ()
    LogFolder.claim(config.log_path).release()


def test_a_segment_of_another_version_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every mode: what was acknowledged is to be stored."""
    folder = tmp_path / "data" / ".otlp2parquet"
    folder.mkdir(parents=True)
    batch = UUID("01a21ced-19c4-7736-b851-3c991cdece02")
    monkeypatch.setattr(record, "FORMAT_VERSION", record.FORMAT_VERSION + 1)
    later = record.pack_header(record.Header(batch, batch, 1))
    monkeypatch.undo()
    (folder / f"{batch}.segment").write_bytes(later)
    for mode in ("fsync", "memory", "stored"):
        durability = DurabilityConfig(mode=mode)
        (error,) = check_all(config_in(tmp_path, durability=durability)).errors
        assert "another version of otlp2parquet" in error
    assert names(folder) == [f"{batch}.segment"]


def test_grpc_that_cannot_be_served_is_a_warning(tmp_path: Path, taken: Address) -> None:
    """A server starts without it, and says so."""
    findings = check_all(config_in(tmp_path, grpc=taken))
    assert findings.errors == ()
    (warning,) = findings.warnings
    assert "(server.grpc_addr)" in warning
    assert check_all(config_in(tmp_path, address=taken, grpc=taken)).errors
    check_start(config_in(tmp_path, grpc=taken))


def test_a_storage_that_does_not_answer_is_an_error(tmp_path: Path, taken: Address) -> None:
    """A server would take rows and keep them; who checks wants to know before."""
    environment = {
        "OTLP2PARQUET_STORAGE_URL": f"s3://bucket?endpoint=http://{taken._replace(port=1)}",
        "OTLP2PARQUET_STORAGE_TIMEOUT_SECS": "1",
        "OTLP2PARQUET_DURABILITY_PATH": str(tmp_path / "log"),
        "OTLP2PARQUET_LISTEN_ADDR": str(ANY),
        "OTLP2PARQUET_GRPC_ADDR": "off",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        result = run("config", "--check")
        assert result.exit_code == 1
        assert "Error: the storage s3://bucket" in result.output
        assert names(tmp_path) == []


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: Address) -> None:
    """0 and a sentence, 1 and what is wrong, also as JSON; 2 for a wrong use."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OTLP2PARQUET_LISTEN_ADDR", str(ANY))
    monkeypatch.setenv("OTLP2PARQUET_GRPC_ADDR", "off")
    result = run("config", "--check")
    assert (result.exit_code, result.output) == (0, "a server can start with this configuration\n")
    monkeypatch.setenv("OTLP2PARQUET_LISTEN_ADDR", str(taken))
    result = run("config", "--check")
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: cannot listen on {taken}: ")
    read = json.loads(run("config", "--check", "--format", "json").output)
    assert len(read["errors"]) == 1
    assert read["warnings"] == []
    assert run("config", "--check", "--nonsense").exit_code == 2
    monkeypatch.setenv("OTLP2PARQUET_LISTEN_ADDR", "nowhere")
    assert run("config", "--check").exit_code == 1
    assert names(tmp_path) == []
