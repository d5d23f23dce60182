"""A planned file is stored once: what has its name already is taken for it only if it is it."""

from __future__ import annotations

import io
import random
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from otlp2parquet import (
    NameTakenError,
    ParquetWriter,
    StorageRefusedError,
    StorageUnavailableError,
    plan_files,
)
from otlp2parquet.core.files import file_name
from otlp2parquet.writers.protocol import Existing
from tests.support.stores import MemoryStore
from tests.support.tables import BATCH_ID, logs_batch

if TYPE_CHECKING:
    from otlp2parquet import PlannedFile

OTHER_ID = "01980000-0000-7000-8000-000000000002"
EXISTING: tuple[Existing, ...] = get_args(Existing)


def planned(rows: int, part: int = 0) -> PlannedFile:
    """The plan of a file with ``rows`` log records."""
    (file,) = plan_files([logs_batch(rows)])
    return replace(file, part=part)


@pytest.fixture
def store() -> MemoryStore:
    """An empty store."""
    return MemoryStore()


@pytest.fixture
def writer(store: MemoryStore) -> ParquetWriter:
    """A writer into it."""
    return ParquetWriter(store)


@pytest.mark.parametrize("existing", EXISTING)
def test_a_free_name(store: MemoryStore, writer: ParquetWriter, existing: Existing) -> None:
    """Whatever would be done with a file in the way, without one the file is written."""
    file = planned(5)
    receipt = writer.store(file, [logs_batch(5)], BATCH_ID, existing=existing)
    assert receipt.path == file.name(BATCH_ID)
    assert receipt.rows == 5
    assert not receipt.was_there
    assert {path: len(content) for path, content in store.objects.items()} == {
        receipt.path: receipt.bytes
    }


@pytest.mark.parametrize("part", [0, 3])
@pytest.mark.parametrize("existing", ["same", "whole"])
def test_the_same_again(writer: ParquetWriter, existing: Existing, part: int) -> None:
    """A second attempt finds the file of the first, with the same receipt."""
    file = planned(5, part)
    first = writer.store(file, [logs_batch(5)], BATCH_ID)
    again = writer.store(file, [logs_batch(5)], BATCH_ID, existing=existing)
    assert again == replace(first, was_there=True)
    assert again.columns == first.columns


def test_a_file_with_other_rows_has_no_statistics(writer: ParquetWriter) -> None:
    """They are made of the rows that were given, so that no damaged footer is believed."""
    writer.store(planned(5), [logs_batch(5)], BATCH_ID)
    assert writer.store(planned(5), [logs_batch(3)], BATCH_ID, existing="same").columns == {}


def test_damaged_footers(store: MemoryStore, writer: ParquetWriter) -> None:
    """With a byte of its footer changed the file is the one or is not; nothing else happens."""
    file = planned(5)
    receipt = writer.store(file, [logs_batch(5)], BATCH_ID)
    content = store.objects[receipt.path]
    chance = random.Random(1)
    outcomes = set()
    footer = range(len(content) - 8 - int.from_bytes(content[-8:-4], "little"), len(content))
    for at in [*footer[::7], *footer[-8:]]:
        damaged = bytearray(content)
        damaged[at] = (damaged[at] + chance.randrange(1, 256)) % 256
        store.objects[receipt.path] = bytes(damaged)
        try:
            found = writer.store(file, [logs_batch(5)], BATCH_ID, existing="same")
        except NameTakenError:
            outcomes.add("taken")
        else:
            outcomes.add("found")
            assert found == replace(receipt, was_there=True)
            assert found.columns == receipt.columns
    assert outcomes == {"taken", "found"}


