"""Writers: rows become Parquet files in some storage.

Knows Arrow, Parquet and storage; must not know who sends, nor catalogs. What needs pyarrow is
loaded when it is first asked for, so that the rest can be used where there is none.

    parquet_writer    ``ParquetWriter``: planned files in a store, encoded by pyarrow
    protocol          what every writer promises
    settings          the choices that an operator has
    columns           which columns have dictionaries and statistics
    bounds            statistics over the row groups of a file
    encode_pyarrow    Arrow batches to the bytes of a file
    footer            what a file's footer says

The encoder of the standard library, for batches in plain Python:

    encode_stdlib     those batches to the bytes of a file
    column_chunk      one column of a row group as pages
    values            values plain, or as places in a dictionary
    plain             values in the encoding PLAIN
    levels, hybrid    where nulls are and lists begin, in runs of bits
    parquet_thrift    page headers, indexes and the footer
    thrift            Thrift's compact protocol
"""

from importlib import import_module
from typing import TYPE_CHECKING

from otlp2parquet.writers.protocol import (
    ArrowArrayExportable,
    ColumnStatistics,
    OtlpWriter,
    StoredFile,
)
from otlp2parquet.writers.settings import Compression, ParquetSettings

if TYPE_CHECKING:
    from otlp2parquet.writers.parquet_writer import ParquetWriter

__all__ = [
    "ArrowArrayExportable",
    "ColumnStatistics",
    "Compression",
    "OtlpWriter",
    "ParquetSettings",
    "ParquetWriter",
    "StoredFile",
]


def __getattr__(name: str) -> object:
    """Load the writer that needs pyarrow when it is first used (PEP 562)."""
    if name != "ParquetWriter":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = import_module(f"{__name__}.parquet_writer").ParquetWriter
    globals()[name] = value
    return value
