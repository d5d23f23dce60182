"""Our tables in Iceberg's own JSON, and what a table that exists has otherwise.

Knows our columns and the JSON of Iceberg's specification, as it stands in a table's metadata. Must
not know a library or a catalog: every client asks here, whatever it speaks through. A new table
has our columns; an existing one is matched by column name, and its field ids count. What a table
lacks is added as optional; what cannot be reconciled is spelled out.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from otlp2parquet.core.pure.schema import TABLES, Column
from otlp2parquet.errors import CatalogRefusedError
from otlp2parquet.writers.protocol import Bound

Json = Mapping[str, Any]

TIME_COLUMN: Final = "Timestamp"
TEXT_BOUND: Final = 64
"""Characters of a text's bound: service names and metric names are rarely longer."""

_TYPES: Final[Mapping[str, str]] = {
    "timestamp": "timestamptz",
    "int32": "int",
    "int64": "long",
    "double": "double",
    "bool": "boolean",
    "string": "string",
}
_TIME_TRANSFORMS: Final = ("year", "month", "day", "hour")
_PROMOTIONS: Final = {("int", "long"), ("float", "double")}
_FIRST_PARTITION_ID: Final = 1000
_SURROGATES: Final = range(0xD800, 0xE000)


def field_of(column: Column) -> dict[str, Any]:
    """A column as a field of a schema, with our field ids."""
    kind: Any = _TYPES[column.type]
    if column.item_id is not None:
        kind = {
            "type": "list",
            "element-id": column.item_id,
            "element": kind,
            "element-required": False,
        }
    return {
        "id": column.field_id,
        "name": column.name,
        "type": kind,
        "required": not column.is_nullable,
    }


def schema_of(table: str) -> dict[str, Any]:
    """The schema of a new table."""
    fields = [field_of(column) for column in TABLES[table]]
    return {"type": "struct", "fields": fields, "schema-id": 0, "identifier-field-ids": []}


def spec_of(table: str, partition: str) -> dict[str, Any]:
    """The partition spec of a new table; ``partition`` is day, hour or none."""
    source = next(column.field_id for column in TABLES[table] if column.name == TIME_COLUMN)
    field = {
        "source-id": source,
        "field-id": _FIRST_PARTITION_ID,
        "transform": partition,
        "name": f"{TIME_COLUMN}_{partition}",
    }
    return {"spec-id": 0, "fields": [] if partition == "none" else [field]}


def ids_in(schema: Json, table: str) -> tuple[int, ...]:
    """The ids that a schema has for our columns, then for the items of lists; all are there."""
    fields = {field["name"]: field for field in schema["fields"]}
    ours = [fields[column.name] for column in TABLES[table]]
    items = [field["type"]["element-id"] for field in ours if _is_list(field["type"])]
    return (*(field["id"] for field in ours), *items)


def missing_columns(schema: Json, table: str) -> list[Column]:
    """Our columns that a schema has not."""
    there = {field["name"] for field in schema["fields"]}
    return [column for column in TABLES[table] if column.name not in there]


def check(title: str, schema: Json, spec: Json, table: str) -> None:
    """Raise ``CatalogRefusedError`` with every reason why our files cannot be this table's.

    ``title`` is what the table is called in its catalog.
    """
    if found := differences(schema, spec, table):
        raise CatalogRefusedError(f"the table {title} is not one for {table}: {'; '.join(found)}")


def differences(schema: Json, spec: Json, table: str) -> list[str]:
    """Every reason why our files cannot be in a table with this schema and partition spec."""
    ours = {column.name: field_of(column) for column in TABLES[table]}
    names = {field["id"]: field["name"] for field in schema["fields"]}
    found = []
    for field in schema["fields"]:
        name, wanted = field["name"], ours.get(field["name"])
        if wanted is None:
            if field["required"] and field.get("initial-default") is None:
                found.append(f"column {name}: found a required one, expected it optional")
        elif not _fits(wanted["type"], field["type"]):
            found.append(
                f"column {name}: found {_words(field['type'])}, expected {_words(wanted['type'])}"
            )
        elif field["required"] and not wanted["required"]:
            found.append(f"column {name}: found a required one, expected it optional")
    for field in spec["fields"]:
        source, transform = names.get(field["source-id"]), field["transform"]
        is_of_time = source == TIME_COLUMN and transform in _TIME_TRANSFORMS
        if transform != "void" and not is_of_time:
            found.append(
                f"partition {field['name']}: found {transform} of {source}, expected year, month, "
                f"day or hour of {TIME_COLUMN}"
            )
    return found


def _is_list(kind: Any) -> bool:  # noqa: ANN401 - JSON
    return isinstance(kind, Mapping) and kind.get("type") == "list"


def _fits(ours: Any, theirs: Any) -> bool:  # noqa: ANN401 - JSON
    """Whether a file's type can be read as the table's."""
    if _is_list(ours) and _is_list(theirs):
        return _fits(ours["element"], theirs["element"]) and not theirs["element-required"]
    return bool(ours == theirs) or (
        isinstance(ours, str) and isinstance(theirs, str) and (ours, theirs) in _PROMOTIONS
    )


def _words(kind: Any) -> str:  # noqa: ANN401 - JSON
    if _is_list(kind):
        return f"list<{_words(kind['element'])}>"
    return kind if isinstance(kind, str) else str(kind.get("type", "something else"))


def partition_values(transforms: Sequence[str], hour: int) -> list[int | None]:
    """The partition of a file whose rows are all of one hour, in seconds since the epoch."""
    return [_value(transform, hour) for transform in transforms]


def _value(transform: str, hour: int) -> int | None:
    moment = datetime.fromtimestamp(hour, UTC)
    match transform:
        case "hour":
            return hour // 3600
        case "day":
            return hour // 86_400
        case "month":
            return (moment.year - 1970) * 12 + moment.month - 1
        case "year":
            return moment.year - 1970
    return None


def lower_bound(bound: Bound | None) -> Bound | None:
    """A bound that is at most ``bound``, and not long."""
    return bound[:TEXT_BOUND] if isinstance(bound, str) else bound


def upper_bound(bound: Bound | None) -> Bound | None:
    """A bound that is at least ``bound``, and not long; None where there is none."""
    if not isinstance(bound, str) or len(bound) <= TEXT_BOUND:
        return bound
    # Cut, it has to grow: the last character that has one behind it becomes that.
    for end in range(TEXT_BOUND, 0, -1):
        behind = ord(bound[end - 1]) + 1
        if behind in _SURROGATES:  # no characters of their own, UTF-8 has none
            behind = _SURROGATES.stop
        if behind <= 0x10FFFF:  # noqa: PLR2004 - the last of Unicode
            return bound[: end - 1] + chr(behind)
    return None
