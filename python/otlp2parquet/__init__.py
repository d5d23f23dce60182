"""OpenTelemetry logs, traces and metrics (OTLP) in, Parquet files out.

The public names, and nothing else. The decode (``process_otlp``, ``BatchBuilder``) and
``partition_path`` come with the import; the writers need pyarrow and are loaded when they
are first asked for, so that a program that only decodes never pays for them. The import itself
needs neither pyarrow nor the extension; what needs one of them says so when it is used::

    import otlp2parquet

    result = otlp2parquet.process_otlp(payload, "logs")
    writer = otlp2parquet.ParquetWriter("data")
    for batch in result.batches:
        writer.write(batch)
"""

from importlib import import_module
from typing import TYPE_CHECKING

from otlp2parquet.batch_id import new_batch_id
from otlp2parquet.core import Appended, Batch, BatchBuilder, Result, Signal, process_otlp
from otlp2parquet.core.files import PlannedFile, plan_files
from otlp2parquet.core.layout import partition_path
from otlp2parquet.errors import (
    CatalogError,
    ConfigError,
    DecodeError,
    NameTakenError,
    OtlpError,
    StorageError,
    StorageRefusedError,
    StorageUnavailableError,
    TooLargeError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from otlp2parquet.stores import LocalStore, Store
    from otlp2parquet.version import __version__
    from otlp2parquet.writers import ColumnStatistics, OtlpWriter, ParquetWriter, StoredFile

__all__ = [
    "Appended",
    "Batch",
    "BatchBuilder",
    "CatalogError",
    "ColumnStatistics",
    "ConfigError",
    "DecodeError",
    "LocalStore",
    "NameTakenError",
    "OtlpError",
    "OtlpWriter",
    "ParquetWriter",
    "PlannedFile",
    "Result",
    "Signal",
    "StorageError",
    "StorageRefusedError",
    "StorageUnavailableError",
    "Store",
    "StoredFile",
    "TooLargeError",
    "UnsupportedError",
    "__version__",
    "new_batch_id",
    "partition_path",
    "plan_files",
    "process_otlp",
]

_LATER = {
    "LocalStore": "stores",
    "Store": "stores",
    "__version__": "version",
    "ColumnStatistics": "writers",
    "OtlpWriter": "writers",
    "ParquetWriter": "writers",
    "StoredFile": "writers",
}


def __getattr__(name: str) -> object:
    """Load a name that needs pyarrow, or the version, when it is first used (PEP 562)."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value: object = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    except ImportError as error:
        raise ImportError(f"otlp2parquet.{name} needs pyarrow: {error}") from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
