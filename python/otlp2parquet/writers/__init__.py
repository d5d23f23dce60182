"""Writers: Arrow batches become Parquet files in some storage.

Knows Arrow, Parquet and storage; must not know who sends, nor catalogs.
"""

from otlp2parquet.writers.parquet_file import Compression, ParquetSettings
from otlp2parquet.writers.parquet_writer import ParquetWriter
from otlp2parquet.writers.protocol import (
    ArrowArrayExportable,
    FoundFile,
    NameTakenError,
    OtlpWriter,
    StoredFile,
    file_name,
)

__all__ = [
    "ArrowArrayExportable",
    "Compression",
    "FoundFile",
    "NameTakenError",
    "OtlpWriter",
    "ParquetSettings",
    "ParquetWriter",
    "StoredFile",
    "file_name",
]
