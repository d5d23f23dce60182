"""Captures as files hold them, ``convert`` run in this process, and the rows it made."""

from __future__ import annotations

import json
import struct
from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from click.testing import CliRunner, Result
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otlp2parquet.cli import main
from otlp2parquet.convert import ConvertOptions, convert_files, open_journal
from otlp2parquet.writers import ParquetWriter
from tests.support.requests import START

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from otlp2parquet.captures import InputFile
    from otlp2parquet.convert import ChunkReport
    from otlp2parquet.writers import OtlpWriter


def json_request(*texts: str) -> bytes:
    """A log record per text."""
    records = [{"timeUnixNano": str(START), "body": {"stringValue": text}} for text in texts]
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).encode()


def stream(*requests: bytes) -> bytes:
    """What the Collector's file exporter writes: each request after its length."""
    return b"".join(struct.pack(">I", len(request)) + request for request in requests)


def zstd(data: bytes) -> bytes:
    """One zstd frame."""
    packed: bytes = pa.Codec("zstd").compress(data, asbytes=True)
    return packed


def undated_request(count: int) -> bytes:
    """Log records that say nothing but their body."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for number in range(count):
        records.add().body.string_value = f"undated {number}"
    return bytes(request.SerializeToString())


def deep_request() -> bytes:
    """One record that can be stored, and one whose body is nested too deeply."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    records.add(time_unix_nano=START).body.string_value = "fine"
    value = records.add(time_unix_nano=START).body
    for _ in range(65):
        value = value.array_value.values.add()
    return bytes(request.SerializeToString())


def run(*arguments: str | Path) -> Result:
    """``otlp2parquet`` with these arguments, in this process."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def convert_into(
    output: Path,
    files: Sequence[InputFile],
    options: ConvertOptions | None = None,
    *,
    writer: OtlpWriter | None = None,
    again: bool = False,
    threads: int = 1,
    on_chunk: Callable[[ChunkReport], None] = lambda _: None,
) -> ChunkReport:
    """``convert_files`` into a folder, with the journal that lies there."""
    writer, options = writer or ParquetWriter(output), options or ConvertOptions()
    with open_journal(output, again=again) as journal:
        return convert_files(files, writer, journal, options, threads=threads, on_chunk=on_chunk)


def rows(output: Path, table: str = "logs") -> list[dict[str, Any]]:
    """All rows of a table, in the order of their files' names and then of the file."""
    return [
        row
        for path in sorted((output / table).rglob("*.parquet"))
        for row in pq.ParquetFile(path).read().to_pylist()
    ]


def count_rows(output: Path) -> int:
    """The rows of all files, by their footers: quick for many files."""
    return sum(pq.read_metadata(path).num_rows for path in output.rglob("*.parquet"))


def bodies(output: Path) -> Counter[str]:
    """How often each log body is there."""
    return Counter(row["Body"] for row in rows(output))


def content(output: Path) -> dict[str, bytes]:
    """Every file below the folder, hidden ones too, with its bytes."""
    return {
        str(path.relative_to(output)): path.read_bytes()
        for path in output.rglob("*")
        if path.is_file()
    }


def tables(output: Path) -> dict[str, bytes]:
    """Every file of the tables, without what is kept beside them."""
    return {name: data for name, data in content(output).items() if not name.startswith(".")}
