"""Views for a DuckDB of one's own: attributes as typed columns, in every layout of folders."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from click.testing import CliRunner

from otlp2parquet.cli import main
from otlp2parquet.query.typed_views import Attribute, parse_attribute, typed_view

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS = {
    "service": "service=007/date=2026-07-01/hour=9",
    "hour": "date=2026-07-01/hour=9",
    "classic": "007/year=2026/month=07/day=01/hour=09",
}


def write(folder: Path, layout: str, attributes: list[dict[str, Any]]) -> None:
    """A file of spans, which has what the views need of one."""
    place = folder / "traces" / FOLDERS[layout]
    place.mkdir(parents=True)
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE spans (ServiceName VARCHAR, SpanAttributes VARCHAR, "
            "ResourceAttributes VARCHAR)"
        )
        rows = [("007", json.dumps(one), '{"host.name":"h"}') for one in attributes]
        connection.executemany("INSERT INTO spans VALUES (?, ?, ?)", rows)
        connection.execute(f"COPY spans TO '{place}/x.parquet' (FORMAT parquet)")


def column(folder: Path, attribute: Attribute, attributes: list[dict[str, Any]]) -> list[Any]:
    """What the attribute's column holds."""
    write(folder, "service", attributes)
    name = attribute.name.replace('"', '""')
    with duckdb.connect() as connection:
        connection.execute(typed_view("traces", str(folder), "service", [attribute]))
        rows = connection.execute(f'SELECT "{name}" FROM traces').fetchall()
    return [value for (value,) in rows]


@pytest.mark.parametrize(
    ("kind", "values", "found"),
    [
        ("string", ["a", 1, True, None, [1]], ["a", "1", "true", None, "[1]"]),
        ("int", [500, "500", 1.5, 2**63 - 1, True], [500, None, None, 2**63 - 1, None]),
        ("double", [0.5, 2, "0.5", {"doubleValue": "-Infinity"}], [0.5, 2.0, None, -math.inf]),
        ("bool", [True, False, "true", 1], [True, False, None, None]),
    ],
)
def test_types(kind: str, values: list[Any], found: list[Any], tmp_path: Path) -> None:
    """A value of another kind is null; nothing is rounded, guessed or an error."""
    rows = [*({"a.b": value} for value in values), {}]
    assert column(tmp_path, Attribute("a.b", kind), rows) == [*found, None]


@pytest.mark.parametrize("name", ["a.b", "a/b", "a~b", "~1", 'a"b', "a'b", "a b", "ä", "$", "0"])
def test_any_name(name: str, tmp_path: Path) -> None:
    """Attributes are called whatever their senders like."""
    assert column(tmp_path, Attribute(name), [{name: "x"}, {"other": "y"}]) == ["x", None]


@pytest.mark.parametrize("layout", FOLDERS)
def test_layouts(layout: str, tmp_path: Path) -> None:
    """Whatever the folders are, the same columns tell service, date and hour."""
    write(tmp_path, layout, [{}])
    arguments = ["schema", "traces", "--format", "views", "--files", str(tmp_path)]
    options = ["--layout", layout, "--resource-attribute", "host.name"]
    result = CliRunner().invoke(main, [*arguments, *options])
    assert result.exit_code == 0, result.output
    with duckdb.connect() as connection:
        connection.execute(result.stdout)
        rows = connection.execute(
            'SELECT service, date::VARCHAR, hour, "host.name" FROM traces'
        ).fetchall()
    assert rows == [("007", "2026-07-01", 9, "h")]


def test_a_table_without_files_is_named(tmp_path: Path) -> None:
    """DuckDB makes no view over files of which there are none: the rest can still be run."""
    write(tmp_path, "service", [{}])
    result = CliRunner().invoke(main, ["schema", "--format", "views", "--files", str(tmp_path)])
    assert "-- logs: there are no files in" in result.stdout
    with duckdb.connect() as connection:
        connection.execute(result.stdout)
        assert connection.execute("SELECT count(*) FROM traces").fetchall() == [(1,)]


@pytest.mark.parametrize(
    ("text", "attribute"),
    [
        ("http.route", Attribute("http.route")),
        ("http.status:int", Attribute("http.status", "int")),
        ("a:b", Attribute("a:b")),
        ("a:b:double", Attribute("a:b", "double")),
    ],
)
def test_how_an_attribute_is_said(text: str, attribute: Attribute) -> None:
    """A colon that no type follows belongs to the name."""
    assert parse_attribute(text) == attribute


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--format", "views", "--attribute", ""], "names no attribute"),
        (["--format", "views", "--attribute", ":int"], "names no attribute"),
        (["--format", "views", "--attribute", "spanname"], "has a column 'spanname' already"),
        (["--format", "views", "--attribute", "a", "--resource-attribute", "A"], "'A' already"),
        (["--attribute", "a"], "--format views"),
    ],
)
def test_what_is_no_column(options: list[str], words: str) -> None:
    """It is said, in place of a view that DuckDB would refuse."""
    result = CliRunner().invoke(main, ["schema", "traces", *options])
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())
