"""The files of a batch: their plan, their names, and which existing file is the one meant."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otlp2parquet import new_batch_id, partition_path, plan_files, process_otlp
from otlp2parquet.core import files
from otlp2parquet.core.files import (
    FoundFile,
    PlannedFile,
    checked_batch_id,
    file_name,
    group_key,
    is_the_file,
    moved_aside,
)
from otlp2parquet.core.layout import LAYOUTS, Layout
from otlp2parquet.core.schema import TABLE_FOLDERS
from tests.support.requests import HOUR, logs_request

if TYPE_CHECKING:
    import random

BATCH_ID = "01980000-0000-7000-8000-000000000001"
OTHER_ID = "01980000-0000-7000-8000-000000000002"


@dataclass(frozen=True)
class Rows:
    """A group of rows without the rows."""

    table: str
    service: str | None
    hour: datetime
    num_rows: int


def logs(service: str | None, num_rows: int = 1, hour: datetime = HOUR) -> Rows:
    """Log records of one service."""
    return Rows("otel_logs", service, hour, num_rows)


def on_a_careless_file_system(name: str) -> str:
    """What is left of a path where case is folded, and dots and spaces at the end are dropped."""
    return "/".join(part.rstrip(". ") for part in name.casefold().split("/"))


# Names of which many are one folder, or one on some file system.
services = st.one_of(
    st.none(),
    st.sampled_from(["", "unknown-service", "Unknown-Service", "a", "A", "a.", "A..", "con", "é"]),
    st.text(alphabet="aAéÉ.~%_ \\/İıſ", max_size=5),
    st.text(alphabet="aA.é", min_size=120, max_size=135),
)
hours = st.sampled_from([HOUR, HOUR.astimezone(timezone(timedelta(hours=5))), HOUR.replace(hour=7)])
groups_of_rows = st.lists(
    st.builds(
        Rows, st.sampled_from(list(TABLE_FOLDERS)[:2]), services, hours, st.integers(1, 1000)
    ),
    max_size=12,
)
layouts = st.sampled_from(LAYOUTS)


@given(groups_of_rows, layouts)
@example([logs(None), logs("unknown-service"), logs("")], "service")
@example([logs("Foo"), logs("foo"), logs("FOO")], "classic")
@example([logs("a"), logs("a."), logs("a..")], "service")
def test_every_group_has_one_file(groups: list[Rows], layout: Layout) -> None:
    """Every group's rows are in exactly one file, in the folder of its layout, and add up."""
    files = plan_files(groups, layout)
    rows: Counter[tuple[str, str, datetime, str | None]] = Counter()
    for group in groups:
        (file,) = [file for file in files if group_key(group) in file.groups]
        assert file.folder == partition_path(group.table, group.service, group.hour, layout)
        rows[file.folder, file.table, file.hour, group.service or None] += group.num_rows
    planned = {
        (file.folder, file.table, file.hour, service): count
        for file in files
        for service, count in file.services.items()
    }
    assert planned == rows
    assert sum(file.rows for file in files) == sum(group.num_rows for group in groups)


@given(groups_of_rows, layouts)
@example([logs("Foo"), logs("foo")], "service")
@example([logs("a"), logs("a.")], "classic")
def test_no_two_files_have_one_name(groups: list[Rows], layout: Layout) -> None:
    """Not even where the file system folds case or drops dots at the end of a folder's name."""
    names = [file.name(BATCH_ID) for file in plan_files(groups, layout)]
    assert len({on_a_careless_file_system(name) for name in names}) == len(names)


@given(groups_of_rows, layouts, st.randoms(use_true_random=False))
def test_the_plan_depends_on_nothing_but_its_groups(
    groups: list[Rows], layout: Layout, chance: random.Random
) -> None:
    """In any order, and split in any way, the same rows have the same plan."""
    plan = plan_files(groups, layout)
    shuffled = list(groups)
    chance.shuffle(shuffled)
    split = []
    for group in shuffled:
        first = chance.randint(0, group.num_rows)
        halves = (first, group.num_rows - first)
        split += [replace(group, num_rows=rows) for rows in halves if rows]
    again = plan_files(split, layout)
    assert again == plan
    # Dictionaries compare without order; the order of the rows in a file is part of its plan.
    assert [list(file.services) for file in again] == [list(file.services) for file in plan]
    assert plan == sorted(plan, key=lambda file: file.folder)


