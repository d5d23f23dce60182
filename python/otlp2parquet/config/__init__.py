"""Configuration: one table of settings, several sources, one typed and checked result.

Standard library only. Nothing here opens a socket, starts a thread or writes.
"""

from otlp2parquet.config.load import Flags, Loaded, load
from otlp2parquet.config.settings import (
    BatchConfig,
    Config,
    DurabilityConfig,
    FsConfig,
    ParquetConfig,
    RequestConfig,
    ServerConfig,
    StorageConfig,
)
from otlp2parquet.config.values import Address

__all__ = [
    "Address",
    "BatchConfig",
    "Config",
    "DurabilityConfig",
    "Flags",
    "FsConfig",
    "Loaded",
    "ParquetConfig",
    "RequestConfig",
    "ServerConfig",
    "StorageConfig",
    "load",
]
