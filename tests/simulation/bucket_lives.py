"""The same lives over a bucket: the product's own store and Parquet writer, over a scripted one.

Between the batch layer and ``bucket`` stand ``ParquetWriter``, ``ObstoreStore`` and its pace, as
they are. ``use`` exchanges what the other lives have for a storage; call it behind
``instrumented.install``, once in a process that runs nothing else.
"""

from __future__ import annotations

import io
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from otlp2parquet.core.files import BATCH_ID_KEY, PART_KEY, TABLE_KEY
from otlp2parquet.stores import obstore
from otlp2parquet.stores.pace import Pace
from otlp2parquet.writers import parquet_writer
from otlp2parquet.writers.encode_pyarrow import write_parquet
from otlp2parquet.writers.parquet_writer import ParquetWriter
from tests.simulation import bucket, life, process, script, storage, world
from tests.simulation.bucket import BucketClient, BucketStorage, StoredContent
from tests.simulation.faults import FOR_EVER, Rule
from tests.simulation.requests import ids_in
from tests.simulation.script import ROOTS, Focus, Script, script_of
from tests.simulation.storage import check_place
from tests.simulation.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType
    from typing import BinaryIO

    from otlp2parquet.batches.storing import Backlog
    from otlp2parquet.config import Config
    from otlp2parquet.core.files import PlannedFile
    from otlp2parquet.writers.protocol import ArrowArrayExportable, Existing, StoredFile
    from tests.simulation.script import LifeScript

SMALL_PUT_BYTES: Final = 5000
"""About half of the files are larger, and go by parts."""
PART_BYTES: Final = 2000
_PIECE_BYTES: Final = 1500  # as an encoder hands a file over

_CALLS: Final = (
    ("put", "complete"), ("put", "complete"), ("put", "part", "complete"), ("head",),
    ("part", "last part", "abort"), ("get", "head"), ("delete", "get"),
    ("put", "part", "last part", "complete", "head", "get", "delete"),
)  # fmt: skip


_BEFORE_THE_LAST_LOOK: Final = ("put", "head", "part")
"""When somebody else's object may come: between that look and the end of an upload it would be
overwritten, and only there; names are our own."""


class BucketWorld(World):
    """The world, whose storages are buckets."""

    def __init__(self, script: Script) -> None:
        super().__init__(script)
        self.buckets = {root: BucketStorage(root) for root in ROOTS}
        self.storages = dict(self.buckets)


def bucket_script_of(seed: int, focus: Focus = "") -> Script:
    """What the seed says elsewhere, with a bucket's trouble in place of a storage's."""
    said = script_of(seed, focus)
    for one in said.lives[:-1]:
        dice = random.Random(one.seed)
        rules = [
            replace(rule, calls=frozenset({"finish"}))
            for rule in one.store_rules
            if "finish" in rule.calls
        ]
        if dice.random() < 0.85:
            rules += [_rule(dice) for _ in range(dice.randint(1, 4))]
        if focus == "foreign":
            calls = frozenset(_BEFORE_THE_LAST_LOOK)
            rules.append(Rule(calls, storage.FOREIGN, chance=0.3, most=3))
        one.store_rules = rules
    return said


def _rule(dice: random.Random) -> Rule:
    kind = dice.choice(
        (
            storage.UNAVAILABLE, bucket.THROTTLED, bucket.THROTTLED, bucket.DENIED,
            bucket.CONFLICT, storage.REFUSED, storage.DEFECT, storage.UNANSWERED,
            storage.UNANSWERED, storage.LATE, storage.LATE, storage.FOREIGN, "hang",
        )
    )  # fmt: skip
    start = dice.choice((0.0, dice.uniform(0, 10)))
    end = dice.choice((FOR_EVER, start + 10 ** dice.uniform(-2, 1.2)))
    calls = _BEFORE_THE_LAST_LOOK if kind == storage.FOREIGN else dice.choice(_CALLS)
    rule = Rule(frozenset(calls), kind, start, end, chance=dice.choice((0.1, 0.4, 1.0)))
    if kind in ("hang", storage.LATE) or dice.random() < 0.2:
        rule.secs = dice.choice((0.1, 3.0, 40.0))
    if kind in (storage.FOREIGN, storage.LATE) or dice.random() < 0.4:
        rule.most = dice.choice((1, 1, 2, 5))
    return rule


_config_of = process.config_of


