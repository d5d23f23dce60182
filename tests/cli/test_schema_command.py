"""The schema command, the version, the default command, and the generated pages."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import otlp2parquet
from otlp2parquet import _native
from otlp2parquet.cli import COMMANDS, main
from otlp2parquet.cli.reference import PAGES
from otlp2parquet.core import DECODER, decoder
from otlp2parquet.core.column_notes import COLUMN_NOTES
from otlp2parquet.core.schema import TABLE_FOLDERS, table_schema
from tests.support.tables import all_batches, write

if TYPE_CHECKING:
    from collections.abc import Sequence

DOCS = Path(__file__).parents[2] / "docs"
TABLES = list(TABLE_FOLDERS)


def run(*arguments: str) -> str:
    """What the command prints; it must succeed."""
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_tables_are_the_decoders() -> None:
    """The tables that have a folder are the tables that the decoder makes."""
    assert list(TABLE_FOLDERS) == _native.table_names()


def test_every_column_has_a_note() -> None:
    """Each column of each table is explained, and nothing else is."""
    names = {field.name for table in TABLES for field in pa.schema(table_schema(table))}
    assert set(COLUMN_NOTES) == names


def test_unknown_table() -> None:
    """The schema of a table that does not exist is an error that lists those that do."""
    with pytest.raises(ValueError, match="unknown table 'logs': expected one of otel_logs, "):
        table_schema("logs")
    result = CliRunner().invoke(main, ["schema", "log"])
    assert result.exit_code == 2
    assert "logs, traces, metrics, otel_logs, otel_traces" in " ".join(result.stderr.split())


@pytest.mark.parametrize("table", TABLES)
def test_text(table: str) -> None:
    """For people: two lines a column, number, name and type, then its meaning; in 80 columns."""
    title, *lines = run("schema", table).splitlines()
    assert title == table
    assert max(map(len, lines)) <= 80
    fields = pa.schema(table_schema(table))
    for field, line, note in zip(fields, lines[::2], lines[1::2], strict=True):
        number, name, kind, *rest = re.split(r"  +| (?=[A-Z])", line.strip(), maxsplit=3)
        assert number == field.metadata[b"PARQUET:field_id"].decode()
        assert name == field.name
        assert kind == str(field.type).replace("element: ", "")
        assert rest == ([] if field.nullable else ["required"])
        assert note == f"    {COLUMN_NOTES[name]}"


@pytest.mark.parametrize(
    ("name", "tables"),
    [
        ("logs", ["otel_logs"]),
        ("Traces", ["otel_traces"]),
        ("metrics", TABLES[2:]),
        ("metrics_sum", ["otel_metrics_sum"]),
        ("otel_metrics_summary", ["otel_metrics_summary"]),
    ],
)
def test_a_signal_names_its_tables(name: str, tables: list[str]) -> None:
    """Nobody has to know what our tables are called to see them."""
    assert [line for line in run("schema", name).splitlines() if line and line[0] != " "] == tables
    assert list(json.loads(run("schema", name, "--format", "json"))["tables"]) == tables


@pytest.mark.parametrize("form", ["text", "json", "arrow", "sql"])
def test_all_tables(form: str) -> None:
    """Without a table every table is shown."""
    output = run("schema", "--format", form)
    for table in TABLES:
        assert re.search(rf"\b{table}\b", output)


@pytest.mark.parametrize("table", TABLES)
def test_json(table: str) -> None:
    """For programs: everything there is to know of a column."""
    document = json.loads(run("schema", table, "--format", "json"))
    assert document["schema_version"] == 1
    assert list(document["tables"]) == [table]
    for field, column in zip(
        pa.schema(table_schema(table)), document["tables"][table], strict=True
    ):
        is_list = pa.types.is_list(field.type)
        element = field.type.value_field.metadata[b"PARQUET:field_id"] if is_list else None
        assert column == {
            "id": int(field.metadata[b"PARQUET:field_id"]),
            "name": field.name,
            "type": str(field.type).replace("element: ", ""),
            "nullable": field.nullable,
            "element_id": element and int(element),
            "note": COLUMN_NOTES[field.name],
        }


@pytest.mark.parametrize("table", TABLES)
def test_arrow(table: str) -> None:
    """As pyarrow prints a schema, field ids included."""
    schema = pa.schema(table_schema(table))
    expected = schema.to_string(truncate_metadata=False, show_field_metadata=True)
    assert run("schema", table, "--format", "arrow") == f"# {table}\n{expected}\n"
    assert "PARQUET:field_id: '1'" in expected


@pytest.mark.parametrize("table", TABLES)
def test_sql(tmp_path: Path, table: str) -> None:
    """DuckDB makes the table from the statement, and takes a file's rows unchanged."""
    batch = all_batches(dictionaries=True)[table]
    path = tmp_path / write(otlp2parquet.ParquetWriter(tmp_path), [batch]).path
    with duckdb.connect() as database:
        database.execute(run("schema", table, "--format", "sql"))
        source = database.read_parquet(str(path), hive_partitioning=False)
        database.execute("SET TimeZone = 'UTC'")
        assert source.types == database.table(table).types
        source.insert_into(table)
        found = database.table(table).to_arrow_table().cast(pa.schema(table_schema(table)))
    assert found.to_pylist() == pq.ParquetFile(path).read().to_pylist()


