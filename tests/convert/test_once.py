"""convert, run again: each request is in the output once, and only what is new is added."""

from __future__ import annotations

import gzip
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from otlp2parquet.captures import find_inputs
from otlp2parquet.convert import ChunkReport, ConvertOptions, open_journal, selection
from tests.support.conversion import (
    bodies,
    content,
    convert_into,
    count_rows,
    deep_request,
    json_request,
    rows,
    run,
    stream,
    tables,
    undated_request,
    zstd,
)
from tests.support.requests import START, logs_request, metrics_request, traces_request

if TYPE_CHECKING:
    from collections.abc import Callable

GOOD = logs_request(4)


@pytest.fixture
def captured(tmp_path: Path) -> Path:
    """A folder with several files of several services, hours and signals."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(4):
        requests = [logs_request(60, f"s{one}", first=1800 * one) for one in range(number, 6)]
        (folder / f"logs-{number}.pb").write_bytes(stream(*requests))
    (folder / "logs-undated.pb.gz").write_bytes(gzip.compress(undated_request(5)))
    (folder / "traces.pb").write_bytes(traces_request(20))
    (folder / "metrics.pb.zst").write_bytes(zstd(metrics_request(20)))
    (folder / "lines.jsonl").write_bytes(b"\n".join([json_request("a"), json_request("b")]))
    return folder


def touch(captured: Path) -> None:
    """Other modification times."""
    for number, path in enumerate(sorted(captured.iterdir())):
        os.utime(path, ns=(0, 3_600_000_000_000 * number))


def copy(captured: Path) -> None:
    """Other files, as a checkout or a copy makes them, under other names, in other folders."""
    shutil.copytree(captured, captured / "deeper" / "logs")
    for path in captured.iterdir():
        if path.is_file():
            path.unlink()


def rename(captured: Path) -> None:
    """Another order."""
    for path in list(captured.iterdir()):
        path.rename(path.with_name(f"{9 - len(path.name) % 10}-{path.name}"))


def join(captured: Path) -> None:
    """Other files with the same requests, compressed otherwise."""
    pieces = [(captured / f"logs-{number}.pb").read_bytes() for number in (3, 1, 0, 2)]
    for number in range(4):
        (captured / f"logs-{number}.pb").unlink()
    (captured / "logs-all.pb").write_bytes(zstd(b"".join(pieces)))


def nothing(_captured: Path) -> None:
    """The same."""


@pytest.mark.parametrize("change", [nothing, touch, copy, rename, join])
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--compression", "snappy"),
        ("--threads", "1"),
        ("--layout", "hour"),
        ("--received-at", "7"),
        ("--max-payload-bytes", "1000000"),
    ],
    ids=lambda options: "".join(options[:1]),
)
def test_the_same_inputs_add_nothing(
    tmp_path: Path, captured: Path, change: Callable[[Path], None], options: tuple[str, ...]
) -> None:
    """However they are called, copied, ordered and touched, and with whatever options."""
    first = run("convert", captured, "-o", tmp_path / "out")
    before = content(tmp_path / "out")
    assert f"{len(tables(tmp_path / 'out'))} files written" in first.stdout
    change(captured)
    result = run("convert", captured, "-o", tmp_path / "out", *options)
    assert result.exit_code == 0, result.output
    assert content(tmp_path / "out") == before
    assert "0 rows from 0 new requests" in result.stdout
    assert re.search(
        r"^23 requests were converted before: nothing of them", result.stdout, re.MULTILINE
    )


def test_the_first_time_stands(tmp_path: Path) -> None:
    """Records without a time keep what stood in for it, also beside ones that are dated."""
    captured = tmp_path / "logs.pb"
    captured.write_bytes(stream(GOOD, undated_request(2)))
    os.utime(captured, ns=(0, START))
    run("convert", captured, "-o", tmp_path / "out")
    before = rows(tmp_path / "out")
    os.utime(captured, ns=(0, START + 10**15))
    run("convert", captured, "-o", tmp_path / "out")
    run("convert", captured, "-o", tmp_path / "out", "--received-at", "5")
    assert rows(tmp_path / "out") == before
    assert len(before) == 6


def test_what_is_new_is_added(tmp_path: Path) -> None:
    """A file more in the folder, requests appended to a capture: those and no others."""
    (tmp_path / "in").mkdir()
    first = tmp_path / "in" / "logs-1.pb"
    first.write_bytes(stream(logs_request(2), logs_request(2, first=2)))
    run("convert", tmp_path / "in", "-o", tmp_path / "out")
    before = tables(tmp_path / "out")
    with first.open("ab") as file:
        file.write(stream(logs_request(2, first=4)))
    (tmp_path / "in" / "logs-0.pb").write_bytes(logs_request(2, first=6))
    result = run("convert", tmp_path / "in", "-o", tmp_path / "out")
    assert "4 rows from 2 new requests" in result.stdout
    assert "2 requests were converted before" in result.stdout
    assert sorted(row["Timestamp"].second for row in rows(tmp_path / "out")) == list(range(8))
    assert before.items() <= tables(tmp_path / "out").items()


def test_equal_requests_are_counted(tmp_path: Path) -> None:
    """The k-th of equal requests is one of its own: three are three, and the fourth is new."""
    captured = tmp_path / "logs.pb"
    for count, new in ((3, 3), (3, 0), (4, 1), (2, 0), (4, 0), (300, 296), (300, 0)):
        captured.write_bytes(stream(*[GOOD] * count))
        result = run("convert", captured, "-o", tmp_path / "out")
        assert f"{4 * new:,} rows from {new} new requests" in result.stdout
    assert len(rows(tmp_path / "out")) == 1200


def test_the_signal_belongs_to_a_request(tmp_path: Path) -> None:
    """The same bytes as another signal are another request; so are both signals of a document."""
    captured = tmp_path / "capture.pb"
    captured.write_bytes(undated_request(3))
    for signal, there in (("logs", 3), ("traces", 6), ("logs", 6)):
        run("convert", captured, "-o", tmp_path / "out", "--signal", signal)
        assert count_rows(tmp_path / "out") == there
    both = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"s"}]}]}],' + json_request("a")[1:]
    (tmp_path / "both.json").write_bytes(both)
    arguments = ("convert", tmp_path / "both.json", "-o", tmp_path / "out")
    assert run(*arguments, "--signal", "logs").exit_code == 1
    assert count_rows(tmp_path / "out") == 7
    assert run(*arguments).exit_code == 0
    assert count_rows(tmp_path / "out") == 8


def test_what_was_left_out_is_told_again(tmp_path: Path) -> None:
    """What is wrong with the inputs is told whenever they are given, and rows come once."""
    captured = tmp_path / "logs.pb"
    warned = GOOD.replace(b"order 1", b"ord\xffr 1")
    captured.write_bytes(stream(deep_request(), b"\x0a\xff\x01", warned, logs_request(2)))
    told = []
    for _ in range(3):
        result = run("convert", captured, "-o", tmp_path / "out")
        assert result.exit_code == 1
        assert "1 records rejected" in result.stdout
        told.append(sorted(result.stderr.splitlines()))
    assert len(told[0]) == 3
    assert told[0] == told[1] == told[2]
    assert len(rows(tmp_path / "out")) == 7


def test_again_converts_everything(tmp_path: Path, captured: Path) -> None:
    """With --again all rows are added once more; afterwards the same inputs add nothing."""
    run("convert", captured, "-o", tmp_path / "out")
    before = count_rows(tmp_path / "out")
    (captured / "logs-new.pb").write_bytes(logs_request(1, "new"))
    result = run("convert", captured, "-o", tmp_path / "out", "--again")
    assert "were converted before" not in result.stdout
    assert count_rows(tmp_path / "out") == 2 * before + 1
    run("convert", captured, "-o", tmp_path / "out")
    assert count_rows(tmp_path / "out") == 2 * before + 1
    run("convert", captured, "-o", tmp_path / "out", "--again")
    assert count_rows(tmp_path / "out") == 3 * before + 2


def test_files_that_were_removed_are_not_missed(tmp_path: Path, captured: Path) -> None:
    """Files may have been compacted or moved away; --again brings them back, and it is said so."""
    run("convert", captured, "-o", tmp_path / "out")
    before = bodies(tmp_path / "out")
    for name in tables(tmp_path / "out"):
        (tmp_path / "out" / name).unlink()
    result = run("convert", captured, "-o", tmp_path / "out")
    assert "(--again converts them once more)" in result.stdout
    assert tables(tmp_path / "out") == {}
    run("convert", captured, "-o", tmp_path / "out", "--again")
    assert bodies(tmp_path / "out") == before


def test_without_the_journal_files_are_found(tmp_path: Path, captured: Path) -> None:
    """Ids derive from the requests: the same command finds its files also if it was forgotten."""
    run("convert", captured, "-o", tmp_path / "out")
    before = tables(tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / ".otlp2parquet")
    result = run("convert", captured, "-o", tmp_path / "out")
    assert f"0 files written (0.0 MB), {len(before)} already there" in result.stdout
    assert tables(tmp_path / "out") == before


def test_names_are_uuids(tmp_path: Path, captured: Path) -> None:
    """A converted file is named like the server's: by a UUID, of version 8 (our own)."""
    run("convert", captured, "-o", tmp_path / "out")
    pattern = r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    for name in tables(tmp_path / "out"):
        assert re.fullmatch(pattern, Path(name).stem)


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_number_of_threads_does_not_matter(tmp_path: Path, captured: Path, threads: int) -> None:
    """One core or many, small chunks or not: the same files with the same bytes."""
    reports: list[list[Any]] = []
    small = ConvertOptions(received_at=START, chunk_bytes=5000)
    files = find_inputs([captured]).files
    for output, workers in (("one", 1), ("many", threads)):
        told: list[ChunkReport] = []
        convert_into(tmp_path / output, files, small, threads=workers, on_chunk=told.append)
        reports.append([(report.rows, report.requests) for report in told])
    assert len(reports[0]) > 5
    assert reports[0] == reports[1]
    assert tables(tmp_path / "one") == tables(tmp_path / "many")


