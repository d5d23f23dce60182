"""Conversions that are killed anywhere and repeated over changing inputs: each request once."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otlp2parquet.captures import find_inputs
from otlp2parquet.convert import ConvertOptions, Journal, convert_files
from otlp2parquet.convert.journal import FOLDER
from otlp2parquet.core.files import FoundFile, is_the_file
from otlp2parquet.core.layout import LAYOUTS, Layout
from otlp2parquet.errors import NameTakenError
from otlp2parquet.writers import StoredFile
from tests.support.conversion import stream
from tests.support.memory_store import KilledError, MemoryStore
from tests.support.requests import START
from tests.support.strategies import FACTOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otlp2parquet.convert import ChunkReport
    from otlp2parquet.core.files import PlannedFile
    from otlp2parquet.writers import ArrowArrayExportable

KINDS = 6


def request(kind: int) -> bytes:
    """A record of each of two services; every other kind has one without a time too."""
    message = ExportLogsServiceRequest()
    for service in ("a", "b"):
        resource = message.resource_logs.add()
        resource.resource.attributes.add(key="service.name").value.string_value = service
        for record in range(1 + kind % 2):
            time = START + 3_600_000_000_000 * kind if not record else 0
            one = resource.scope_logs.add().log_records.add(time_unix_nano=time)
            one.body.string_value = f"{kind}"
    payload: bytes = message.SerializeToString()
    return payload


REQUESTS = [request(kind) for kind in range(KINDS)]
ROWS = [2 * (1 + kind % 2) for kind in range(KINDS)]


class BodyWriter:
    """An ``OtlpWriter`` whose files are the bodies of the rows: quicker than Parquet."""

    def __init__(self, store: MemoryStore) -> None:
        """Into this store."""
        self.objects = store
        self.root = store.root

    def store(
        self,
        file: PlannedFile,
        batches: Sequence[ArrowArrayExportable],
        batch_id: str,
        *,
        existing: str = "refuse",
    ) -> StoredFile:
        """As ``OtlpWriter.store``."""
        assert existing == "same"
        name = file.name(batch_id)
        rows = [body for one in batches for body in pa.record_batch(one)["Body"].to_pylist()]
        data = json.dumps([batch_id, file.part, rows]).encode()
        try:
            self.objects.create(name, lambda sink: _write(data, sink))
        except NameTakenError:
            there = json.loads(self.objects.objects[name])
            found = FoundFile(file.table, there[0], there[1], len(there[2]))
            assert is_the_file(found, batch_id, file.part, {len(rows), file.rows})
            return StoredFile(name, len(rows), len(data), was_there=True)
        return StoredFile(name, len(rows), len(data))

    def take_back(self, file: PlannedFile, batch_id: str) -> None:
        """Nothing is ever taken back here."""
        raise AssertionError((file, batch_id))


def _write(data: bytes, sink: BinaryIO) -> None:
    sink.write(data)


class Run(NamedTuple):
    """One run of the command: its input files, its options, and when it is killed."""

    files: list[list[int]]
    lives: int | None = None
    chunk_requests: int = 2
    layout: Layout = "service"
    threads: int = 1
    again: bool = False


def convert(store: MemoryStore, run: Run) -> ChunkReport | None:
    """Do a run; ``None`` if it was killed."""
    store.start_process(run.lives)
    with tempfile.TemporaryDirectory() as folder:
        for number, kinds in enumerate(run.files):
            data = stream(*[REQUESTS[kind] for kind in kinds])
            (Path(folder) / f"logs-{number}.pb").write_bytes(data)
        options = ConvertOptions(
            layout=run.layout, chunk_bytes=run.chunk_requests * max(map(len, REQUESTS))
        )
        try:
            journal = Journal(store, again=run.again)
            files = find_inputs([folder]).files
            return convert_files(
                files,
                BodyWriter(store),
                journal,
                options,
                threads=run.threads,
                on_chunk=lambda _: None,
            )
        except KilledError:
            return None


def stored(store: MemoryStore) -> Counter[int]:
    """How often each request is in the output, in whole requests."""
    rows: Counter[int] = Counter()
    for path, data in store.objects.items():
        if path.endswith(".parquet"):
            rows.update(map(int, json.loads(data)[2]))
    return rows


def expected(counts: Counter[int]) -> Counter[int]:
    """The rows of so many requests of each kind."""
    return Counter({kind: ROWS[kind] * count for kind, count in counts.items()})


def counts(run: Run) -> Counter[int]:
    """How often each request occurs in a run's inputs."""
    return Counter(kind for kinds in run.files for kind in kinds)