@given(groups_of_rows, groups_of_rows, layouts)
def test_planned_names_are_not_given_again(
    first: list[Rows], second: list[Rows], layout: Layout
) -> None:
    """What is planned later for the same batch keeps away from what was planned before."""
    fixed = plan_files(first, layout)
    files = [*fixed, *plan_files(second, layout, planned=fixed)]
    names = {on_a_careless_file_system(file.name(BATCH_ID)) for file in files}
    assert len(names) == len(files)


@given(groups_of_rows, layouts, st.data())
def test_moved_aside(groups: list[Rows], layout: Layout, data: st.DataObject) -> None:
    """A file whose name is taken goes beside it, under a name that no file of the batch has."""
    files = plan_files([*groups, logs("one at least")], layout)
    file = data.draw(st.sampled_from(files))
    moved = moved_aside(file, files)
    assert (moved.folder, moved.services, moved.rows) == (file.folder, file.services, file.rows)
    assert moved.part > file.part
    again = moved_aside(moved, files)
    names = [*(one.name(BATCH_ID) for one in [*files, moved, again])]
    assert len({on_a_careless_file_system(name) for name in names}) == len(names)


def test_a_service_without_a_name_and_one_of_that_name() -> None:
    """Both have one folder, and so one file: neither is ever taken for the other's retry."""
    (file,) = plan_files([logs("unknown-service", 2), logs(None, 1)])
    assert file.services == {None: 1, "unknown-service": 2}
    assert list(file.services) == [None, "unknown-service"]
    assert file.name(BATCH_ID) == (
        f"logs/service=unknown-service/date=2026-07-01/hour=9/{BATCH_ID}.parquet"
    )


@pytest.mark.parametrize(("one", "other"), [("Foo", "foo"), ("a", "a."), ("con", "CON.")])
def test_names_that_a_file_system_takes_for_one(one: str, other: str) -> None:
    """They keep their folders, and differ in the part where the folders do not."""
    parts = {file.folder: file.part for file in plan_files([logs(one), logs(other)])}
    assert len(parts) == 2
    assert len({*parts.values(), 0}) == 2


@given(st.lists(services, unique=True, max_size=4), st.lists(services, unique=True, max_size=4))
@example(["foo"], ["Foo"])
def test_a_file_has_its_name_whatever_else_a_batch_has(
    some: list[str | None], more: list[str | None]
) -> None:
    """So what one reading of a log sees too much moves no file that another has written."""

    def names_of(names: list[str | None]) -> dict[str | None, str]:
        return {
            service: file.name(BATCH_ID)
            for file in plan_files([logs(name) for name in names])
            for service in file.services
        }

    alone = names_of(some)
    together = names_of([*some, *(name for name in more if name not in some)])
    assert {service: together[service] for service in alone} == alone


