"""``otlp2parquet convert``: options in, problems and a summary out.

Knows the terminal. The work is in ``otlp2parquet.convert``.
"""

import re
import signal as os_signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Final, get_args

import click
from click.core import ParameterSource
from rich.console import Console

from otlp2parquet.captures import Format, Inputs, find_inputs
from otlp2parquet.cli import CONTEXT_SETTINGS
from otlp2parquet.cli.convert_report import Problems, progress_bar, summary
from otlp2parquet.cli.failure import Failure
from otlp2parquet.cli.options import size
from otlp2parquet.convert import (
    ChunkReport,
    ConvertOptions,
    convert_files,
    convert_single,
    open_journal,
)
from otlp2parquet.core.decoder import MAX_PAYLOAD_BYTES
from otlp2parquet.core.layout import DEFAULT_LAYOUT, LAYOUTS, Layout
from otlp2parquet.core.signals import SIGNALS, Signal
from otlp2parquet.errors import ConfigError, OtlpError
from otlp2parquet.stores import LocalStore, Store
from otlp2parquet.stores.location import is_url
from otlp2parquet.stores.patient import PatientStore
from otlp2parquet.writers import Compression, ParquetSettings, ParquetWriter

# RFC 3339, section 5.6; datetime would drop what is finer than a microsecond.
_RFC_3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)"
)


_PARQUET: Final = ".parquet"


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
        if not is_url(text) and not _is_file(text):
            click.Path(file_okay=False).convert(text, param, ctx)
        return text


def _is_file(output: str) -> bool:
    """Whether an output is one Parquet file, by its name, and not a folder that is called so."""
    return output.lower().endswith(_PARQUET) and (is_url(output) or not Path(output).is_dir())


@click.command(context_settings=CONTEXT_SETTINGS)
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=click.Path())
@click.option(
    "-o",
    "--output",
    metavar="FOLDER|URL|FILE.parquet",
    required=True,
    type=_Output(),
    help="Folder for the Parquet files, made if missing; or a storage's URL, such as "
    "s3://bucket/prefix, whose other settings are those of the server; or one file for the one "
    "table of which there are rows.",
)
@click.option(
    "--single",
    is_flag=True,
    help="One file for each table in the folder: logs.parquet, traces.parquet, "
    "metrics_gauge.parquet and so on. Nothing is remembered beside them, and what is there is not "
    "overwritten without --again.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(get_args(Format)),
    help="The form of all inputs: JSON in any arrangement, one request in protobuf, or requests "
    "after their lengths in 4 bytes or as varints. [default: what the first bytes tell]",
)
@click.option(
    "--signal",
    type=click.Choice(SIGNALS),
    help="The signal of all inputs. [default: what each JSON request says itself; of protobuf the "
    "one that the file's name, or its folder's, has as a word, or else the one that fits]",
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
    single: bool,  # noqa: FBT001 - as above
    form: Format | None,
    signal: Signal | None,
    received_at: int | None,
    layout: Layout,
    compression: Compression,
    max_payload_bytes: int,
    threads: int | None,
    again: bool,  # noqa: FBT001 - as above
) -> None:
    """Convert captured OTLP files to Parquet files.

    INPUT is a file, a folder, or - for standard input. What a file holds decides how it is read:
    export requests in protobuf (one a file, or each after its length) or in JSON (one a line, over
    many lines, joined, in an array, in the lines of a container's log), plain or compressed with
    gzip or zstd, also request by request: docs/captures.md lists the forms. Lines may be of
    different signals. A file that is named itself is read whatever it is called; in folders,
    hidden files and those that are no captures are passed over and counted.

    Whatever cannot be converted is named on standard error with its file, offset and reason,
    and the rest is converted; the exit code is then 1, as it is where there is no input at all.

    What has been converted is remembered beside the output, by the content of each request and how
    often it occurs. The same inputs again, also renamed, copied or with other options, add
    nothing; of inputs that grew, what is new is added; and what was cut off is completed. One
    conversion at a time may write to an output. With --single, or a file as output, all inputs are
    converted every time.

    The files become part of no catalog's tables, also where one is configured: a server does that
    with what it is sent.
    """
    errors = Console(stderr=True, soft_wrap=True, highlight=False)
    is_single = single or _is_file(output)
    if is_single and ctx.get_parameter_source("layout") is not ParameterSource.DEFAULT:
        raise click.UsageError("--layout chooses folders, and a file for each table has none")
    found = find_inputs(inputs, signal, form)
    problems = Problems(errors)
    problems.tell(found.problems)
    options = ConvertOptions(received_at, max_payload_bytes, layout)
    started = time.monotonic()
    try:
        with _terminated_like_interrupted(), progress_bar(errors, found) as progress:

            def on_chunk(report: ChunkReport) -> None:
                problems.tell(report.problems)
                progress.advance(progress.task_ids[0], report.read_bytes)

            if is_single:
                place, total = _convert_single(
                    found, output, options, ParquetSettings(compression), again, on_chunk
                )
            else:
                with open_journal(_open_output(output), again=again) as journal:
                    writer = ParquetWriter(journal.store, compression=compression)
                    place = writer.root
                    total = convert_files(
                        found.files, writer, journal, options, threads=threads, on_chunk=on_chunk
                    )
    except KeyboardInterrupt:
        errors.print("interrupted: the same command again completes the rest", markup=False)
        ctx.exit(130)
    except OtlpError as error:
        errors.print(f"error: {Failure(error)}", markup=False)
        ctx.exit(1)
    problems.end()
    if not found.files and not found.problems:
        problems.line(f"found no captures in {', '.join(inputs)}: nothing is converted")
    summary(found, total, time.monotonic() - started, place, problems)
    if total.files_written and (catalog := _catalog_kind()):
        errors.print(
            f"note: a catalog of the kind {catalog} is configured, and these files are in none of "
            "its tables: convert writes files, a server commits them. To have the captures in the "
            "tables, send them to a server (POST /v1/logs, /v1/traces, /v1/metrics)",
            markup=False,
        )
    ctx.exit(1 if problems.left_out or not found.files else 0)


def _convert_single(  # noqa: PLR0917 - the command's own options
    found: Inputs,
    output: str,
    options: ConvertOptions,
    settings: ParquetSettings,
    again: bool,  # noqa: FBT001 - as above
    on_chunk: Callable[[ChunkReport], None],
) -> tuple[str, ChunkReport]:
    """Convert into a file for each table, or into one; where they are, and what became of all."""
    name = None
    if _is_file(output):
        folder, slash, name = output.rpartition("/")
        if not is_url(output):
            name = Path(output).name
            output = str(Path(output).parent)
        else:
            output = folder or slash
    store = _open_output(output)
    total = convert_single(
        found.files, store, options, settings, name=name, replace=again, on_chunk=on_chunk
    )
    return (f"{store.root}/{name}" if name else store.root), total


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
