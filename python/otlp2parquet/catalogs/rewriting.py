"""Files whose field ids are not the table's are written anew, under names of their own.

Knows Parquet and field ids. A file gets other ids where it was stored before its table was known,
or where the table was made anew since. The copy's name says which ids it has: whoever tries again
finds it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.io import FileIO
from pyiceberg.table import Table

from otlp2parquet.catalogs.receipts import DataFile, Receipt
from otlp2parquet.catalogs.shape import TableShape
from otlp2parquet.writers.encode_pyarrow import with_field_ids, write_parquet
from otlp2parquet.writers.settings import ParquetSettings

_DIGEST_DIGITS: Final = 12


def rewritten(table: Table, receipt: Receipt, shape: TableShape) -> Receipt:
    """The receipt of copies that have the table's field ids."""
    files = tuple(_copy(table.io, receipt.table, file, shape.field_ids) for file in receipt.files)
    return replace(receipt, files=files, field_ids=shape.field_ids)


def _copy(io: FileIO, table: str, file: DataFile, field_ids: Sequence[int]) -> DataFile:
    digest = hashlib.sha256(",".join(map(str, field_ids)).encode()).hexdigest()[:_DIGEST_DIGITS]
    location = f"{file.location.removesuffix('.parquet')}-{digest}.parquet"
    there = io.new_input(location)
    if there.exists() and (size := _whole_bytes(io, location, file.rows)):
        return replace(file, location=location, bytes=size)
    with io.new_input(file.location).open() as source:
        read = pq.ParquetFile(source)
        notes = {
            key.decode(): value.decode()
            for key, value in (read.metadata.metadata or {}).items()
            if key.startswith(b"otlp2parquet.")
        }
        rows = with_field_ids(table, read.read(), field_ids)
    sink = pa.BufferOutputStream()
    write_parquet(rows, sink, ParquetSettings(), notes)
    data = sink.getvalue()
    with io.new_output(location).create(overwrite=True) as output:
        output.write(memoryview(data).tobytes())
    return replace(file, location=location, bytes=data.size)


def _whole_bytes(io: FileIO, location: str, rows: int) -> int:
    """The size of a copy that is whole; 0 if it is not."""
    there = io.new_input(location)
    try:
        with there.open() as source:
            whole = pq.read_metadata(source).num_rows == rows
    except (OSError, pa.ArrowException):
        return 0
    return len(there) if whole else 0