def test_no_row_is_lost_where_names_meet(tmp_path: Path) -> None:
    """Services whose rows share a path, or that some file systems confuse, are all there."""
    services = ["unknown-service", "", "Foo", "foo", "con", "a.", "a"]
    requests = [logs_request(1, service, first=place) for place, service in enumerate(services)]
    (tmp_path / "logs.pb").write_bytes(stream(undated_request(1), *requests))
    for layout in ("service", "hour", "classic"):
        output = tmp_path / layout
        arguments = ("convert", tmp_path / "logs.pb", "-o", output, "--layout", layout)
        assert run(*arguments, "--received-at", str(START)).exit_code == 0
        found = sorted(row["ServiceName"] or "" for row in rows(output))
        assert found == sorted(["", *services])
        names = [name.lower() for name in tables(output)]
        assert len(set(names)) == len(names)
    assert len(tables(tmp_path / "hour")) == 1
    assert next(iter(tables(tmp_path / "hour"))).startswith("logs/date=2026-07-01/hour=9/")


@pytest.mark.parametrize("replacement", [b"", b"other rows"])
def test_a_file_that_does_not_match(tmp_path: Path, replacement: bytes) -> None:
    """A file under our name with other content is named and left alone; gone, it is completed."""
    (tmp_path / "logs.pb").write_bytes(stream(GOOD, logs_request(3, "other")))
    output = tmp_path / "out"
    arguments = ("convert", tmp_path / "logs.pb", "-o", output)
    run(*arguments)
    place = next((output / "logs" / "service=checkout").rglob("*.parquet"))
    shutil.rmtree(output / ".otlp2parquet")
    if replacement:
        batch_id = pq.read_metadata(place).metadata[b"otlp2parquet.batch_id"]
        table = pq.ParquetFile(place).read()
        with pq.ParquetWriter(place, table.schema) as writer:
            writer.write_table(table.slice(1))
            notes = {"otlp2parquet.batch_id": batch_id.decode(), "otlp2parquet.part": "0"}
            writer.add_key_value_metadata(notes)
    else:
        place.write_bytes(b"")
    before = tables(output)
    next((output / "logs" / "service=other").rglob("*.parquet")).unlink()
    for written in (1, 0):
        result = run(*arguments)
        assert result.exit_code == 1
        assert f"{place.relative_to(output)} already exists and" in result.stderr
        assert f"{written} files written" in result.stdout
        assert tables(output) == before
    place.unlink()
    assert run(*arguments).exit_code == 0
    assert len(rows(output)) == 7


