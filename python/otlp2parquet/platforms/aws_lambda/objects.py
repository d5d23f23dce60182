"""Captures in S3 become files: each version of an object once, however often it is told of.

Knows objects, conversions and receipts. Must not know events. What is begun and done lies in the
storage, under ``.otlp2parquet/objects/<name of the version>/``:

    1, 2, …   claims: who converts it and until when; the first also says under which node its
              receipts are made, by whomever, so that a table takes them once
    1.end     a claim that was given up early
    done      all files are stored, and their receipts made

Ids of batches follow from the object's name, version and content, so files that an invocation has
written before it was cut off are found by the next one.
"""

import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

from otlp2parquet.assembly import Output
from otlp2parquet.captures import Problem, find_inputs
from otlp2parquet.catalogs.receipt_folder import ReceiptFinisher, ReceiptFolder
from otlp2parquet.catalogs.receipts import Receipt
from otlp2parquet.convert import ChunkReport, ConvertOptions, Journal, convert_files
from otlp2parquet.convert.journal import ConversionPlan
from otlp2parquet.convert.naming import Name
from otlp2parquet.core.files import PlannedFile
from otlp2parquet.errors import NameTakenError, StorageRefusedError, StorageUnavailableError
from otlp2parquet.platforms.aws_lambda.object_events import ObjectReference
from otlp2parquet.stores import Store, writing
from otlp2parquet.stores.protocol import checked_path
from otlp2parquet.writers import OtlpWriter, StoredFile
from otlp2parquet.writers.protocol import ArrowArrayExportable, Existing

if TYPE_CHECKING:
    from otlp2parquet.stores.obstore import ObstoreStore

log = logging.getLogger(__name__)

FOLDER: Final = ".otlp2parquet/objects"
_DONE: Final = "done"
_END: Final = ".end"
_UNSAFE: Final = re.compile(r"[^\w.-]", re.ASCII)
"""Not in names of files here: 200 letters of any script may be more bytes than a name has."""
_MOST_TOLD: Final = 100
"""Problems of one object that are logged one by one."""


@dataclass(frozen=True, slots=True)
class Receipts:
    """Where receipts of converted files go, and who is told of them."""

    node: str
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

    def convert(self, reference: ObjectReference, secs: float) -> Converted | None:
        """Convert an object within ``secs``; None if that was done before, or it is not there.

        Raises ``StorageUnavailableError`` while another invocation is at it, and whatever the
        storage raises: the same event again goes on with it.
        """
        marks = _Marks(self._output.store, reference, self._now)
        node = "" if self._receipts is None else self._receipts.node
        with marks.claim(node, secs) as first_node:
            if first_node is None:
                log.info("an object was converted before", extra=_fields(reference))
                return None
            _check_key(reference)
            # The folders of a key may tell its signal, as its last part may.
            path = self._folder / _UNSAFE.sub("_", reference.key)[-200:]
            self._folder.mkdir(parents=True, exist_ok=True)
            try:
                with path.open("wb") as sink:
                    self._fetch_from(reference.bucket).fetch(
                        reference.key, sink, version=reference.version, etag=reference.etag
                    )
                os.utime(path, ns=(reference.made_ns, reference.made_ns))
                converted = self._convert(path, reference, first_node)
            except FileNotFoundError:
                # Another version has taken its place, and has an event of its own; or it is gone.
                log.warning("an object is not there any more", extra=_fields(reference))
                marks.let_go()
                return None
            finally:
                shutil.rmtree(self._folder, ignore_errors=True)
            marks.done()
        log.info("object converted", extra=_fields(reference, **asdict(converted)))
        return converted

    def _convert(self, path: Path, reference: ObjectReference, node: str) -> Converted:
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

        writer = _Recorder(self._output.writer)
        finisher = None
        if self._receipts is not None:
            finisher = ReceiptFinisher(
                ReceiptFolder(self._output.store),
                node,
                self._receipts.on_receipt,
                self._receipts.field_ids_of,
            )
        journal = _ObjectJournal(reference, writer, finisher)
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


class _Recorder:
    """A writer that remembers, by batch, what it has stored."""

    def __init__(self, writer: OtlpWriter) -> None:
        self._writer = writer
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
        self, reference: ObjectReference, writer: _Recorder, finisher: ReceiptFinisher | None
    ) -> None:
        self.again = hashlib.sha256(reference.identity.encode()).digest()
        self._writer = writer
        self._finisher = finisher
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
            self._finisher.finish(plan.batch_id, self._writer.root, stored)
        self.unfinished_batches -= 1

    def end(self) -> None:
        """That it is done is noted by who has claimed it."""


class _Marks:
    """The claims of one version of an object, and whether it is done."""

    def __init__(self, store: Store, reference: ObjectReference, now: Callable[[], float]) -> None:
        name = hashlib.sha256(reference.identity.encode()).hexdigest()[:32]
        self._store = store
        self._folder = f"{FOLDER}/{name}"
        self._reference = reference
        self._now = now
        self._held = 0
        """The number of the claim that is held."""

    @contextmanager
    def claim(self, node: str, secs: float) -> Iterator[str | None]:
        """Hold the object for ``secs``; the node for its receipts, None if it is done.

        Whoever fails lets go of it at once; whoever is killed, when the time is over.
        """
        taken = self._take(node, secs)
        if taken is None:
            yield None
            return
        self._held, first_node = taken
        try:
            yield first_node
        except BaseException:
            self.let_go()
            raise

    def let_go(self) -> None:
        """Give the claim up before its time is over."""
        self._create(f"{self._held}{_END}", {})

    def _take(self, node: str, secs: float) -> tuple[int, str] | None:
        while True:
            names = {one.path.rpartition("/")[2] for one in self._store.list(self._folder)}
            if _DONE in names:
                return None
            numbers = sorted(int(name) for name in names if name.isdigit())
            last = numbers[-1] if numbers else 0
            if last and f"{last}{_END}" not in names:
                until = float(self._read(last)["until"])
                if until > self._now():
                    raise StorageUnavailableError(
                        f"another invocation is at {self._reference}, for {until - self._now():.0f}"
                        " s more at most"
                    )
            first_node = str(self._read(1)["node"]) if numbers else node
            claim = {"node": first_node, "until": self._now() + secs}
            try:
                self._create(str(last + 1), claim)
            except NameTakenError:
                continue  # another one was faster: look again
            return last + 1, str(UUID(first_node)) if first_node else ""

    def done(self) -> None:
        """It is converted: remember it, and no more who has done it."""
        self._create(_DONE, {"object": str(self._reference), "version": self._reference.version})
        for one in list(self._store.list(self._folder)):
            if not one.path.endswith(f"/{_DONE}"):
                self._store.delete(one.path)

    def _read(self, number: int) -> dict[str, Any]:
        with self._store.open(f"{self._folder}/{number}") as file:
            read: dict[str, Any] = json.loads(file.read())
        return read

    def _create(self, name: str, content: dict[str, object]) -> None:
        self._store.create(f"{self._folder}/{name}", writing(json.dumps(content).encode()))