class BucketWriter(ParquetWriter):
    """One life's writer for a bucket."""

    def __init__(self, root: str, owner: BucketProcess) -> None:
        it = owner.life
        self._bucket = it.world.storages[root]
        once, again = self._client(it, 0), self._client(it, bucket.REPEATS)
        self.pace = Pace(lambda: it.scheduler.now, it.dice.random)
        super().__init__(obstore.ObstoreStore(once, again, root, pace=self.pace))
        self._at_work: set[str] = set()
        self.late_after_failure: set[str] = set()

    def store(
        self,
        file: PlannedFile,
        batches: Sequence[ArrowArrayExportable],
        batch_id: str,
        *,
        existing: Existing = "refuse",
    ) -> StoredFile:
        """As the writer's; no file is written by two at once."""
        name, rows = file.name(batch_id), tuple(ids_in(batches, file.table))
        if name in self._at_work:
            raise AssertionError(f"{name} is written by two at once")
        check_place(self._bucket, file, storage.Stored(name, batch_id, file.part, file.table, rows))
        self._at_work.add(name)
        try:
            return super().store(file, batches, batch_id, existing=existing)
        finally:
            self._at_work.discard(name)

    def _client(self, it: life.Life, repeats: int) -> Any:
        client = BucketClient(self._bucket, it.scheduler, it.store_faults, repeats)
        client.on_late = self._note_late
        return client

    def _note_late(self, made: StoredContent) -> None:
        self.late_after_failure.update(made.rows)


class BucketProcess(process.Process):
    """A process whose storage is a bucket."""

    def __init__(self, owner: Any) -> None:
        super().__init__(owner)
        self.life = owner
        small = random.Random(self._script.seed).random() < 0.5
        exchange(obstore, ONE_PUT_BYTES=SMALL_PUT_BYTES if small else 8 << 20)
        exchange(parquet_writer, write_parquet=self._encode)

    def _writer(self, root: str) -> Any:
        writer = BucketWriter(root, self)
        self._writers.append(writer)  # type: ignore[arg-type]
        return writer

    @property
    def is_paced(self) -> bool:
        """Whether a bucket has asked to slow down, and the pause is not over."""
        return any(writer.pace.pause_secs > 0 for writer in self._writers)  # type: ignore[attr-defined]

    def _encode(
        self, rows: pa.Table, sink: BinaryIO, settings: Any, metadata: Mapping[str, str]
    ) -> Any:
        """The real encoder, and by the bytes what is in them; then they are handed over.

        Arrow's own code must not be on the stack while another task goes on.
        """
        if isinstance(sink, pa.MockOutputStream):
            return write_parquet(rows, sink, settings, metadata)
        encoded = io.BytesIO()
        footer = write_parquet(rows, encoded, settings, metadata)
        content, table = encoded.getvalue(), metadata[TABLE_KEY]
        kind = (
            metadata[BATCH_ID_KEY],
            int(metadata[PART_KEY]),
            table,
            tuple(ids_in(rows.to_batches(), table)),
        )
        for one in self.life.world.buckets.values():
            one.known[content] = kind
        starts = range(0, len(content), _PIECE_BYTES)
        sink.writelines(content[start : start + _PIECE_BYTES] for start in starts)
        return footer


class BucketLife(life.Life):
    """A life whose threads may wait until a bucket wants to be asked again."""

    def _is_stuck(self, backlog: Backlog) -> bool:
        """A pause comes to an end by itself."""
        assert isinstance(self.process, BucketProcess)
        return not self.process.is_paced and super()._is_stuck(backlog)


def config_of_bucket(life_script: LifeScript) -> Config:
    """The settings of a life, for a server that stores over the network."""
    config = _config_of(life_script)
    return replace(config, storage=replace(config.storage, backend="s3"))


def exchange(module: ModuleType, **names: object) -> None:
    """Have a module find something else under its names."""
    for name, value in names.items():
        assert hasattr(module, name)
        setattr(module, name, value)


def use() -> None:
    """From now on the lives of this process are lived over buckets."""
    exchange(obstore, obstore=bucket.FUNCTIONS, PART_BYTES=PART_BYTES)
    exchange(process, config_of=config_of_bucket)
    exchange(life, Process=BucketProcess, Life=BucketLife)
    exchange(script, script_of=bucket_script_of)
    exchange(world, World=BucketWorld)
