"""Our tables as pyiceberg has them.

Knows pyiceberg's classes. What our columns are in Iceberg, and what may differ in a table that
exists, is said in ``columns``, for every client.
"""

import json
from collections.abc import Sequence
from functools import cache

from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table

from otlp2parquet.catalogs import columns
from otlp2parquet.catalogs.loading import TableFacts


@cache
def our_schema(table: str) -> Schema:
    """The table's columns as an Iceberg schema, with our field ids."""
    return Schema.model_validate(columns.schema_of(table))


def our_ids(table: str) -> tuple[int, ...]:
    """Our own field ids: the columns, then the items of lists, each in column order."""
    return columns.ids_in(columns.schema_of(table), table)


def new_spec(table: str, partition: str) -> PartitionSpec:
    """The partition spec of a new table; ``partition`` is day, hour or none."""
    return PartitionSpec.model_validate(columns.spec_of(table, partition))


def facts_of(table: Table) -> TableFacts:
    """What a table says of itself."""
    current, metadata = table.current_snapshot(), table.metadata
    summary = None if current is None else current.summary
    return TableFacts(
        ".".join(table.name()),
        metadata.location,
        json.loads(table.schema().model_dump_json()),
        json.loads(table.spec().model_dump_json()),
        metadata.properties,
        None if current is None else current.timestamp_ms,
        {} if summary is None else summary.additional_properties,
    )


def partition_values(spec: PartitionSpec, hour: int) -> Sequence[int | None]:
    """The partition of a file whose rows are all of one hour, in seconds since the epoch."""
    return columns.partition_values([str(field.transform) for field in spec.fields], hour)