def test_many_names_that_are_one_cost_no_more_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender may spell one name in thousands of ways: each is looked up a few times at most."""
    lookups = 0

    class Counted(str):
        __slots__ = ()

        def __hash__(self) -> int:
            nonlocal lookups
            lookups += 1
            return super().__hash__()

        def __eq__(self, other: object) -> bool:
            return super().__eq__(other)

    fold = files._folded  # noqa: SLF001 - what is counted are its uses
    monkeypatch.setattr(files, "_folded", lambda folder: Counted(fold(folder)))
    names = ["".join(letters) for letters in product("aA", repeat=9)]
    planned = plan_files(Rows("otel_logs", name, HOUR, 1) for name in names)
    assert len({file.part for file in planned}) == len(names)
    assert lookups <= 6 * len(names)


def test_services_together_by_hour() -> None:
    """In the layout ``hour`` all services share a file, one after another."""
    later = HOUR + timedelta(hours=1)
    first, second = plan_files(
        [logs("b", 1), logs("a", 2), logs(None, 4), logs("a", 8, later)], "hour"
    )
    assert first.folder == "logs/date=2026-07-01/hour=10"
    assert list(second.services.items()) == [(None, 4), ("a", 2), ("b", 1)]


def test_a_moment_stands_for_its_hour() -> None:
    """Groups whose hours are the same hour, in another time zone or not cut, share a file."""
    moment = HOUR.replace(minute=59).astimezone(timezone(timedelta(hours=-3, minutes=-30)))
    (file,) = plan_files([logs("s", 1), logs("s", 2, moment)])
    assert (file.hour, file.hour.tzinfo, file.rows) == (HOUR, UTC, 3)
    assert group_key(logs("s", 1, moment)) in file.groups


def test_batches_of_the_decoder_are_groups() -> None:
    """What ``process_otlp`` gives can be planned as it is."""
    batches = process_otlp(logs_request(3) + logs_request(2, "cart"), "logs").batches
    assert {file.folder: file.rows for file in plan_files(batches)} == {
        "logs/service=checkout/date=2026-07-01/hour=9": 3,
        "logs/service=cart/date=2026-07-01/hour=9": 2,
    }


def test_names() -> None:
    """A file is named by its batch, and by its part where there is more than one."""
    assert file_name(BATCH_ID) == f"{BATCH_ID}.parquet"
    assert file_name(BATCH_ID, 2) == f"{BATCH_ID}-2.parquet"
    assert PlannedFile("a/b", 1, "otel_logs", HOUR, {}).name("x") == "a/b/x-1.parquet"


OURS = FoundFile("otel_logs", BATCH_ID, 1, 10)


@pytest.mark.parametrize(
    ("found", "options", "expected"),
    [
        (OURS, {}, True),
        (None, {}, False),
        (replace(OURS, batch_id=OTHER_ID), {}, False),
        (replace(OURS, batch_id=None), {}, False),
        (replace(OURS, part=0), {}, False),
        (replace(OURS, part=None), {}, False),
        (OURS, {"rows": [9, 11]}, False),
        (OURS, {"rows": [9, 10]}, True),
        (OURS, {"rows": [9], "or_more": True}, True),
        (OURS, {"rows": [10], "or_more": True}, True),
        (OURS, {"rows": [11], "or_more": True}, False),
        (replace(OURS, batch_id=OTHER_ID), {"or_more": True}, False),
        (replace(OURS, part=0), {"or_more": True}, False),
        (None, {"or_more": True}, False),
    ],
)
def test_whose_a_file_is(
    found: FoundFile | None, options: dict[str, Any], expected: object
) -> None:
    """Batch, part and rows must be right; ``or_more`` loosens the rows and nothing else."""
    rows = options.pop("rows", [10])
    assert is_the_file(found, BATCH_ID, 1, rows, **options) is expected


def test_batch_ids() -> None:
    """The text of a UUID in its usual form is a batch id."""
    assert checked_batch_id(BATCH_ID) == BATCH_ID
    drawn = new_batch_id()
    assert checked_batch_id(drawn) == drawn


@pytest.mark.parametrize(
    "batch_id",
    [
        "",
        "b",
        "../../etc/passwd",
        BATCH_ID.upper().replace("0", "A", 1),
        BATCH_ID.replace("-", ""),
        f"{{{BATCH_ID}}}",
        f"urn:uuid:{BATCH_ID}",
        f"{BATCH_ID}-1",
        f"{BATCH_ID}\n",
        None,
        7,
        BATCH_ID.encode(),
    ],
)
def test_odd_batch_ids(batch_id: Any) -> None:
    """Nothing else becomes part of a file's name."""
    with pytest.raises(ValueError, match=r"batch id .*: expected the text of a UUID, such as new"):
        checked_batch_id(batch_id)
