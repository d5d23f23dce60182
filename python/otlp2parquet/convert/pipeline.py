"""Chunks decoded and written on all cores, reported in the order of the input.

One thread reads and packs; each chunk is decoded and written by one worker (the decoder, the
Parquet writer and the file system all work without the GIL). At most one chunk more than
there are workers is in memory. Knows the writer protocol only, and no terminal.
"""

import os
import re
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from otlp2parquet.batches.identity import ContentHash, content_batch_id
from otlp2parquet.convert.chunks import CHUNK_BYTES, Chunk, read_chunks
from otlp2parquet.convert.frames import Frame
from otlp2parquet.convert.inputs import InputFile
from otlp2parquet.convert.problems import Problem
from otlp2parquet.core import SIGNALS, Batch, BatchBuilder, Signal, recognize_json
from otlp2parquet.core.files import PlannedFile, plan_files
from otlp2parquet.core.schema import SCHEMA_VERSION
from otlp2parquet.errors import DecodeError, NameTakenError, TooLargeError
from otlp2parquet.writers import OtlpWriter, ParquetSettings

_EMPTY_OBJECT: Final = re.compile(rb"[ \t\r\n]*\{[ \t\r\n]*\}[ \t\r\n]*")
_MAX_BYTES: Final = 256 << 20  # of Arrow data; an ordinary chunk stays well below


@dataclass(frozen=True, slots=True)
class ConvertOptions:
    """What decides over the output, besides the input.

    ``received_at`` (ns) stands in for times that OTLP does not give; ``None``: each file's
    modification time. ``settings`` are those of the writer: they are part of a batch's
    identity. The last three close a batch, or a chunk, early.
    """

    received_at: int | None = None
    max_payload_bytes: int = 64 << 20
    settings: ParquetSettings = field(default_factory=ParquetSettings)
    chunk_bytes: int = CHUNK_BYTES
    max_rows: int = 1_000_000
    max_groups: int = 10_000


@dataclass(slots=True)
class ChunkReport:
    """What became of one chunk; reports add up."""

    rows: Counter[str] = field(default_factory=Counter)
    """Rows by table."""
    rejected: int = 0
    requests: int = 0
    files_written: int = 0
    files_there: int = 0
    bytes_written: int = 0
    payload_bytes: int = 0
    read_bytes: int = 0
    problems: list[Problem] = field(default_factory=list)

    def add(self, other: "ChunkReport") -> None:
        """Add the figures of ``other``; its problems have been told and are not kept."""
        self.rows.update(other.rows)
        self.rejected += other.rejected
        self.requests += other.requests
        self.files_written += other.files_written
        self.files_there += other.files_there
        self.bytes_written += other.bytes_written
        self.payload_bytes += other.payload_bytes
        self.read_bytes += other.read_bytes


class _StoppedError(Exception):
    """Another chunk failed, or the user wants no more."""


def convert_files(
    files: Sequence[InputFile],
    writer: OtlpWriter,
    options: ConvertOptions,
    *,
    threads: int | None = None,
    on_chunk: Callable[[ChunkReport], None],
) -> ChunkReport:
    """Convert ``files`` in order; the sum of all reports, without their problems.

    ``on_chunk`` is called in the caller's thread, in the order of the input. ``threads`` is
    the number of workers, all cores by default. Problems of single requests and files are
    reported and the rest is converted; a ``StorageError`` other than a name that is taken
    ends everything. Also on ``KeyboardInterrupt``: each worker first completes or removes the
    file that it is writing.
    """
    workers = threads or _cores()
    total = ChunkReport()
    stop = threading.Event()
    places = threading.Semaphore(workers + 1)
    waiting: deque[Future[ChunkReport]] = deque()
    failures: list[Exception] = []

    def work(chunk: Chunk) -> ChunkReport:
        try:
            return _convert_chunk(chunk, writer, options, stop)
        except Exception as error:
            if not stop.is_set():
                failures.append(error)
                stop.set()
            raise
        finally:
            chunk.items.clear()
            places.release()

    def tell(report: ChunkReport) -> None:
        on_chunk(report)
        total.add(report)

    chunks = read_chunks(
        files,
        ContentHash(_identity(options)),
        max_payload_bytes=options.max_payload_bytes,
        chunk_bytes=options.chunk_bytes,
    )
    with ThreadPoolExecutor(workers, thread_name_prefix="convert") as pool:
        try:
            while not stop.is_set():
                places.acquire()
                chunk = next(chunks, None)
                if chunk is None:
                    break
                waiting.append(pool.submit(work, chunk))
                del chunk
                while waiting and waiting[0].done():
                    tell(waiting.popleft().result())
            while waiting:
                tell(waiting.popleft().result())
        except _StoppedError:
            # It stopped because of a chunk further on, whose failure is the one to tell.
            raise failures[0] from None
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
    return total


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _identity(options: ConvertOptions) -> dict[str, object]:
    """The options that change what is in a file, or which rows it holds."""
    return {
        "schema_version": SCHEMA_VERSION,
        "compression": options.settings.compression,
        "level": options.settings.effective_level,
        "row_group_rows": options.settings.row_group_rows,
        "chunk_bytes": options.chunk_bytes,
        "max_rows": options.max_rows,
        "max_groups": options.max_groups,
    }


