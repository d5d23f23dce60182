"""Our tables as Iceberg tables: their columns, ids and partitions, and what an existing one needs.

Knows our schemas and Iceberg's. Must not know how a catalog is asked. A new table has our columns;
an existing one is matched by column name, and its field ids count: catalogs give other ones than
ours (Nessie numbers the items of a list right behind it). What a table lacks is added as optional;
what cannot be reconciled is spelled out.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Final

import pyarrow as pa
from pyiceberg.io.pyarrow import pyarrow_to_schema
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.transforms import (
    DayTransform,
    HourTransform,
    MonthTransform,
    Transform,
    VoidTransform,
    YearTransform,
)
from pyiceberg.types import (
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    NestedField,
)

from otlp2parquet.catalogs.shape import TableShape
from otlp2parquet.core.schema import table_schema
from otlp2parquet.errors import CatalogRefusedError

TIME_COLUMN: Final = "Timestamp"

_TRANSFORMS: Final[Mapping[str, Transform]] = {  # type: ignore[type-arg]
    "day": DayTransform(),
    "hour": HourTransform(),
}
_TIME_TRANSFORMS: Final = (YearTransform, MonthTransform, DayTransform, HourTransform)
_PROMOTIONS: Final = {(IntegerType, LongType), (FloatType, DoubleType)}


@cache
def our_schema(table: str) -> Schema:
    """The table's columns as an Iceberg schema, with our field ids."""
    return pyarrow_to_schema(pa.schema(table_schema(table)))


def our_ids(table: str) -> tuple[int, ...]:
    """Our own field ids: the columns, then the items of lists, each in column order."""
    return ids_by_name(our_schema(table), our_schema(table))


def ids_by_name(ours: Schema, theirs: Schema) -> tuple[int, ...]:
    """The ids in ``theirs`` of the fields of ``ours``; the names must be there."""
    fields = [theirs.find_field(field.name) for field in ours.fields]
    items = [
        field.field_type.element_id for field in fields if isinstance(field.field_type, ListType)
    ]
    return (*(field.field_id for field in fields), *items)


def new_spec(table: str, partition: str) -> PartitionSpec:
    """The partition spec of a new table; ``partition`` is day, hour or none."""
    if partition == "none":
        return PartitionSpec()
    source = our_schema(table).find_field(TIME_COLUMN).field_id
    name = f"{TIME_COLUMN}_{partition}"
    return PartitionSpec(
        PartitionField(source_id=source, field_id=1000, transform=_TRANSFORMS[partition], name=name)
    )


def shape_of(table: Table, name: str) -> TableShape:
    """The shape of a table that ``missing_columns`` and ``check`` have nothing to say against."""
    path = table.properties.get("write.data.path") or f"{table.location().rstrip('/')}/data"
    return TableShape(path.rstrip("/"), ids_by_name(our_schema(name), table.schema()))


def missing_columns(table: Table, name: str) -> list[NestedField]:
    """Our columns that the table has not."""
    there = {field.name for field in table.schema().fields}
    return [field for field in our_schema(name).fields if field.name not in there]


def check(table: Table, name: str) -> None:
    """Raise ``CatalogRefusedError`` with every reason why our files cannot be this table's."""
    schema = table.schema()
    ours = {field.name: field for field in our_schema(name).fields}
    theirs = {field.name: field for field in schema.fields}
    differences = []
    for column, field in theirs.items():
        wanted = ours.get(column)
        if wanted is None:
            if field.required and field.initial_default is None:
                differences.append(f"column {column}: found a required one, expected it optional")
        elif not _fits(wanted.field_type, field.field_type):
            differences.append(
                f"column {column}: found {field.field_type}, expected {wanted.field_type}"
            )
        elif field.required and not wanted.required:
            differences.append(f"column {column}: found a required one, expected it optional")
    differences += [
        f"partition {field.name}: found {field.transform} of "
        f"{schema.find_column_name(field.source_id)}, expected year, month, day or hour of "
        f"{TIME_COLUMN}"
        for field in table.spec().fields
        if not _is_of_time(field, schema)
    ]
    if differences:
        raise CatalogRefusedError(
            f"the table {'.'.join(table.name())} is not one for {name}: {'; '.join(differences)}"
        )


def _fits(ours: IcebergType, theirs: IcebergType) -> bool:
    """Whether a file's type can be read as the table's."""
    if isinstance(ours, ListType) and isinstance(theirs, ListType):
        items_fit = _fits(ours.element_type, theirs.element_type)
        return items_fit and (not theirs.element_required or ours.element_required)
    return ours == theirs or (type(ours), type(theirs)) in _PROMOTIONS


def _is_of_time(field: PartitionField, schema: Schema) -> bool:
    if isinstance(field.transform, VoidTransform):
        return True
    is_time = schema.find_column_name(field.source_id) == TIME_COLUMN
    return is_time and isinstance(field.transform, _TIME_TRANSFORMS)


def partition_values(spec: PartitionSpec, hour: int) -> Sequence[int | None]:
    """The partition of a file whose rows are all of one hour, in seconds since the epoch."""
    return [_value(field.transform, hour) for field in spec.fields]


def _value(transform: object, hour: int) -> int | None:
    moment = datetime.fromtimestamp(hour, UTC)
    if isinstance(transform, HourTransform):
        return hour // 3600
    if isinstance(transform, DayTransform):
        return hour // 86_400
    if isinstance(transform, MonthTransform):
        return (moment.year - 1970) * 12 + moment.month - 1
    if isinstance(transform, YearTransform):
        return moment.year - 1970
    return None
