"""convert --single and -o FILE.parquet: one file a table, whole or not there, none overwritten."""

from __future__ import annotations

import contextlib
import io
import re
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from otlp2parquet.captures import find_inputs
from otlp2parquet.convert import ConvertOptions, convert_single
from otlp2parquet.stores import LocalStore
from otlp2parquet.writers import ParquetSettings
from tests.support.conversion import content, json_request, run, stream
from tests.support.memory_store import KilledError, MemoryStore
from tests.support.requests import logs_request, metrics_request, traces_request

if TYPE_CHECKING:
    from pathlib import Path

METRICS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")


@pytest.fixture
def captured(tmp_path: Path) -> Path:
    """All signals, of two services and hours."""
    folder = tmp_path / "in"
    folder.mkdir()
    requests = [logs_request(3, f"s{one % 2}", first=3600 * one) for one in range(4)]
    (folder / "logs.pb").write_bytes(stream(*requests))
    (folder / "traces.pb").write_bytes(traces_request(4))
    (folder / "metrics.pb").write_bytes(metrics_request(5))
    return folder


def test_a_file_for_each_table(tmp_path: Path, captured: Path) -> None:
    """In the folder itself, with the tables' own columns, and nothing beside them."""
    result = run("convert", captured, "--single", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    expected = {"logs.parquet": 12, "traces.parquet": 4}
    expected |= {f"metrics_{kind}.parquet": 5 for kind in METRICS}
    rows = {path.name: pq.read_metadata(path).num_rows for path in (tmp_path / "out").iterdir()}
    assert rows == expected
    assert f"output: {tmp_path / 'out'}\n" in result.stdout
    run("convert", captured, "-o", tmp_path / "usual")
    for name, folder in (("logs", "logs"), ("metrics_sum", "metrics/sum")):
        single = pq.ParquetFile(tmp_path / "out" / f"{name}.parquet").read()
        usual = [
            pq.ParquetFile(path).read() for path in (tmp_path / "usual" / folder).rglob("*.parquet")
        ]
        assert single.schema == usual[0].schema
        assert sorted(map(str, single.to_pylist())) == sorted(
            str(row) for table in usual for row in table.to_pylist()
        )
    metadata = pq.read_metadata(tmp_path / "out" / "logs.parquet").metadata
    assert metadata[b"otlp2parquet.table"] == b"otel_logs"
    assert metadata[b"otlp2parquet.schema_version"] == b"1"


def test_one_file_for_one_table(tmp_path: Path, captured: Path) -> None:
    """A name that ends in .parquet is that file."""
    output = tmp_path / "there" / "my.parquet"
    result = run("convert", captured / "logs.pb", "-o", output)
    assert result.exit_code == 0, result.output
    assert pq.read_metadata(output).num_rows == 12
    assert [path.name for path in output.parent.iterdir()] == ["my.parquet"]
    assert f"output: {output}\n" in result.stdout


def test_one_file_for_two_tables(tmp_path: Path, captured: Path) -> None:
    """Is an error that says what there is and what to do, and nothing is written."""
    for inputs, tables in (
        ([captured], "otel_logs and otel_traces"),
        ([captured / "metrics.pb"], "otel_metrics_gauge and otel_metrics_sum"),
    ):
        result = run("convert", *inputs, "-o", tmp_path / "out" / "x.parquet")
        assert result.exit_code == 1
        assert f"error: found rows of {tables}, and x.parquet is one file" in result.stderr
        assert "--single with a folder writes a file for each" in result.stderr
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [("--single", "-o", "out"), ("-o", "out/logs.parquet")])
def test_what_is_there_is_not_overwritten(
    tmp_path: Path, captured: Path, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --again it is named before anything is read; with it the new file takes its place."""
    monkeypatch.chdir(tmp_path)
    assert run("convert", captured / "logs.pb", *arguments).exit_code == 0
    before = content(tmp_path / "out")
    result = run("convert", captured / "logs.pb", *arguments)
    assert result.exit_code == 1
    assert "has logs.parquet already: --again replaces" in result.stderr
    assert content(tmp_path / "out") == before
    (captured / "logs.pb").write_bytes(logs_request(1))
    assert run("convert", captured / "logs.pb", *arguments, "--again").exit_code == 0
    assert pq.read_metadata(tmp_path / "out" / "logs.parquet").num_rows == 1


@pytest.mark.parametrize("lives", range(1, 7))
def test_a_crash_loses_neither_the_old_file_nor_the_new_one(captured: Path, lives: int) -> None:
    """With --again each table has a whole file, before and after every call of the store."""
    store, options, settings = MemoryStore(), ConvertOptions(), ParquetSettings()
    old = find_inputs([str(captured / "logs.pb"), str(captured / "traces.pb")]).files
    convert_single(old, store, options, settings, on_chunk=lambda _: None)
    before = dict(store.objects)
    (captured / "logs.pb").write_bytes(logs_request(1))
    (captured / "traces.pb").write_bytes(traces_request(1))
    store.start_process(lives)
    with contextlib.suppress(KilledError):
        convert_single(old, store, options, settings, replace=True, on_chunk=lambda _: None)
    store.start_process(None)
    assert store.objects.keys() == before.keys()
    for name, content_of in store.objects.items():
        rows = pq.read_metadata(io.BytesIO(content_of)).num_rows
        assert rows == 1 or content_of == before[name]


def test_all_inputs_every_time(tmp_path: Path, captured: Path) -> None:
    """A conversion into folders before, or another file, changes nothing of it."""
    run("convert", captured, "-o", tmp_path / "out")
    result = run("convert", captured, "--single", "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert pq.read_metadata(tmp_path / "out" / "logs.parquet").num_rows == 12


def test_what_is_bad_is_named_and_the_rest_is_there(tmp_path: Path) -> None:
    """As for folders."""
    (tmp_path / "x.json").write_bytes(json_request("a") + b"\nhello\n" + json_request("b"))
    result = run("convert", tmp_path / "x.json", "-o", tmp_path / "x.parquet")
    assert result.exit_code == 1
    assert f"not all is converted of {tmp_path / 'x.json'} (1 problem)" in result.stdout
    assert pq.read_table(tmp_path / "x.parquet")["Body"].to_pylist() == ["a", "b"]


def test_no_rows_no_file(tmp_path: Path) -> None:
    """There is no table of which it could be a file."""
    (tmp_path / "x.json").write_bytes(b"")
    assert run("convert", tmp_path / "x.json", "-o", tmp_path / "x.parquet").exit_code == 0
    assert not (tmp_path / "x.parquet").exists()


def test_layouts_have_no_part_in_it(tmp_path: Path) -> None:
    """There are no folders to choose."""
    (tmp_path / "x.json").write_bytes(json_request("a"))
    arguments = ("convert", tmp_path / "x.json", "-o", tmp_path / "x.parquet")
    assert run(*arguments, "--layout", "hour").exit_code == 2


def test_row_groups_are_written_as_they_come(tmp_path: Path) -> None:
    """A chunk at most is in memory; many chunks are one file with the same rows in order."""
    (tmp_path / "logs.pb").write_bytes(
        stream(*[logs_request(10, f"s{one}", first=10 * one) for one in range(20)])
    )
    files = find_inputs([tmp_path / "logs.pb"]).files
    options = ConvertOptions(chunk_bytes=3000, max_rows=25)
    settings = ParquetSettings(row_group_rows=7)
    store = LocalStore(tmp_path / "out")
    total = convert_single(files, store, options, settings, on_chunk=lambda _: None)
    file = pq.ParquetFile(tmp_path / "out" / "logs.parquet")
    assert file.metadata.num_row_groups > 20
    assert total.rows.total() == file.metadata.num_rows == 200
    stamps = file.read()["Timestamp"].to_pylist()
    assert stamps == sorted(stamps)


def test_a_failure_leaves_nothing(tmp_path: Path, captured: Path) -> None:
    """Whatever ends the conversion, there is no part of a file, and no temporary one."""

    def stop(_report: object) -> None:
        raise KeyboardInterrupt

    files = find_inputs([captured]).files
    store = LocalStore(tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        convert_single(files, store, ConvertOptions(), ParquetSettings(), on_chunk=stop)
    assert not (tmp_path / "out").exists()
    assert re.findall(r"\.tmp", " ".join(path.name for path in tmp_path.iterdir())) == []


def test_into_any_store(captured: Path) -> None:
    """A bucket will do."""
    files = find_inputs([captured / "logs.pb"]).files
    store = MemoryStore()
    convert_single(
        files, store, ConvertOptions(), ParquetSettings(), name="x.parquet", on_chunk=lambda _: None
    )
    assert [one.path for one in store.list()] == ["x.parquet"]