def test_version() -> None:
    """--version says which package, which decoder and which pyarrow are in use."""
    build = ", a debug build" if _native.DEBUG_BUILD else ""
    expected = f"otlp2parquet {otlp2parquet.__version__}, decoder {DECODER} (compiled{build})"
    assert run("--version") == f"{expected}, pyarrow {pa.__version__}\n"


def test_version_of_the_decoder_in_plain_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has it by accident reads that there is a faster one."""
    monkeypatch.setattr(decoder, "DECODER", "pure")
    monkeypatch.setattr(decoder, "DEBUG_BUILD", False)
    assert "decoder pure (plain Python, the same results but many times slower)," in run(
        "--version"
    )


class Served(Exception):  # noqa: N818 - a sign, not an error
    """The default command was reached."""


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ([], {}),
        (["-p", "4319"], {"port": 4319}),
        (["--port=4319"], {"port": 4319}),
        (["--output", "there", "-p", "1"], {"output": "there", "port": 1}),
        (["serve", "-p", "4319"], {"port": 4319}),
    ],
)
def test_serve_is_the_default(
    arguments: Sequence[str], options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No command, or an option that is not the program's own, means serve."""
    from otlp2parquet.cli import serve  # noqa: PLC0415 - patched below, so not by name above

    def reached(**given: object) -> None:
        raise Served({name: value for name, value in given.items() if value})

    monkeypatch.setattr(serve.serve, "callback", reached)
    result = CliRunner().invoke(main, arguments)
    assert isinstance(result.exception, Served), result.output
    assert result.exception.args == (options,)


def test_misspelt_command_is_not_served() -> None:
    """A word that is no command is an error, and starts no server."""
    result = CliRunner().invoke(main, ["convrt", "x"])
    assert result.exit_code == 2
    assert "No such command 'convrt'" in result.stderr


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(option: str) -> None:
    """The program's help page lists every command with its purpose; each command has its own."""
    output = " ".join(run(option).split())
    for name, purpose in COMMANDS.items():
        assert f"{name} {purpose}" in output
        assert run(name, option).startswith(f"Usage: main {name}")


def test_purposes_are_the_commands_own() -> None:
    """The purpose shown in the list opens the command's own page, word for word or shorter."""
    with click.Context(main) as context:
        for name in COMMANDS:
            command = main.get_command(context, name)
            assert command is not None
            assert command.name == name
            assert command.help


def test_help_is_quick() -> None:
    """The help page loads no Arrow, no server and no terminal library."""
    program = (
        "import sys\nfrom otlp2parquet.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "print(sorted({'pyarrow', 'granian', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.endswith("[]\n")


@pytest.mark.parametrize("name", PAGES)
def test_generated_page_is_current(name: str) -> None:
    """The committed page is what its command prints now."""
    committed = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    command = f"python -m otlp2parquet.cli.reference {name} > docs/{name}.md"
    assert committed == PAGES[name](), f"docs/{name}.md is stale: run {command}"
    assert command in committed


def test_reference_names_every_option() -> None:
    """Each option of each command is on the page of the command line."""
    page = PAGES["cli"]()
    with click.Context(main) as context:
        for name in COMMANDS:
            command = main.get_command(context, name)
            assert command is not None
            for parameter in command.params:
                for option in parameter.opts if isinstance(parameter, click.Option) else []:
                    assert option in page


def test_help_of_a_command_on_its_own() -> None:
    """Click remembers the first context's help options: a command run alone must not lose -h."""
    alone = importlib.import_module("otlp2parquet.cli.config").config
    for command in (alone, alone):
        assert CliRunner().invoke(command, ["-h"]).exit_code == 0
    assert run("config", "-h")