inputs = st.lists(
    st.lists(st.integers(0, KINDS - 1), min_size=1, max_size=6), min_size=1, max_size=3
)
runs = st.builds(
    Run,
    files=inputs,
    lives=st.none() | st.integers(1, 40),
    chunk_requests=st.integers(1, 4),
    layout=st.sampled_from(LAYOUTS),
    threads=st.integers(1, 2),
    again=st.just(False),  # noqa: FBT003 - a strategy of one value
)


@settings(max_examples=100 * FACTOR, deadline=None)
@given(st.lists(runs, min_size=1, max_size=6))
def test_each_occurrence_once(history: list[Run]) -> None:
    """Whatever was killed and whatever the inputs became: never a row twice, in the end all."""
    store = MemoryStore()
    most: Counter[int] = Counter()
    for run in history:
        most |= counts(run)
        ended = convert(store, run)
        assert stored(store) <= expected(most)
        if ended is not None and not Journal(store).unfinished:
            assert stored(store) >= expected(counts(run))
    last = Run([sorted(most.elements())])
    assert convert(store, last) is not None
    assert stored(store) == expected(most)
    assert Journal(store).unfinished == []
    before = dict(store.objects)
    report = convert(store, Run([sorted(most.elements(), reverse=True)], chunk_requests=3))
    assert report is not None
    assert (report.requests, report.converted_before) == (0, most.total())
    assert store.objects == before


@settings(max_examples=50 * FACTOR, deadline=None)
@given(files=inputs, deaths=st.lists(st.integers(1, 40), max_size=5), converted=st.booleans())
def test_again_that_is_killed(
    files: list[list[int]],
    deaths: list[int],
    converted: bool,  # noqa: FBT001 - hypothesis gives it by name
) -> None:
    """A conversion that was asked for once more and killed is completed, not begun anew."""
    store = MemoryStore()
    wanted = counts(Run(files))
    if converted:
        convert(store, Run(files))
    for lives in deaths:
        if f"{FOLDER}/again" not in store.deleted:  # its last deed
            convert(store, Run(files, lives, again=True))
    if f"{FOLDER}/again" not in store.deleted:
        assert convert(store, Run(files, again=True)) is not None
    times = 2 if converted else 1
    assert stored(store) == expected(Counter({kind: times * n for kind, n in wanted.items()}))
    convert(store, Run(files))
    assert stored(store) == expected(Counter({kind: times * n for kind, n in wanted.items()}))


def test_every_single_cut() -> None:
    """Each call of one conversion as the last: the same command completes, twice over."""
    files = [[0, 1, 1], [2, 3, 1], [4, 5]]
    lives, ended = 0, False
    while not ended:
        lives += 1
        store = MemoryStore()
        ended = convert(store, Run(files, lives)) is not None
        convert(store, Run(files, lives))
        assert convert(store, Run(files)) is not None
        assert stored(store) == expected(counts(Run(files)))
        more = [*files, [0, 0]]
        assert convert(store, Run(more)) is not None
        assert stored(store) == expected(counts(Run(more)))
    assert lives > 30


def test_inputs_of_a_cut_conversion_that_are_gone() -> None:
    """A batch of which files are there and inputs are not is left, and it is said what is missing.

    Of a batch without any file, what is there of its requests is new.
    """
    store = MemoryStore()
    plan_and_first_file = 4
    assert convert(store, Run([[0, 2]], plan_and_first_file)) is None
    assert stored(store) == Counter({2: 1})
    told: list[str] = []
    for files, left_out in (([[2, 4]], True), ([[4]], False)):
        store.start_process(None)
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "logs.pb").write_bytes(stream(*[REQUESTS[k] for k in files[0]]))
            convert_files(
                find_inputs([folder]).files,
                BodyWriter(store),
                Journal(store),
                ConvertOptions(),
                on_chunk=lambda report: told.extend(map(str, report.problems)),
            )
        assert ("warning" in told[-1]) != left_out
    assert "cut off when 1 of 4 files of a batch were written, and 1 of its 2 requests" in told[0]
    assert "2 of its 2 requests are not in these inputs" in told[1]
    assert stored(store) == Counter({2: 1, 4: 2})
    convert(store, Run([[0, 2]]))
    assert stored(store) == Counter({0: 2, 2: 2, 4: 2})
    only_the_plan = 2
    assert convert(store, Run([[3, 5]], only_the_plan)) is None
    assert convert(store, Run([[3]])) is not None
    assert stored(store)[3] == ROWS[3]
    assert Journal(store).unfinished == []
    convert(store, Run([[3, 5]]))
    assert stored(store) == expected(Counter({0: 1, 2: 1, 3: 1, 4: 1, 5: 1}))
