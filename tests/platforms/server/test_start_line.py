"""The first line of a server: short, and whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from otlp2parquet.config import Address, Config, FsConfig, ServerConfig, StorageConfig, TlsConfig
from otlp2parquet.platforms.server.run import start_line

HERE = Address("127.0.0.1", 4318)
PREFIX = len("2026-01-31T12:00:00.000Z INFO ")


def test_the_usual_one_fits_into_80_columns() -> None:
    """With time and level before it."""
    line = start_line(Config(), HERE, "127.0.0.1:4317", "/srv/data")
    assert line == "HTTP 127.0.0.1:4318, gRPC :4317, to ./data, fsync"
    assert PREFIX + len(line) <= 80


@pytest.mark.parametrize(
    ("http", "grpc", "said"),
    [
        (Address("::1", 4318), "[::1]:4317", "HTTP [::1]:4318, gRPC :4317, "),
        (HERE, "", "HTTP 127.0.0.1:4318, no gRPC, "),
        (HERE, "127.0.0.10:4317", "HTTP 127.0.0.1:4318, gRPC 127.0.0.10:4317, "),
        (HERE, "localhost:4317", "HTTP 127.0.0.1:4318, gRPC localhost:4317, "),
    ],
)
def test_addresses(http: Address, grpc: str, said: str) -> None:
    """A port alone is on the host before it."""
    assert start_line(Config(), http, grpc, "").startswith(said)


def test_places() -> None:
    """A folder as it was named, any other storage by its URL; HTTPS is said."""
    folder = Config(storage=StorageConfig(fs=FsConfig(Path("/srv/data"))))
    assert ", to /srv/data, " in start_line(folder, HERE, "", "/srv/data")
    bucket = Config(
        storage=StorageConfig(backend="s3"),
        server=ServerConfig(tls=TlsConfig(Path("cert"), Path("key"))),
    )
    line = start_line(bucket, HERE, "", "s3://bucket/prefix")
    assert line == "HTTPS 127.0.0.1:4318, no gRPC, to s3://bucket/prefix, fsync"