@pytest.mark.parametrize(
    ("there", "given", "plan", "accepted"),
    [
        (5, 5, 5, {"same", "whole"}),
        (5, 3, 5, {"same", "whole"}),  # two rows were lost since; the file was made as planned
        (3, 3, 5, {"same", "whole"}),  # the file was made of what was left
        (4, 3, 5, {"whole"}),
        (9, 3, 5, {"whole"}),
        (2, 3, 5, {"whole"}),  # a refused record came back since
        (4, 5, 3, {"whole"}),  # a newer decoder found more rows than were planned
        (3, 5, 3, {"same", "whole"}),
        (6, 5, 3, {"whole"}),
    ],
)
@pytest.mark.parametrize("existing", EXISTING)
def test_how_many_rows_are_right(
    existing: Existing, there: int, given: int, plan: int, accepted: set[str]
) -> None:
    """As many as were given or planned; ``whole`` takes any number: no plan says how many."""
    writer = ParquetWriter(MemoryStore())
    writer.store(planned(there), [logs_batch(there)], BATCH_ID)
    if existing in accepted:
        receipt = writer.store(planned(plan), [logs_batch(given)], BATCH_ID, existing=existing)
        assert receipt.was_there
        assert receipt.rows == there
    else:
        with pytest.raises(NameTakenError):
            writer.store(planned(plan), [logs_batch(given)], BATCH_ID, existing=existing)


def foreign(store: MemoryStore, name: str, kind: str) -> None:
    """Put something that is not the planned file under its name."""
    writer = ParquetWriter(store)
    if kind == "another batch":
        writer.store(planned(5), [logs_batch(5)], OTHER_ID)
        (content,) = store.objects.values()
    elif kind == "another part":
        writer.store(planned(5, part=1), [logs_batch(5)], BATCH_ID)
        (content,) = store.objects.values()
    elif kind == "no batch":
        sink = io.BytesIO()
        pq.write_table(pa.table({"a": [1, 2, 3, 4, 5]}), sink)
        content = sink.getvalue()
    elif kind == "cut":
        writer.store(planned(5), [logs_batch(5)], BATCH_ID)
        (content,) = store.objects.values()
        content = content[:-20]
    elif kind == "broken footer":
        writer.store(planned(5), [logs_batch(5)], BATCH_ID)
        (content,) = store.objects.values()
        length = int.from_bytes(content[-8:-4], "little")
        content = content[: -8 - length] + b"\xff" * length + content[-8:]
    else:
        content = kind.encode()
    store.objects.clear()
    store.objects[name] = content


FOREIGN = ["another batch", "another part", "no batch", "cut", "broken footer", "", "PAR1", "text"]


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("existing", EXISTING)
def test_what_is_not_the_file(
    store: MemoryStore, writer: ParquetWriter, existing: Existing, kind: str
) -> None:
    """It is neither taken for the file nor touched."""
    file = planned(5)
    foreign(store, file.name(BATCH_ID), kind)
    before = dict(store.objects)
    with pytest.raises(NameTakenError, match="already exists and ") as caught:
        writer.store(file, [logs_batch(5)], BATCH_ID, existing=existing)
    assert caught.value.path == file.name(BATCH_ID)
    expected = "a free name" if existing == "refuse" else f"batch {BATCH_ID}, part 0, with 5 rows"
    assert str(caught.value).endswith(f"; expected {expected}")
    assert store.objects == before


@pytest.mark.parametrize(
    ("existing", "kind"),
    [
        ("refuse", NameTakenError),
        ("same", StorageUnavailableError),
        ("whole", StorageUnavailableError),
    ],
)
def test_a_file_that_cannot_be_looked_at(
    store: MemoryStore, writer: ParquetWriter, existing: Existing, kind: type[Exception]
) -> None:
    """A storage that is down says nothing of whose a file is: that is found when it is back."""
    file = planned(5)
    writer.store(file, [logs_batch(5)], BATCH_ID)
    store.fail = lambda call, _: StorageUnavailableError("down") if call == "open" else None
    with pytest.raises(kind):
        writer.store(file, [logs_batch(5)], BATCH_ID, existing=existing)


