"""Receipts as Iceberg's data files: made by hand, no file is opened.

Knows a receipt's statistics and Iceberg's single values. Must not know a catalog.
"""

from collections.abc import Iterator

from pyiceberg.conversions import to_bytes
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.table import Table
from pyiceberg.typedef import Record
from pyiceberg.types import PrimitiveType

from otlp2parquet.catalogs.columns import lower_bound, upper_bound
from otlp2parquet.catalogs.receipts import DataFile as StoredDataFile
from otlp2parquet.catalogs.receipts import Receipt
from otlp2parquet.catalogs.tables import our_schema, partition_values


def data_files(table: Table, receipt: Receipt) -> Iterator[DataFile]:
    """The files of a receipt as files of the table, whose field ids they have."""
    for file in receipt.files:
        yield data_file(table, receipt.table, file)


def data_file(table: Table, name: str, file: StoredDataFile) -> DataFile:
    """One file; ``name`` is our table whose field ids its statistics have."""
    ours, theirs = our_schema(name), table.schema()
    value_counts, null_counts = {}, {}
    lower: dict[int, bytes] = {}
    upper: dict[int, bytes] = {}
    for number, column in file.columns.items():
        field = theirs.find_field(ours.find_field(number).name)
        kind = field.field_type
        if not isinstance(kind, PrimitiveType):
            continue
        value_counts[field.field_id] = file.rows
        null_counts[field.field_id] = column.null_count
        low, high = lower_bound(column.lower), upper_bound(column.upper)
        if low is not None:
            lower[field.field_id] = to_bytes(kind, low)
        if high is not None:
            upper[field.field_id] = to_bytes(kind, high)
    made = DataFile.from_args(
        _table_format_version=table.format_version,
        content=DataFileContent.DATA,
        file_path=file.location,
        file_format=FileFormat.PARQUET,
        partition=Record(*partition_values(table.spec(), file.hour)),
        record_count=file.rows,
        file_size_in_bytes=file.bytes,
        column_sizes={},
        value_counts=value_counts,
        null_value_counts=null_counts,
        nan_value_counts={},
        lower_bounds=lower,
        upper_bounds=upper,
        key_metadata=None,
        split_offsets=None,
        equality_ids=None,
        sort_order_id=None,
    )
    made.spec_id = table.spec().spec_id
    return made
