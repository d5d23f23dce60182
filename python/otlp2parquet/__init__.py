"""OpenTelemetry logs, traces and metrics (OTLP) in, Parquet files out.

The public names, and nothing else. The decode (``process_otlp``, ``BatchBuilder``) and
``partition_path`` come with the import; the writers need pyarrow and are loaded when they
are first asked for, so that a program that only decodes never pays for them. The import itself
needs neither pyarrow nor the extension; what needs one of them says so when it is used::

    import otlp2parquet

    result = otlp2parquet.process_otlp(payload, "logs")
    writer = otlp2parquet.ParquetWriter("data")
    for batch in result.batches:
        writer.write([batch], table=batch.table, service=batch.service, hour=batch.hour,
                     batch_id=otlp2parquet.new_batch_id())
"""

from importlib import import_module
from typing import TYPE_CHECKING

from otlp2parquet.batches.identity import new_batch_id
from otlp2parquet.core import Appended, Batch, BatchBuilder, Result, Signal, process_otlp
from otlp2parquet.core.paths import partition_path
from otlp2parquet.errors import (
    CatalogError,
    ConfigError,
    DecodeError,
    OtlpError,
    StorageError,
    TooLargeError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from otlp2parquet.version import __version__
    from otlp2parquet.writers import NameTakenError, OtlpWriter, ParquetWriter, StoredFile

__all__ = [
    "Appended",
    "Batch",
    "BatchBuilder",
    "CatalogError",
    "ConfigError",
    "DecodeError",
    "NameTakenError",
    "OtlpError",
    "OtlpWriter",
    "ParquetWriter",
    "Result",
    "Signal",
    "StorageError",
    "StoredFile",
    "TooLargeError",
    "UnsupportedError",
    "__version__",
    "new_batch_id",
    "partition_path",
    "process_otlp",
]

_FROM_WRITERS = frozenset({"NameTakenError", "OtlpWriter", "ParquetWriter", "StoredFile"})


def __getattr__(name: str) -> object:
    """Load a writer, and pyarrow with it, when its name is first used (PEP 562).

    The version comes as late, because reading the metadata of packages takes its time.
    """
    if name == "__version__":
        source = import_module("otlp2parquet.version")
    elif name in _FROM_WRITERS:
        try:
            source = import_module("otlp2parquet.writers")
        except ImportError as error:
            raise ImportError(f"otlp2parquet.{name} needs pyarrow: {error}") from error
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(source, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
