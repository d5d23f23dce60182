"""The rows of one request become files in the bucket: all of them, or none that anybody counts on.

A request is a batch: its files are planned as a server's are (``core.files``), encoded one after
another, and stored under a batch id of their own. Where one cannot be stored, those that are get
taken back, so that whoever sends again finds nothing there twice. Knows no request and no runtime.
"""

import asyncio
import io
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from otlp2parquet.core.files import Group, PlannedFile, file_metadata, group_key, plan_files
from otlp2parquet.core.layout import Layout
from otlp2parquet.errors import NameTakenError, StorageUnavailableError, TooLargeError
from otlp2parquet.platforms.cloudflare_worker.bucket import Bucket
from otlp2parquet.version import __version__
from otlp2parquet.writers.encode_stdlib import EncodedFile, write_parquet
from otlp2parquet.writers.settings import ParquetSettings

log = logging.getLogger(__name__)

MOST_FILES: Final = 200
"""Of one request. Cloudflare counts what a Worker asks of R2 for one request (1,000 at most), and
a file may take several attempts and look-ups."""
AT_ONCE: Final = 6
"""Cloudflare lets a Worker wait for as many answers at a time; more would queue."""
STORE_SECS: Final = 6.0
"""How long storing may take. Clients give up after ten seconds, most of them."""
TAKE_BACK_SECS: Final = 2.0


SETTINGS: Final = ParquetSettings("gzip", row_group_rows=100_000)
"""What the standard library can compress with."""


class Place(NamedTuple):
    """Where a file goes in the bucket, and with which field ids."""

    path: str
    field_ids: tuple[int, ...] = ()
    """Those of a table's own schema; empty for ours."""


class StoredFile(NamedTuple):
    """A file in the bucket."""

    planned: PlannedFile
    place: Place
    encoded: EncodedFile
    """Its rows, bytes and statistics."""


class PlainBatch(Group, Protocol):
    """Rows of one table, service and hour, with their columns as plain sequences."""

    @property
    def columns(self) -> Sequence[Sequence[Any]]: ...  # noqa: D102 - a member of a protocol


Batches = TypeVar("Batches", bound=PlainBatch)
"""Of a list that is emptied: of which class they are is the caller's."""


async def store(
    batches: list[Batches],
    batch_id: str,
    bucket: Bucket,
    layout: Layout,
    place_of: Callable[[PlannedFile], Place] | None = None,
) -> list[StoredFile]:
    """Store the rows of a request; the files that have them.

    ``batches`` is emptied, before anything is waited for: encoded, rows take a fraction of their
    memory, and others may be decoded meanwhile. ``place_of`` says where each file goes; without it,
    to its planned path.

    Raises ``TooLargeError`` where they are too many, and ``StorageError`` when they are not all
    stored: then nothing is left, unless R2 does not let it be removed either.
    """
    files = plan_files(batches, layout)
    if len(files) > MOST_FILES:
        raise TooLargeError(
            f"the records would become {len(files)} files, one for each table, service and hour, "
            f"and {MOST_FILES} are the most for one request; expected fewer of them in it"
        )
    placed = [(file, place_of(file) if place_of else Place(file.name(batch_id))) for file in files]
    made = _encode(placed, batches, batch_id)
    try:
        async with asyncio.timeout(STORE_SECS):
            for start in range(0, len(made), AT_ONCE):
                await _put(made[start : start + AT_ONCE], bucket)
    except BaseException as error:
        # The names are this request's own, so what has one of them and is not taken by something
        # else is of no use to anybody.
        taken = error.path if isinstance(error, NameTakenError) else None
        await _take_back(bucket, [place.path for _, place in placed if place.path != taken])
        if isinstance(error, TimeoutError):
            message = "R2 did not take the files in time, send the request again"
            raise StorageUnavailableError(message) from error
        if isinstance(error, NameTakenError):  # its own message has the name, which a sender chose
            message = "something else has the name of a file, send the request again"
            raise StorageUnavailableError(message) from error
        raise
    return [file for file, _ in made]


def _encode(
    placed: Sequence[tuple[PlannedFile, Place]], batches: list[Batches], batch_id: str
) -> list[tuple[StoredFile, bytes]]:
    """The files and their contents. The rows of each go when it has them."""
    by_group = _by_group(batches)
    batches.clear()
    made = []
    for file, place in placed:
        rows = [batch for group in file.groups for batch in by_group.pop(group)]
        sink = io.BytesIO()
        encoded = write_parquet(
            file.table,
            [batch.columns for batch in rows],
            sink,
            SETTINGS,
            file_metadata(file, batch_id, __version__),
            field_ids=place.field_ids,
        )
        del rows
        made.append((StoredFile(file, place, encoded), sink.getvalue()))
    return made


def _by_group(batches: Sequence[Batches]) -> dict[object, list[Batches]]:
    by_group: dict[object, list[Batches]] = {}
    for batch in batches:
        by_group.setdefault(group_key(batch), []).append(batch)
    return by_group


async def _put(made: Sequence[tuple[StoredFile, bytes]], bucket: Bucket) -> None:
    """Put some files at the same time; all of them have an end when this returns or raises."""
    done = await asyncio.gather(
        *(bucket.create(file.place.path, content) for file, content in made),
        return_exceptions=True,
    )
    for failed in done:
        if failed is not None:
            raise failed


async def _take_back(bucket: Bucket, names: Sequence[str]) -> None:
    with suppress(TimeoutError):
        try:
            async with asyncio.timeout(TAKE_BACK_SECS):
                await bucket.delete(names)
        except StorageUnavailableError as error:
            log.warning("files of a refused request may be left: %s", error)
            return
        log.info("a request's files were taken back", extra={"fields": {"files": len(names)}})
