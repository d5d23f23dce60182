"""Canonical forms: what two requests, or two batches of rows, share when they say the same.

Knows the official message types, the list of what is not stored, and Arrow; not how either
becomes the other. Two requests are the same when their canonical forms are equal. The form is

* **ungrouped**: one entry per log record, span or data point, each with its own copy of its
  resource, scope, schema URLs and, for a point, its metric. Entries are sorted, so neither
  the grouping of records nor the order of groups matters; the order *within* a record
  (attributes, events, links, exemplars, buckets) does. What has no record has no entry.
* **without defaults**: a field that holds its proto3 default is as if it were not written.
  A submessage that is present and empty is as if absent for Resource, Scope, Status and
  KeyValue.value; it differs from an absent one where the tables keep the difference: a log
  body, the sides of an exponential histogram, and a oneof member.
* **without what is not stored**: ids of nothing but zeros, entity_refs, the indexes of
  profiles (a value that is one reads as no value set), unknown fields, and the payload bits
  of NaN.

-0.0 differs from 0.0, and repeated keys are all kept.

Rows are compared with their column order, with -0.0 unlike 0.0 and NaN like NaN.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from google.protobuf.message import Message

    from tests.support.oracle import Row

NOT_STORED = {
    "opentelemetry.proto.resource.v1.Resource.entity_refs",
    "opentelemetry.proto.common.v1.KeyValue.key_strindex",
    "opentelemetry.proto.common.v1.AnyValue.string_value_strindex",
}
IDS = {"trace_id", "span_id", "parent_span_id"}
EMPTY_IS_ABSENT = {
    "opentelemetry.proto.common.v1.KeyValue.value",
    "opentelemetry.proto.trace.v1.Span.status",
}

Form = tuple[Any, ...]


def _scalar(value: Any) -> Any:
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else repr(value)
    return value


def form(message: Message, leave_out: str = "") -> Form:
    """One message as nested tuples of (field name, value) without defaults."""
    fields = []
    for field, value in message.ListFields():
        if field.full_name in NOT_STORED or field.name == leave_out:
            continue
        if field.name in IDS and not any(value):
            continue
        if field.is_repeated:
            items = [form(v) if field.message_type else _scalar(v) for v in value]
            fields.append((field.name, tuple(items)))
        elif field.message_type:
            inner = form(value)
            if inner or field.full_name not in EMPTY_IS_ABSENT:
                fields.append((field.name, inner))
        else:
            fields.append((field.name, _scalar(value)))
    return tuple(fields)


def _entries(request: Any) -> Iterator[Form]:
    for field, resources in request.ListFields():
        records = {
            "resource_logs": ("scope_logs", "log_records"),
            "resource_spans": ("scope_spans", "spans"),
            "resource_metrics": ("scope_metrics", "metrics"),
        }[field.name]
        for resource in resources:
            for scope in getattr(resource, records[0]):
                above = (
                    form(resource.resource),
                    resource.schema_url,
                    form(scope.scope),
                    scope.schema_url,
                )
                for record in getattr(scope, records[1]):
                    if records[1] == "metrics":
                        for point in _points(record):
                            yield above + point
                    else:
                        yield (*above, form(record))


def _points(metric: Any) -> Iterator[Form]:
    kind = metric.WhichOneof("data")
    if kind is not None:
        data = getattr(metric, kind)
        for point in data.data_points:
            yield form(metric, leave_out=kind), kind, form(data, "data_points"), form(point)


def canonical(request: Any) -> list[Form]:
    """The canonical form of an official ``Export<Signal>ServiceRequest``."""
    return sorted(_entries(request), key=repr)


# Rows and batches ------------------------------------------------------------------------


def exact(value: Any) -> Any:
    """A value that equals another only when both are the same to the bit (NaNs are alike)."""
    if isinstance(value, float):
        return _scalar(value)
    if isinstance(value, list):
        return [exact(item) for item in value]
    return value


def exact_rows(rows: Iterable[Row]) -> list[list[tuple[str, Any]]]:
    """Rows as lists of (column, value), so that the order of columns counts too."""
    return [[(name, exact(value)) for name, value in row.items()] for row in rows]


_PLAIN = {kind.id for kind in (pa.string(), pa.int32(), pa.int64(), pa.float64(), pa.bool_())}
"""The ids of the types, nearly all there are, whose columns stay as they are."""


def _plain(column: pa.Array) -> pa.Array:
    """Timestamps as the integers that they hold, microseconds, dictionaries as their values."""
    if column.type.id in _PLAIN:
        return column
    if pa.types.is_dictionary(column.type):
        return _plain(column.dictionary_decode())
    if pa.types.is_timestamp(column.type):
        return column.view(pa.int64())
    if pa.types.is_list(column.type):
        item = column.type.value_type
        if pa.types.is_timestamp(item):
            return column.view(pa.list_(pa.int64()))
        if pa.types.is_dictionary(item):
            return column.cast(pa.list_(item.value_type))
    return column


def rows_of(batch: Any) -> list[Row]:
    """The rows of anything that gives itself as an Arrow array by capsule, fully validated."""
    arrow = pa.record_batch(batch)
    arrow.validate(full=True)
    columns = [_plain(column).to_pylist() for column in arrow.columns]
    names = arrow.schema.names
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def groups_of(batches: Iterable[Any]) -> dict[tuple[str, str | None, datetime], list[Row]]:
    """The rows of each (table, service, hour), which must not come in two batches."""
    groups: dict[tuple[str, str | None, datetime], list[Row]] = {}
    for batch in batches:
        key = (batch.table, batch.service, batch.hour)
        assert key not in groups, f"{key} has two batches"
        groups[key] = rows_of(batch)
        assert len(groups[key]) == batch.num_rows
    return groups


def _facts(column: pa.Array) -> tuple[Any, ...]:
    """All of one column that Arrow gives a meaning to, dictionary entries without rows too."""
    if pa.types.is_dictionary(column.type):
        return column.indices.to_pylist(), column.dictionary.to_pylist()
    return column.null_count, exact(_plain(column).to_pylist())


def arrow_facts(batches: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Batches in their order, by all that Arrow gives a meaning to: keys, schemas, values."""
    facts = []
    for batch in batches:
        arrow = pa.record_batch(batch)
        arrow.validate(full=True)
        columns = {name: _facts(arrow.column(name)) for name in arrow.schema.names}
        schema = arrow.schema.to_string(show_field_metadata=True)
        facts.append((batch.table, batch.service, batch.hour, schema, columns))
    return facts


def arrow_bytes(batches: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Batches to the byte, padding included: keys, schemas with their metadata, all buffers."""
    return [
        (
            batch.table,
            batch.service,
            batch.hour,
            (arrow := pa.record_batch(batch)).schema.serialize().to_pybytes(),
            arrow.serialize().to_pybytes(),
        )
        for batch in batches
    ]
