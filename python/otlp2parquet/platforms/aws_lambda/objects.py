"""Captures in S3 become files: each version of an object once, however often it is told of.

Knows objects, conversions and receipts. Must not know events. Ids of batches follow from the
object's name, version and content, so files that an invocation has written before it was cut off
are found by the next one, and their receipts are the same ones. Who is at it, and whether it is
done, is said by ``claims``.
"""

import hashlib
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from otlp2parquet.assembly import Output
from otlp2parquet.captures import Problem, find_inputs
from otlp2parquet.catalogs.receipt_folder import ReceiptFinisher, ReceiptFolder
from otlp2parquet.catalogs.receipts import Receipt
from otlp2parquet.convert import ChunkReport, ConvertOptions, Journal, convert_files
from otlp2parquet.convert.journal import ConversionPlan
from otlp2parquet.convert.naming import Name
from otlp2parquet.core.files import PlannedFile
from otlp2parquet.errors import StorageRefusedError
from otlp2parquet.platforms.aws_lambda.claims import Claim
from otlp2parquet.platforms.aws_lambda.object_events import ObjectReference
from otlp2parquet.stores.protocol import checked_path
from otlp2parquet.writers import OtlpWriter, StoredFile
from otlp2parquet.writers.protocol import ArrowArrayExportable, Existing

if TYPE_CHECKING:
    from otlp2parquet.stores.obstore import ObstoreStore

log = logging.getLogger(__name__)

_UNSAFE: Final = re.compile(r"[^\w.-]", re.ASCII)
"""Not in names of files here: 200 letters of any script may be more bytes than a name has."""
_MOST_TOLD: Final = 100
"""Problems of one object that are logged one by one."""


@dataclass(frozen=True, slots=True)
class Receipts:
    """Who is told of the receipts of converted files, and the field ids that these have."""

    on_receipt: Callable[[Receipt], None]
    field_ids_of: Callable[[str], Sequence[int]]


@dataclass(slots=True)
class Converted:
    """What became of an object."""

    rows: int = 0
    files: int = 0
    left_out: int = 0
    """Parts of it that could not be converted; what they are is in the log."""


