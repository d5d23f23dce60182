"""Writers: Arrow batches become Parquet files in some storage.

Knows Arrow, Parquet and storage; must not know who sends, nor catalogs.
"""

from otlp2parquet.writers.encode_pyarrow import Compression, ParquetSettings
from otlp2parquet.writers.parquet_writer import ParquetWriter
from otlp2parquet.writers.protocol import (
    ArrowArrayExportable,
    ColumnStatistics,
    OtlpWriter,
    StoredFile,
)

__all__ = [
    "ArrowArrayExportable",
    "ColumnStatistics",
    "Compression",
    "OtlpWriter",
    "ParquetSettings",
    "ParquetWriter",
    "StoredFile",
]
