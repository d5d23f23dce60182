"""Settings for a function: what is different where there is no disk and one request at a time.

Knows the environment that AWS makes for a function. What is set by variables or files precedes
these defaults, as everywhere; what would make an acknowledgement a lie is an error.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from otlp2parquet.config import Config, load
from otlp2parquet.errors import ConfigError

SOURCE: Final = "AWS Lambda"
FOLDER: Final = "/tmp/otlp2parquet"  # noqa: S108 - the one folder there is, and it is the function's own
"""What is here goes with the environment: node id, receipts on their way, objects being read."""

_MEMORY: Final = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"
_LEAST_MB: Final = 256
"""Python, Arrow and pyiceberg take some 200 MB of it."""
_OWN_MB: Final = 256
_LEAST_PAYLOAD_MB: Final = 6
"""An event is no larger: what comes as it is, is taken."""
_MOST_PAYLOAD_MB: Final = 64


@dataclass(frozen=True, slots=True)
class FunctionSettings:
    """The configuration, and what follows from it for a function."""

    config: Config
    keeps_receipts: bool
    """Whether receipts outlive the environment: then a catalog that is down fails no request."""
    warnings: tuple[str, ...] = ()


def function_settings(environ: Mapping[str, str] | None = None) -> FunctionSettings:
    """The settings of this function. Raises ``ConfigError`` with all that is wrong."""
    environ = os.environ if environ is None else environ
    loaded = load(environ=environ, defaults=defaults(environ), defaults_source=SOURCE)
    config = loaded.config
    errors = []
    if config.durability.mode != "stored":
        errors.append(
            f"durability.mode ({loaded.sources['durability.mode']}): found "
            f"{config.durability.mode}, expected stored: the memory and the disk of a function "
            "may be gone once it has answered"
        )
    if config.batch.enabled:
        errors.append(
            f"batch.enabled ({loaded.sources['batch.enabled']}): found true, expected false: a "
            "function has one request at a time, nothing comes to fill its batch"
        )
    has_storage = config.storage.backend != "fs" or loaded.sources["storage.fs.path"] != SOURCE
    if not has_storage and config.catalog_type == "none":
        errors.append(
            "storage.backend (default): found none, expected a bucket (storage.backend and its "
            "section) or an S3 Tables bucket (iceberg.bucket_arn): a function has no disk that "
            "outlives it"
        )
    if errors:
        raise ConfigError("\n  ".join(["the configuration does not fit AWS Lambda:", *errors]))
    return FunctionSettings(config, has_storage, loaded.warnings)


def defaults(environ: Mapping[str, str]) -> dict[str, str]:
    """Settings as text, by key, that count where nothing else is set."""
    memory_mb = max(int(environ.get(_MEMORY) or 0), _LEAST_MB)
    # A request may take six times its size in memory, beside what the process itself takes.
    payload_mb = max(_LEAST_PAYLOAD_MB, min((memory_mb - _OWN_MB) // 7, _MOST_PAYLOAD_MB))
    return {
        "server.log_format": "json",
        "server.threads": "1",
        "request.max_payload_bytes": f"{payload_mb}MiB",
        "batch.enabled": "false",
        "batch.max_bytes": f"{2 * payload_mb}MiB",
        "batch.memory_bytes": f"{max(memory_mb - _OWN_MB, 4 * payload_mb)}MiB",
        "durability.mode": "stored",
        "durability.path": f"{FOLDER}/log",
        "storage.fs.path": FOLDER,
        # Clients wait 10 s, most of them: what fails is to be told while they listen.
        "storage.timeout_secs": "5",
        "iceberg.timeout_secs": "2",
        "iceberg.commit_interval_secs": "0.001",
    }