def test_bounds_split_a_chunk(tmp_path: Path) -> None:
    """Past the bound on rows or groups a batch ends and the next begins: files, not memory."""
    (tmp_path / "logs.pb").write_bytes(
        stream(*[logs_request(10, f"s{n % 5}", first=10 * n) for n in range(20)])
    )
    files = find_inputs([tmp_path / "logs.pb"]).files
    for output, options in {
        "whole": ConvertOptions(),
        "rows": ConvertOptions(max_rows=50),
        "groups": ConvertOptions(max_groups=4),
    }.items():
        told: list[ChunkReport] = []
        total = convert_into(tmp_path / output, files, options, on_chunk=told.append)
        assert sum(report.requests > 0 for report in told) == 1
        assert total.files_written == {"whole": 5, "rows": 20, "groups": 20}[output]
        assert len(rows(tmp_path / output)) == 200
        again = convert_into(tmp_path / output, files, options)
        assert (again.files_written, again.converted_before) == (0, 20)
    assert bodies(tmp_path / "rows") == bodies(tmp_path / "whole")


def test_tiny_requests_are_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk ends after a number of requests too, and after nothing but bad ones."""
    monkeypatch.setattr(selection, "CHUNK_ITEMS", 10)
    (tmp_path / "logs.pb").write_bytes(stream(*[b""] * 25))
    told: list[ChunkReport] = []
    convert_into(tmp_path, find_inputs([tmp_path / "logs.pb"]).files, on_chunk=told.append)
    assert [report.requests for report in told if report.requests] == [10, 10, 5]


def test_progress_also_where_nothing_is_new(
    tmp_path: Path, captured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is passed over is reported as it is read, and in the end all bytes are."""
    monkeypatch.setattr(selection, "_TOLD_EVERY", 2000)
    files = find_inputs([captured]).files
    size = sum(file.size for file in files)
    told: list[ChunkReport] = []
    for _ in range(2):
        told.clear()
        total = convert_into(tmp_path / "out", files, on_chunk=told.append)
        assert total.read_bytes == size
    assert sum(report.converted_before > 0 for report in told) > 1