class ObjectConversions:
    """Converts objects into ``output``. ``fetch_from`` gives the store of a bucket.

    ``receipts`` is given where there is a catalog. ``folder`` is for what is being read.
    """

    def __init__(
        self,
        output: Output,
        fetch_from: "Callable[[str], ObstoreStore]",
        folder: Path,
        options: ConvertOptions,
        *,
        receipts: Receipts | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._output = output
        self._fetch_from = fetch_from
        self._folder = folder
        self._options = options
        self._receipts = receipts
        self._now = now

    def convert(self, reference: ObjectReference) -> Converted | None:
        """Convert an object; None if that was done before, or it is not there.

        Raises ``StorageUnavailableError`` while another invocation is at it, and whatever the
        storage raises: the same event again goes on with it.
        """
        claim = Claim(self._output.store, reference, self._now)
        with claim.held() as is_held:
            if not is_held:
                log.info("an object was converted before", extra=_fields(reference))
                return None
            _check_key(reference)
            # The folders of a key may tell its signal, as its last part may.
            path = self._folder / _UNSAFE.sub("_", reference.key)[-200:]
            self._folder.mkdir(parents=True, exist_ok=True)
            try:
                with path.open("wb") as file:
                    sink = cast("BinaryIO", _Held(file, claim))
                    self._fetch_from(reference.bucket).fetch(
                        reference.key, sink, version=reference.version, etag=reference.etag
                    )
                os.utime(path, ns=(reference.made_ns, reference.made_ns))
                converted = self._convert(path, reference, claim)
            except FileNotFoundError:
                # Another version has taken its place, and has an event of its own; or it is gone.
                log.warning("an object is not there any more", extra=_fields(reference))
                claim.give_up()
                return None
            finally:
                shutil.rmtree(self._folder, ignore_errors=True)
            claim.hold()
            claim.done()
        log.info("object converted", extra=_fields(reference, **asdict(converted)))
        return converted

    def _convert(self, path: Path, reference: ObjectReference, claim: Claim) -> Converted:
        told = 0
        converted = Converted()

        def on_chunk(report: ChunkReport) -> None:
            nonlocal told
            for problem in report.problems[: _MOST_TOLD - told]:
                _tell(problem, reference)
            told = min(_MOST_TOLD, told + len(report.problems))
            converted.rows += report.rows.total()
            converted.files += report.files_written + report.files_there
            converted.left_out += sum(problem.left_out for problem in report.problems)

        writer = _Recorder(self._output.writer, claim)
        finisher = None
        if self._receipts is not None:
            finisher = ReceiptFinisher(
                ReceiptFolder(self._output.store),
                claim.node,
                self._receipts.on_receipt,
                self._receipts.field_ids_of,
            )
        journal = _ObjectJournal(reference, writer, finisher, claim)
        inputs = find_inputs([path])
        convert_files(
            inputs.files,
            cast("OtlpWriter", writer),
            cast("Journal", journal),
            self._options,
            threads=1,
            on_chunk=on_chunk,
        )
        if journal.unfinished_batches:
            raise StorageRefusedError(
                f"{reference}: a name that its files need is taken by another file"
            )
        return converted


def _check_key(reference: ObjectReference) -> None:
    try:
        checked_path(reference.key)
    except ValueError as error:
        raise StorageRefusedError(
            f"{reference}: this key cannot be read, expected names with a single / between them"
        ) from error


def _fields(reference: ObjectReference, **more: object) -> dict[str, dict[str, object]]:
    return {"fields": {"object": str(reference), "version": reference.version, **more}}


def _tell(problem: Problem, reference: ObjectReference) -> None:
    level = logging.WARNING if problem.left_out else logging.INFO
    told = {"offset": problem.offset, "reason": problem.reason}
    log.log(level, "a part of an object is odd", extra=_fields(reference, **told))


class _Held:
    """A file that is written to while its object is held."""

    def __init__(self, file: BinaryIO, claim: Claim) -> None:
        self._file = file
        self._claim = claim

    def write(self, data: bytes) -> int:
        """See ``BinaryIO``."""
        self._claim.hold()
        return self._file.write(data)

    def writelines(self, parts: Iterable[bytes]) -> None:
        """See ``BinaryIO``."""
        for data in parts:
            self.write(data)


class _Recorder:
    """A writer that remembers, by batch, what it has stored, and holds the object."""

    def __init__(self, writer: OtlpWriter, claim: Claim) -> None:
        self._writer = writer
        self._claim = claim
        self.root = writer.root
        self.stored: dict[str, list[tuple[PlannedFile, StoredFile]]] = {}

    def store(
        self,
        file: PlannedFile,
        batches: Sequence[ArrowArrayExportable],
        batch_id: str,
        *,
        existing: Existing = "refuse",
    ) -> StoredFile:
        """See ``OtlpWriter.store``."""
        self._claim.hold()
        stored = self._writer.store(file, batches, batch_id, existing=existing)
        self.stored.setdefault(batch_id, []).append((file, stored))
        return stored


class _ObjectJournal:
    """What a conversion asks of its journal, for one version of one object.

    It is done as a whole, so nothing of it was converted before. Its requests are named as those
    of no other object, whatever both hold.
    """

    is_empty: Final = True
    unfinished: Final[Sequence[ConversionPlan]] = ()

    def __init__(
        self,
        reference: ObjectReference,
        writer: _Recorder,
        finisher: ReceiptFinisher | None,
        claim: Claim,
    ) -> None:
        self.again = hashlib.sha256(reference.identity.encode()).digest()
        self._writer = writer
        self._finisher = finisher
        self._claim = claim
        self.unfinished_batches = 0

    def mark_of(self, _name: Name) -> None:
        """Nothing was converted before."""

    def begin(self, _plan: ConversionPlan) -> None:
        """The same object again gives the same plan: it need not be kept."""
        self.unfinished_batches += 1

    def finish(self, plan: ConversionPlan) -> None:
        """All files of a batch are stored: their receipts are made."""
        stored = self._writer.stored.pop(plan.batch_id, [])
        if self._finisher is not None and stored:
            self._claim.hold()
            self._finisher.finish(plan.batch_id, self._writer.root, stored)
        self.unfinished_batches -= 1

    def end(self) -> None:
        """That it is done is noted by who has claimed it."""
