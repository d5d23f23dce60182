"""The rows of one table, service and hour as columns, and as Arrow for whoever has pyarrow.

The columns are as ``schema`` says. Arrow is made when somebody asks for it, and pyarrow is loaded
then: this module must not know it before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from otlp2parquet.core.pure.inflate import in_quotes
from otlp2parquet.core.pure.schema import TABLES, Column

_NAMES: Final = """
    ServiceName ServiceNamespace ServiceInstanceId ResourceAttributes ResourceSchemaUrl ScopeName
    ScopeVersion ScopeAttributes ScopeSchemaUrl SeverityText EventName BodyType TraceState SpanName
    SpanKind StatusCode StatusMessage MetricName MetricDescription MetricUnit MetricMetadata
    AggregationTemporality
"""
_LABELS: Final = frozenset(_NAMES.split())
"""Columns of few different texts: dictionary arrays where asked for."""


def _field(column: Column, *, is_dictionary: bool) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - see above

    kind = {
        "timestamp": pa.timestamp("us", "UTC"),
        "int32": pa.int32(),
        "int64": pa.int64(),
        "double": pa.float64(),
        "bool": pa.bool_(),
        "string": pa.string(),
    }[column.type]
    if is_dictionary and column.name in _LABELS:
        kind = pa.dictionary(pa.int32(), kind)
    if column.item_id is not None:
        kind = pa.list_(pa.field("element", kind, metadata={_FIELD_ID: str(column.item_id)}))
    return pa.field(column.name, kind, column.is_nullable, {_FIELD_ID: str(column.field_id)})


_FIELD_ID: Final = "PARQUET:field_id"


def arrow_schema(table: str, *, is_dictionary: bool = False) -> Any:
    """The table's Arrow schema, a ``pyarrow.Schema``."""
    import pyarrow as pa  # noqa: PLC0415 - see above

    return pa.schema([_field(column, is_dictionary=is_dictionary) for column in TABLES[table]])


class Schema:
    """The Arrow schema of a table."""

    def __init__(self, table: str) -> None:
        self._table = table

    def __arrow_c_schema__(self) -> object:
        return arrow_schema(self._table).__arrow_c_schema__()


def table_names() -> list[str]:
    """The names of the tables, in schema order."""
    return list(TABLES)


def table_schema(table: str) -> Schema:
    """The Arrow schema of a table; for who has pyarrow."""
    if table not in TABLES:
        names = ", ".join(TABLES)
        raise ValueError(f"found table {in_quotes(table[:64])}, expected one of {names}")
    return Schema(table)


@dataclass(frozen=True, slots=True, repr=False)
class Batch:
    """The rows of one table, service and hour, in the order in which they were appended."""

    table: str
    service: str | None
    hour: datetime
    """When the hour of every row's Timestamp begins, UTC."""
    columns: list[Sequence[Any]]
    """In the order of the table's columns, one value a row each."""
    is_dictionary: bool = False
    """Whether its Arrow form has dictionary arrays for columns of few different texts."""

    @property
    def num_rows(self) -> int:
        """How many rows it has."""
        return len(self.columns[0])

    def __repr__(self) -> str:
        hour = self.hour.isoformat()
        return f"<Batch {self.table} service={self.service!r} hour={hour} num_rows={self.num_rows}>"

    def _record_batch(self) -> Any:
        import pyarrow as pa  # noqa: PLC0415 - see above

        schema = arrow_schema(self.table, is_dictionary=self.is_dictionary)
        arrays = []
        for field, values in zip(schema, self.columns, strict=True):
            if pa.types.is_dictionary(field.type):
                array = pa.array(values, field.type.value_type).dictionary_encode()
            else:
                array = pa.array(values, field.type)
            arrays.append(array)
        return pa.record_batch(arrays, schema=schema)

    def __arrow_c_schema__(self) -> object:
        return arrow_schema(self.table, is_dictionary=self.is_dictionary).__arrow_c_schema__()

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        # The requested schema is a wish that the protocol allows to be passed over.
        del requested_schema
        capsules: tuple[object, object] = self._record_batch().__arrow_c_array__()
        return capsules

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        del requested_schema
        import pyarrow as pa  # noqa: PLC0415 - see above

        rows = self._record_batch()
        return pa.RecordBatchReader.from_batches(rows.schema, [rows]).__arrow_c_stream__()


def hour_of(number: int) -> datetime:
    """When an hour since the epoch begins."""
    return datetime.fromtimestamp(number * 3600, tz=UTC)


def restore(table: str, service: str | None, hour: int, ipc: bytes) -> Batch:
    """The batch of a pickle of the extension's; documented in ``core.decoder``."""
    import pyarrow as pa  # noqa: PLC0415 - see above

    rows = pa.ipc.open_stream(ipc).read_next_batch()
    forms = [
        flag for flag in (False, True) if rows.schema == arrow_schema(table, is_dictionary=flag)
    ]
    if not forms:
        raise RuntimeError(f"found another schema than that of {table}")
    columns: list[Sequence[Any]] = [_values(column) for column in rows.columns]
    return Batch(table, service, hour_of(hour), columns, forms[0])


def _values(column: Any) -> list[Any]:
    import pyarrow as pa  # noqa: PLC0415 - see above

    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    elif pa.types.is_list(column.type) and pa.types.is_timestamp(column.type.value_type):
        column = column.cast(pa.list_(pa.int64()))
    values: list[Any] = column.to_pylist()
    return values