def test_a_second_conversion_waits_or_goes(tmp_path: Path) -> None:
    """Two runs at once into one output: the second is refused and says who is at work."""
    (tmp_path / "logs.pb").write_bytes(GOOD)
    with open_journal(tmp_path / "out"):
        result = run("convert", tmp_path / "logs.pb", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert re.fullmatch(
        rf"error: another conversion into {tmp_path / 'out'} is running \(process {os.getpid()} "
        r"on \S+\): wait until it has ended, or convert into another folder\n",
        result.stderr,
    )
    assert run("convert", tmp_path / "logs.pb", "-o", tmp_path / "out").exit_code == 0
    assert len(rows(tmp_path / "out")) == 4


def test_readers_see_no_journal(tmp_path: Path) -> None:
    """What is kept beside the tables lies in one folder whose name begins with a dot."""
    (tmp_path / "logs.pb").write_bytes(GOOD)
    run("convert", tmp_path / "logs.pb", "-o", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".otlp2parquet", "logs"]
    kept = [*(tmp_path / "out" / ".otlp2parquet" / "converted").iterdir()]
    assert [path.suffix for path in kept] == [".keys"]


def test_an_output_within_the_inputs(tmp_path: Path) -> None:
    """What is kept beside the tables is never taken for an input."""
    (tmp_path / "logs.pb").write_bytes(GOOD)
    for _ in range(2):
        assert run("convert", tmp_path, "-o", tmp_path).exit_code == 0
    assert len(rows(tmp_path)) == 4


@pytest.mark.parametrize("name", ["x.plan", "x.keys"])
def test_a_damaged_journal_is_told(tmp_path: Path, name: str) -> None:
    """A file that this program has not written, or that was damaged, ends it with a message."""
    (tmp_path / "logs.pb").write_bytes(GOOD)
    folder = tmp_path / "out" / ".otlp2parquet" / "converted"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(b"\x00 damaged")
    result = run("convert", tmp_path / "logs.pb", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {folder / name} ")
    assert "count as new" in result.stderr
