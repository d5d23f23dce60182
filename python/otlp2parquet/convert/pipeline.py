"""Chunks decoded and written on all cores, reported in the order of the input.

One thread reads and packs; each chunk is decoded and written by one worker (the decoder, the
Parquet writer and the file system all work without the GIL). At most one chunk more than
there are workers is in memory. Knows the writer's protocol and the journal, and no terminal.
"""

import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from otlp2parquet.captures import InputFile, Problem, Request
from otlp2parquet.convert.journal import ConversionPlan, Journal
from otlp2parquet.convert.naming import MARK, Name, batch_id_of
from otlp2parquet.convert.selection import CHUNK_BYTES, Chunk, read_chunks
from otlp2parquet.core import Batch, BatchBuilder
from otlp2parquet.core.files import PlannedFile, group_key, plan_files
from otlp2parquet.core.layout import DEFAULT_LAYOUT, Layout
from otlp2parquet.errors import DecodeError, NameTakenError, TooLargeError
from otlp2parquet.writers import OtlpWriter

_MAX_BYTES: Final = 256 << 20  # of Arrow data; an ordinary chunk stays well below


@dataclass(frozen=True, slots=True)
class ConvertOptions:
    """What decides over the output, besides the input and the writer.

    ``received_at`` (ns) stands in for times that OTLP does not give; ``None``: each file's
    modification time. The last three close a batch, or a chunk, early.
    """

    received_at: int | None = None
    max_payload_bytes: int = 64 << 20
    layout: Layout = DEFAULT_LAYOUT
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
    converted_before: int = 0
    """Requests of which nothing was added, because an earlier conversion has done so."""
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
        self.converted_before += other.converted_before
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
    journal: Journal,
    options: ConvertOptions,
    *,
    threads: int | None = None,
    on_chunk: Callable[[ChunkReport], None],
) -> ChunkReport:
    """Convert what is new in ``files``, in order; the sum of all reports, without their problems.

    ``journal`` is that of the storage to which ``writer`` writes. ``on_chunk`` is called in the
    caller's thread, in the order of the input. ``threads`` is the number of workers, all cores by
    default. Problems of single requests and files are reported and the rest is converted; a
    ``StorageError`` other than a name that is taken ends everything. Also on
    ``KeyboardInterrupt``: each worker first completes or removes the file that it is writing.
    """
    workers = threads or _cores()
    total = ChunkReport()
    stop = threading.Event()
    places = threading.Semaphore(workers + 1)
    waiting: deque[Future[ChunkReport]] = deque()
    failures: list[Exception] = []

    def work(chunk: Chunk) -> ChunkReport:
        try:
            return _Storing(chunk, writer, journal, options, stop).run()
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
        journal,
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
    journal.end()
    return total


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Conversion:
    """One chunk on its way to batches. ``report`` says what was found in it."""

    def __init__(
        self, chunk: Chunk, options: ConvertOptions, stop: threading.Event | None = None
    ) -> None:
        self._chunk = chunk
        self._options = options
        self._stop = stop or threading.Event()
        self.report = ChunkReport(
            converted_before=chunk.converted_before,
            payload_bytes=chunk.payload_bytes,
            read_bytes=chunk.read_bytes,
        )
        self._builder = BatchBuilder(max_payload_bytes=options.max_payload_bytes)
        self._names: list[Name] = []
        self._also: list[Name] = []
        self._undated: dict[int, int] = {}

    def decoded(self) -> Iterator[list[Batch]]:
        """The rows of the chunk, where they are full and at its end."""
        chunk, builder, options = self._chunk, self._builder, self._options
        for place, (item, name) in enumerate(zip(chunk.items, chunk.names, strict=True)):
            if self._stop.is_set():
                raise _StoppedError
            chunk.items[place] = None  # its bytes are needed no longer than the append
            if isinstance(item, Problem):
                self.report.problems.append(item)
            elif item is not None and name is None:
                self._tell(item)
            elif item is not None and name is not None:
                self._append(place, item, name)
                if chunk.plan is None and (
                    builder.num_rows >= options.max_rows
                    or builder.num_groups >= options.max_groups
                    or builder.num_bytes >= _MAX_BYTES
                ):
                    yield builder.finish(dictionaries=True)
        yield builder.finish(dictionaries=True)

    def _append(self, place: int, request: Request, name: Name) -> None:
        """Append one request to the batch; one without a row has no part in it."""
        self.report.requests += 1
        received_at = self._received_at(request)
        if self._chunk.plan is not None:
            received_at = self._chunk.plan.undated.get(place, received_at)
        accepted, undated, told = self._decode(self._builder, request, received_at)
        if not accepted:
            return
        if undated:
            self._undated[len(self._names)] = received_at
        # What was told of a request is told again when it comes again.
        self._names.append((name[0], name[1] | MARK) if told else name)
        if self._chunk.also and (also := self._chunk.also[place]) is not None:
            self._also.append((also[0], also[1] | MARK) if told else also)

    def _received_at(self, request: Request) -> int:
        given = self._options.received_at
        return request.file.mtime_ns if given is None else given

    def _tell(self, request: Request) -> None:
        """Say again what is wrong with a request whose rows are there."""
        scratch = BatchBuilder(max_payload_bytes=self._options.max_payload_bytes)
        self._decode(scratch, request, self._received_at(request))

    def _decode(
        self, builder: BatchBuilder, request: Request, received_at: int
    ) -> tuple[int, int, bool]:
        """Append a request to ``builder``: its rows, those without a time, and what is told."""
        report, path = self.report, str(request.file.path)
        try:
            appended = builder.append(
                request.payload,
                request.signal,
                content_type=request.content_type,
                received_at=received_at,
            )
        except DecodeError as error:
            # The decoder counts from the request, people look into the file.
            offset = request.offset + (error.offset or 0)
            reason = f"request that begins at byte {request.offset} left out: {error}"
            report.problems.append(Problem(path, offset, reason))
            return 0, 0, True
        except TooLargeError as error:
            reason = f"request left out: {error}"
            report.problems.append(Problem(path, request.offset, reason))
            return 0, 0, True
        report.rejected += appended.rejected
        if appended.message:
            # A request that holds something and gives nothing is left out, whatever the reason.
            left_out = appended.rejected > 0 or not appended.accepted
            report.problems.append(
                Problem(path, request.offset, appended.message, left_out=left_out)
            )
        return appended.accepted, appended.undated, bool(appended.message)


