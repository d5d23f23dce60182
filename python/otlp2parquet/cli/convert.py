"""``otlp2parquet convert``: options in, problems and a summary out.

Knows the terminal. The work is in ``otlp2parquet.convert``.
"""

import re
import signal as os_signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import Final, get_args

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from otlp2parquet.captures import Inputs, Problem, find_inputs
from otlp2parquet.cli import CONTEXT_SETTINGS
from otlp2parquet.cli.options import size
from otlp2parquet.convert import ChunkReport, ConvertOptions, convert_files, open_journal
from otlp2parquet.core.decoder import MAX_PAYLOAD_BYTES
from otlp2parquet.core.layout import DEFAULT_LAYOUT, LAYOUTS, Layout
from otlp2parquet.core.signals import SIGNALS, Signal
from otlp2parquet.errors import ConfigError, OtlpError
from otlp2parquet.platforms.logs import printable
from otlp2parquet.stores import LocalStore, Store
from otlp2parquet.stores.location import is_url
from otlp2parquet.stores.patient import PatientStore
from otlp2parquet.writers import Compression, ParquetWriter

# RFC 3339, section 5.6; datetime would drop what is finer than a microsecond.
_RFC_3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)"
)


class _Moment(click.ParamType[int]):
    """Nanoseconds since the epoch, as a whole number or as RFC 3339."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        text = str(value)
        nanoseconds = int(text) if re.fullmatch(r"\d{1,20}", text) else self._from_rfc_3339(text)
        if nanoseconds is None or not 0 <= nanoseconds < 1 << 64:
            self.fail(
                f"{text!r} is not a time: expected RFC 3339 such as 2026-01-31T12:00:00Z, or "
                "nanoseconds since 1970 as a whole number",
                param,
                ctx,
            )
        return nanoseconds

    @staticmethod
    def _from_rfc_3339(text: str) -> int | None:
        match = _RFC_3339.fullmatch(text)
        if match is None:
            return None
        day, clock, fraction, zone = match.groups()
        try:
            moment = datetime.fromisoformat(f"{day}T{clock}{zone.upper()}")
        except ValueError:
            return None
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
        seconds = since.days * 86_400 + since.seconds
        return seconds * 1_000_000_000 + int((fraction or "").ljust(9, "0"))


class _Output(click.ParamType[str]):
    """A folder, or the URL of a storage."""

    name = "output"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        text = str(value)
        if not is_url(text):
            click.Path(file_okay=False).convert(text, param, ctx)
        return text


@click.command(context_settings=CONTEXT_SETTINGS)
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=click.Path())
@click.option(
    "-o",
    "--output",
    metavar="FOLDER|URL",
    required=True,
    type=_Output(),
    help="Folder for the Parquet files, made if missing; or a storage's URL, such as "
    "s3://bucket/prefix, whose other settings are those of the server.",
)
@click.option(
    "--signal",
    type=click.Choice(SIGNALS),
    help="The signal of all inputs. [default: what each JSON request says itself, and the one "
    "that each protobuf file's name has as a word]",
)
@click.option(
    "--received-at",
    metavar="TIME",
    type=_Moment(),
    help="Stands in where OTLP gives no time: RFC 3339, or nanoseconds since 1970. "
    "[default: each file's modification time]",
)
@click.option(
    "--layout",
    type=click.Choice(LAYOUTS),
    default=DEFAULT_LAYOUT,
    show_default=True,
    help="Folders of the files: service=…/date=…/hour=…, date=…/hour=… with all services "
    "together, or …/year=…/month=…/day=…/hour=….",
)
@click.option(
    "--compression",
    type=click.Choice(get_args(Compression)),
    default="zstd",
    show_default=True,
    help="Compression inside the Parquet files.",
)
@click.option(
    "--max-payload-bytes",
    metavar="N",
    type=size(MAX_PAYLOAD_BYTES),
    default=64 << 20,
    show_default=True,
    help="Largest request that is taken, decompressed; larger ones are named and left out.",
)
@click.option(
    "--threads",
    metavar="N",
    type=click.IntRange(1, 1024),
    help="Threads that decode and write. The files do not depend on it. [default: all cores]",
)
@click.option(
    "--again",
    is_flag=True,
    help="Convert everything once more, also what has been converted into the output before: its "
    "rows are then there twice, unless you have removed them.",
)
@click.pass_context
def convert(  # noqa: PLR0917 - click passes them by name
    ctx: click.Context,
    inputs: tuple[str, ...],
    output: str,
    signal: Signal | None,
    received_at: int | None,
    layout: Layout,
    compression: Compression,
    max_payload_bytes: int,
    threads: int | None,
    again: bool,  # noqa: FBT001 - as above
) -> None:
    """Convert captured OTLP files to Parquet files.

    INPUT is a file or a folder. What a file holds decides how it is read: export requests in
    protobuf (one a file, or each after its length, as the Collector's file exporter writes them)
    or in JSON (one a line, over many lines, in an array), plain or compressed with gzip or zstd,
    also request by request. Lines may be of different signals. A file that is named itself is
    read whatever it is called; in folders, those ending in .pb, .binpb, .otlp, .protobuf, .json,
    .jsonl or .ndjson are, also with .gz or .zst or the number of a rotation after it.

    Whatever cannot be converted is named on standard error with its file, offset and reason,
    and the rest is converted; the exit code is then 1.

    What has been converted is remembered beside the output, by the content of each request and how
    often it occurs. The same inputs again, also renamed, copied or with other options, add
    nothing; of inputs that grew, what is new is added; and what was cut off is completed. One
    conversion at a time may write to an output.

    The files become part of no catalog's tables, also where one is configured: a server does that
    with what it is sent.
    """
    errors = Console(stderr=True, soft_wrap=True, highlight=False)
    found = find_inputs(inputs, signal)
    failed = _tell(errors, found.problems)
    options = ConvertOptions(received_at, max_payload_bytes, layout)
    started = time.monotonic()
    try:
        with (
            _terminated_like_interrupted(),
            open_journal(_open_output(output), again=again) as journal,
            _progress(errors, found) as progress,
        ):

            def on_chunk(report: ChunkReport) -> None:
                nonlocal failed
                failed |= _tell(errors, report.problems)
                progress.advance(progress.task_ids[0], report.read_bytes)

            writer = ParquetWriter(journal.store, compression=compression)
            total = convert_files(
                found.files, writer, journal, options, threads=threads, on_chunk=on_chunk
            )
    except KeyboardInterrupt:
        errors.print("interrupted: the same command again completes the rest", markup=False)
        ctx.exit(130)
    except OtlpError as error:
        errors.print(f"error: {error}", markup=False)
        ctx.exit(1)
    _summary(found, total, time.monotonic() - started)
    if total.files_written and (catalog := _catalog_kind()):
        errors.print(
            f"note: a catalog of the kind {catalog} is configured, and these files are in none of "
            "its tables: convert writes files, a server commits them. To have the captures in the "
            "tables, send them to a server (POST /v1/logs, /v1/traces, /v1/metrics)",
            markup=False,
        )
    ctx.exit(1 if failed else 0)


def _open_output(output: str) -> Store:
    """The store that an output names; ``ConfigError`` for a URL that leads to none."""
    if not is_url(output):
        return LocalStore(output)
    from otlp2parquet.config import Flags, load  # noqa: PLC0415 - a folder needs no settings
    from otlp2parquet.storage import open_storage  # noqa: PLC0415 - as above

    store = open_storage(load(Flags(output=output)).config.storage)
    # There is no schedule here that would come back to what failed.
    return store if isinstance(store, LocalStore) else PatientStore(store)


def _catalog_kind() -> str:
    """Which kind of catalog is configured; empty if none is, or nothing can be read of it."""
    from otlp2parquet.config import Flags, load  # noqa: PLC0415 - as above

    try:
        kind = load(Flags()).config.catalog_type
    except ConfigError:
        return ""  # what a folder is converted into needs no settings
    return "" if kind == "none" else kind


def _tell(errors: Console, problems: tuple[Problem, ...] | list[Problem]) -> bool:
    """Print each problem on a line; whether something was left out."""
    for problem in problems:
        errors.print(printable(str(problem)), markup=False)
    return any(problem.left_out for problem in problems)


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM ends the work as Ctrl-C does: no half-written file stays."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = os_signal.signal(os_signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        os_signal.signal(os_signal.SIGTERM, before)


@contextmanager
def _progress(errors: Console, found: Inputs) -> Iterator[Progress]:
    progress = Progress(
        TextColumn("converting"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )
    with progress:
        progress.add_task("convert", total=sum(file.size for file in found.files))
        yield progress


def _summary(found: Inputs, total: ChunkReport, seconds: float) -> None:
    output = Console(highlight=False, soft_wrap=True)
    if total.rows:
        table = Table("table", box=None, pad_edge=False)
        table.add_column("rows", justify="right")
        for name, rows in sorted(total.rows.items()):
            table.add_row(name, f"{rows:,}")
        output.print(table)
    rows = total.rows.total()
    seconds = max(seconds, 1e-9)
    written, there = total.bytes_written / 1e6, f"{total.files_there:,}"
    requests, files = f"{total.requests:,} new requests", f"{len(found.files):,} files"
    megabytes = total.payload_bytes / 1e6
    lines = [
        f"{rows:,} rows from {requests} in {files} ({megabytes:,.1f} MB of OTLP)",
        f"{total.files_written:,} files written ({written:,.1f} MB), {there} already there",
        f"{seconds:.2f} s: {megabytes / seconds:,.1f} MB/s, {rows / seconds:,.0f} rows/s",
    ]
    if total.converted_before:
        known = f"{total.converted_before:,} requests were converted before"
        lines.insert(1, f"{known}: nothing of them was added (--again converts them once more)")
    if total.rejected:
        lines.append(f"{total.rejected:,} records rejected")
    if found.passed_over:
        ignored = f"{sum(found.passed_over.values()):,} other files in the folders ignored"
        lines.append(f"{ignored} (a file that is named itself is read whatever it is called)")
    for line in lines:
        output.print(line, markup=False)
    sys.stdout.flush()