@pytest.mark.parametrize("kind", [StorageUnavailableError, StorageRefusedError])
def test_errors_of_the_store_pass_through(
    store: MemoryStore, writer: ParquetWriter, kind: type[Exception]
) -> None:
    """What a store says of itself is what the writer says."""
    store.fail = lambda call, _: kind("no") if call == "create" else None
    with pytest.raises(kind, match="no"):
        writer.store(planned(5), [logs_batch(5)], BATCH_ID, existing="same")


def test_a_file_that_went_meanwhile(store: MemoryStore, writer: ParquetWriter) -> None:
    """What had the name and is gone before it can be looked at is not the file."""
    file = planned(5)
    writer.store(file, [logs_batch(5)], BATCH_ID)

    def gone(call: str, path: str) -> None:
        if call == "open":
            del store.objects[path]

    store.fail = gone
    with pytest.raises(NameTakenError):
        writer.store(file, [logs_batch(5)], BATCH_ID, existing="same")
    store.fail = lambda _call, _path: None
    assert not writer.store(file, [logs_batch(5)], BATCH_ID, existing="same").was_there


def test_take_back(store: MemoryStore, writer: ParquetWriter) -> None:
    """The file of a batch that is given up goes, whatever its rows; again is no mistake."""
    kept = writer.store(planned(5, part=1), [logs_batch(5)], BATCH_ID)
    writer.store(planned(5), [logs_batch(5)], BATCH_ID)
    for _ in range(2):
        writer.take_back(planned(7), BATCH_ID)
        assert list(store.objects) == [kept.path]


@pytest.mark.parametrize("kind", FOREIGN)
def test_only_our_own_is_taken_back(store: MemoryStore, writer: ParquetWriter, kind: str) -> None:
    """What something else has put under the name is not ours to remove."""
    file = planned(5)
    foreign(store, file.name(BATCH_ID), kind)
    before = dict(store.objects)
    writer.take_back(file, BATCH_ID)
    assert store.objects == before


def test_take_back_from_a_store_that_is_down(store: MemoryStore, writer: ParquetWriter) -> None:
    """Then nobody knows whether it is gone, and the caller is told."""
    writer.store(planned(5), [logs_batch(5)], BATCH_ID)
    store.fail = lambda _call, _path: StorageUnavailableError("down")
    with pytest.raises(StorageUnavailableError):
        writer.take_back(planned(5), BATCH_ID)


@pytest.mark.parametrize("folder", ["../x", "/x", "logs//x", "a\\b", "logs/../../x", ""])
def test_nothing_leaves_the_prefix(store: MemoryStore, writer: ParquetWriter, folder: str) -> None:
    """A folder that is none is refused, whoever planned it."""
    file = replace(planned(5), folder=folder)
    with pytest.raises(ValueError, match="does not name an object below the root"):
        writer.store(file, [logs_batch(5)], BATCH_ID)
    with pytest.raises(ValueError, match="does not name an object below the root"):
        writer.take_back(file, BATCH_ID)
    assert store.objects == {}


@pytest.mark.parametrize("batch_id", ["../x", "b", ""])
def test_odd_batch_ids(store: MemoryStore, writer: ParquetWriter, batch_id: str) -> None:
    """Nothing but a batch id becomes part of a name."""
    with pytest.raises(ValueError, match="expected the text of a UUID"):
        writer.store(planned(5), [logs_batch(5)], batch_id)
    with pytest.raises(ValueError, match="expected the text of a UUID"):
        writer.take_back(planned(5), batch_id)
    assert store.objects == {}


def test_no_rows(store: MemoryStore, writer: ParquetWriter) -> None:
    """A planned file of which no row is left is no file."""
    with pytest.raises(ValueError, match="no rows to write in 0 batches"):
        writer.store(planned(5), [], BATCH_ID, existing="whole")
    assert store.objects == {}
    assert file_name(BATCH_ID) not in store.objects
