"""Arrow batches to the bytes of one Parquet file, the same bytes for the same batches.

Knows Parquet. Must not know where the bytes go: the sink is any binary file object.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from otlp2parquet.errors import ConfigError
from otlp2parquet.writers.columns import dictionary_paths, statistics_paths
from otlp2parquet.writers.protocol import ArrowArrayExportable

Compression = Literal["zstd", "snappy", "gzip", "none"]

_DEFAULT_LEVELS: Final[Mapping[str, int]] = {"zstd": 1, "gzip": 6}
_LEVELS: Final[Mapping[str, range]] = {"zstd": range(1, 23), "gzip": range(1, 10)}
# Over this a column falls back to plain, and the same large resource would be written for
# every row. One request brings at most 64 MiB, so no single value reaches it.
_DICTIONARY_BYTES: Final = 128 << 20


@dataclass(frozen=True, slots=True)
class ParquetSettings:
    """The choices an operator has; ``level`` ``None`` is the compression's default."""

    compression: Compression = "zstd"
    level: int | None = None
    row_group_rows: int = 262_144

    def __post_init__(self) -> None:
        if self.compression not in get_args(Compression):
            known = ", ".join(get_args(Compression))
            raise ConfigError(f"compression is {self.compression!r}: expected one of {known}")
        if self.level is not None:
            levels = _LEVELS.get(self.compression)
            if levels is None:
                raise ConfigError(f"{self.compression} has no level, but level is {self.level}")
            if self.level not in levels:
                raise ConfigError(
                    f"{self.compression} level is {self.level}: "
                    f"expected {levels[0]} to {levels[-1]}"
                )
        if self.row_group_rows < 1:
            raise ConfigError(f"row_group_rows is {self.row_group_rows}: expected at least 1")

    @property
    def effective_level(self) -> int | None:
        """The level that is used; ``None`` for a compression without levels."""
        return self.level if self.level is not None else _DEFAULT_LEVELS.get(self.compression)


def arrow_table(batches: Sequence[ArrowArrayExportable]) -> pa.Table:
    """The batches, one after another, as one table without a copy of their values.

    Dictionaries are unified: chunks of one column with different dictionaries would make the
    Parquet writer fall back to plain. When some batches have dictionary arrays where others
    have plain ones, all become plain.
    """
    parts = [pa.record_batch(batch) for batch in batches]
    if sum(part.num_rows for part in parts) == 0:
        raise ValueError(f"no rows to write in {len(parts)} batches")
    schema = parts[0].schema
    if any(part.schema != schema for part in parts):
        schema = file_schema(schema)
        parts = [part.cast(schema) for part in parts]
    return pa.Table.from_batches(parts, schema).unify_dictionaries()


def file_schema(schema: pa.Schema) -> pa.Schema:
    """The schema that readers of the file see: dictionaries are an encoding, not a type."""
    return pa.schema(
        [
            field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
            for field in schema
        ]
    )


def write_parquet(
    table: pa.Table, sink: BinaryIO, settings: ParquetSettings, metadata: Mapping[str, str]
) -> None:
    """Write ``table`` as one Parquet file; ``metadata`` goes into the footer.

    Encodings are PLAIN and RLE_DICTIONARY only: newer ones break vectorised Iceberg readers in
    use. Raises ``OSError`` when the sink does.
    """
    schema = table.schema
    writer = pq.ParquetWriter(
        sink,
        schema,
        compression=settings.compression,
        compression_level=settings.effective_level,
        use_dictionary=dictionary_paths(schema),
        dictionary_pagesize_limit=_DICTIONARY_BYTES,
        write_statistics=statistics_paths(schema),
        write_page_index=True,
        # The Arrow schema in the footer would turn dictionary arrays into a type on reading.
        store_schema=False,
    )
    writer.write_table(table, row_group_size=settings.row_group_rows)
    # With store_schema=False this is the only way into the footer.
    writer.add_key_value_metadata(dict(metadata))
    writer.close()