def _convert_chunk(
    chunk: Chunk, writer: OtlpWriter, options: ConvertOptions, stop: threading.Event
) -> ChunkReport:
    report = ChunkReport(payload_bytes=chunk.payload_bytes, read_bytes=chunk.read_bytes)
    builder = BatchBuilder(max_payload_bytes=options.max_payload_bytes)
    undated: list[tuple[int, int]] = []
    part = 0

    def store() -> None:
        nonlocal part
        batch_id = content_batch_id(chunk.content, part, undated)
        batches = builder.finish(dictionaries=True)
        for file in plan_files(batches):
            if stop.is_set():
                raise _StoppedError
            _store(file, batches, batch_id, writer, report)
        part += 1
        undated.clear()

    for place, item in enumerate(chunk.items):
        if stop.is_set():
            raise _StoppedError
        if isinstance(item, Problem):
            report.problems.append(item)
        elif item is not None:
            chunk.items[place] = None  # its bytes are needed no longer than the append
            received_at = item.file.mtime_ns if options.received_at is None else options.received_at
            if _append(builder, item, received_at, report):
                undated.append((place, received_at))
            if (
                builder.num_rows >= options.max_rows
                or builder.num_groups >= options.max_groups
                or builder.num_bytes >= _MAX_BYTES
            ):
                store()
    store()
    return report


def _append(builder: BatchBuilder, frame: Frame, received_at: int, report: ChunkReport) -> bool:
    """Append one request; whether rows of it took ``received_at`` as their Timestamp."""
    report.requests += 1
    undated = False
    for signal in _signals(frame, report):
        undated |= _append_signal(builder, frame, signal, received_at, report)
    return undated


def _signals(frame: Frame, report: ChunkReport) -> list[Signal]:
    """Whose records a request holds: as it says itself, where it does."""
    told = frame.file.signal
    if frame.file.format == "protobuf":
        return [told] if told is not None else []
    end, found = recognize_json(frame.payload)
    if end != "whole":
        # The decode says what is wrong; for that any signal will do.
        return (found or [told or "logs"])[:1]
    expected = [told] if told is not None else list(SIGNALS)
    taken = [signal for signal in found if signal in expected]
    if len(taken) < len(found) or (not found and not _EMPTY_OBJECT.fullmatch(frame.payload)):
        what = ", ".join(signal for signal in found if signal not in expected) or "no signal"
        reason = f"found {what} in the request here, expected {' or '.join(expected)}"
        report.problems.append(Problem(str(frame.file.path), frame.offset, reason))
    return taken


def _append_signal(
    builder: BatchBuilder, frame: Frame, signal: Signal, received_at: int, report: ChunkReport
) -> bool:
    path = str(frame.file.path)
    content_type = (
        "application/x-protobuf" if frame.file.format == "protobuf" else "application/json"
    )
    try:
        appended = builder.append(
            frame.payload, signal, content_type=content_type, received_at=received_at
        )
    except DecodeError as error:
        # The decoder counts from the request, people look into the file.
        offset = frame.offset + (error.offset or 0)
        reason = f"request that begins at byte {frame.offset} left out: {error}"
        report.problems.append(Problem(path, offset, reason))
        return False
    except TooLargeError as error:
        report.problems.append(Problem(path, frame.offset, f"request left out: {error}"))
        return False
    report.rejected += appended.rejected
    if appended.message:
        report.problems.append(
            Problem(path, frame.offset, appended.message, left_out=appended.rejected > 0)
        )
    return appended.undated > 0


def _store(
    file: PlannedFile,
    batches: Sequence[Batch],
    batch_id: str,
    writer: OtlpWriter,
    report: ChunkReport,
) -> None:
    """Write one file, or find that an earlier run of the same command has done so."""
    by_service = {batch.service: batch for batch in batches if file.has(batch)}
    rows = [by_service[service] for service in file.services]
    try:
        stored = writer.store(file, rows, batch_id, existing="same")
    except NameTakenError as error:
        report.problems.append(Problem(error.path, None, f"{error}; left as it is"))
        return
    if stored.was_there:
        report.files_there += 1
    else:
        report.files_written += 1
        report.bytes_written += stored.bytes
    report.rows[file.table] += file.rows
