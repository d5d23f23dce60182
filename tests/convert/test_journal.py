"""Names of requests, and the files in which they are found again."""

from __future__ import annotations

import io
import random
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.convert import Journal, keys, open_journal
from otlp2parquet.convert.keys import KeyFile, mergeable, write_keys, write_merged
from otlp2parquet.convert.naming import MARK, NAME, Occurrences, name_of
from otlp2parquet.errors import StorageRefusedError
from tests.support.memory_store import MemoryStore

if TYPE_CHECKING:
    from pathlib import Path


def key_file(names: list[tuple[int, int]]) -> KeyFile:
    """A file of names, in memory."""
    sink = io.BytesIO()
    write_keys(b"".join(NAME.pack(*name) for name in names), sink)
    return KeyFile(sink.getvalue())


@pytest.mark.parametrize("count", [0, 1, 2, 1000, 20_000])
def test_names_are_found(count: int) -> None:
    """Each name that is there is found with its mark, and no other."""
    chance = random.Random(count)
    names = [name_of(chance.randbytes(32), 1) for _ in range(count)]
    marks = [chance.randrange(2) for _ in names]
    file = key_file([(one, two | mark) for (one, two), mark in zip(names, marks, strict=True)])
    assert file.count == count
    assert [file.mark_of(name) for name in names] == marks
    assert {file.mark_of(name_of(chance.randbytes(32), 1)) for _ in range(1000)} == {None}


def test_names_that_agree_in_part() -> None:
    """Names are told apart by both of their numbers, at the ends of the range too."""
    most = (1 << 64) - 1
    names = [(first, second) for first in (0, 7, most) for second in (0, 2, 4, most - 1)]
    file = key_file([(first, second | MARK) for first, second in names])
    assert {file.mark_of(name) for name in names} == {MARK}
    for first in (0, 1, 7, 8, most):
        assert file.mark_of((first, 6)) is None


def test_merging_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of many files are one sorted file."""
    monkeypatch.setattr(keys, "_SORTED_AT_ONCE", 100)
    chance = random.Random(1)
    names = [name_of(chance.randbytes(32), 1) for _ in range(1000)]
    files = [key_file(names[start : start + 300]) for start in range(0, 1000, 300)]
    sink = io.BytesIO()
    write_merged(files, sink)
    whole = KeyFile(sink.getvalue())
    assert whole.count == 1000
    assert all(whole.mark_of(name) == 0 for name in names)


def test_small_files_become_one() -> None:
    """A large file is not written again for a small one."""
    small, medium, large = (key_file([(n, 0) for n in range(size)]) for size in (10, 15, 1000))
    assert mergeable([large, small]) == []
    assert mergeable([large, medium, small]) == [small, medium]


def test_many_small_runs_leave_few_files() -> None:
    """However often a conversion is repeated over growing inputs."""
    store = MemoryStore()
    chance = random.Random(2)
    for _ in range(100):
        sink = io.BytesIO()
        write_keys(chance.randbytes(160), sink)
        store.objects[f".otlp2parquet/converted/{chance.random()}.keys"] = sink.getvalue()
        Journal(store)
    assert len(store.objects) < 8
    assert sum(KeyFile(data).count for data in store.objects.values()) == 1000


def test_occurrences_are_counted() -> None:
    """As a dictionary would, in a small part of its memory."""
    chance = random.Random(3)
    contents = [chance.randbytes(32) for _ in range(5000)] + [bytes(32)]
    seen: Counter[bytes] = Counter()
    occurrences = Occurrences()
    for _ in range(20_000):
        content = contents[min(int(chance.expovariate(0.001)), 5000)]
        seen[content] += 1
        assert occurrences.count(content) == seen[content]
    assert max(seen.values()) > 255 or occurrences.count(contents[0]) > 1
    for _ in range(1000):
        seen[contents[-1]] += 1
        assert occurrences.count(contents[-1]) == seen[contents[-1]]


def test_a_lock_goes_with_its_process(tmp_path: Path) -> None:
    """However it ends; nothing is left of a journal in which nothing was written."""
    program = (
        "import os, sys\nfrom otlp2parquet.convert import open_journal\n"
        "with open_journal(sys.argv[1]):\n    print('locked', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "out")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        refused = pytest.raises(StorageRefusedError, match=rf"process {process.pid} on")
        with refused, open_journal(tmp_path / "out"):
            pass
        process.kill()
        process.wait(timeout=60)
    with open_journal(tmp_path / "out") as journal:
        assert journal.is_empty
    with open_journal(tmp_path / "new" / "out"):
        pass
    assert not (tmp_path / "new").exists()