class _Storing(Conversion):
    """One chunk on its way: decoded, planned, stored, done."""

    def __init__(
        self,
        chunk: Chunk,
        writer: OtlpWriter,
        journal: Journal,
        options: ConvertOptions,
        stop: threading.Event,
    ) -> None:
        super().__init__(chunk, options, stop)
        self._writer = writer
        self._journal = journal

    def run(self) -> ChunkReport:
        """Do all of it."""
        plan = self._chunk.plan
        for batches in self.decoded():
            if plan is None:
                self._store_new(batches)
            else:
                self._complete(plan, batches)
            del batches  # stored: the next ones need the room
        return self.report

    def _store_new(self, batches: Sequence[Batch]) -> None:
        """Plan the batch that has been built, store its files, and note that it is done."""
        names, also, undated = self._names, self._also, self._undated
        self._names, self._also, self._undated = [], [], {}
        if not batches:
            return
        files = tuple(plan_files(batches, self._options.layout))
        plan = ConversionPlan(batch_id_of(names), files, names, also, undated, self._journal.again)
        self._journal.begin(plan)
        self._store(plan, files, batches)

    def _complete(self, plan: ConversionPlan, batches: Sequence[Batch]) -> None:
        """Write what is missing of a batch that was begun, and find the rest."""
        # Another version's decoder may have found other groups: nothing of them is lost.
        planned = {key for file in plan.files for key in file.groups}
        unplanned = [batch for batch in batches if group_key(batch) not in planned]
        more = plan_files(unplanned, self._options.layout, planned=plan.files)
        self._store(plan, (*plan.files, *more), batches)

    def _store(
        self, plan: ConversionPlan, files: Iterable[PlannedFile], batches: Sequence[Batch]
    ) -> None:
        by_group = {group_key(batch): batch for batch in batches}
        is_whole = True
        for file in files:
            if self._stop.is_set():
                raise _StoppedError
            rows = [by_group[key] for key in file.groups if key in by_group]
            if rows:
                is_whole &= self._store_file(plan, file, rows)
        if is_whole:
            self._journal.finish(plan)

    def _store_file(self, plan: ConversionPlan, file: PlannedFile, rows: Sequence[Batch]) -> bool:
        """Write one file, or find that an earlier run has done so."""
        report = self.report
        try:
            stored = self._writer.store(file, rows, plan.batch_id, existing="same")
        except NameTakenError as error:
            reason = f"{error}; left as it is: once it is gone, the same inputs again complete it"
            report.problems.append(Problem(error.path, None, reason))
            return False
        if stored.was_there:
            report.files_there += 1
        else:
            report.files_written += 1
            report.bytes_written += stored.bytes
        report.rows[file.table] += stored.rows
        return True
