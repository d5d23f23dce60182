"""Configuration: one table of settings, several sources, one typed and checked result.

Standard library, and of the core the decoder's bounds. Nothing here opens a socket, starts a
thread or writes.
"""

from otlp2parquet.config.load import Flags, Loaded, load
from otlp2parquet.config.settings import (
    AuthConfig,
    BatchConfig,
    Config,
    CorsConfig,
    DurabilityConfig,
    FsConfig,
    ParquetConfig,
    RequestConfig,
    ServerConfig,
    StorageConfig,
    TlsConfig,
)
from otlp2parquet.config.values import Address

__all__ = [
    "Address",
    "AuthConfig",
    "BatchConfig",
    "Config",
    "CorsConfig",
    "DurabilityConfig",
    "Flags",
    "FsConfig",
    "Loaded",
    "ParquetConfig",
    "RequestConfig",
    "ServerConfig",
    "StorageConfig",
    "TlsConfig",
    "load",
]
