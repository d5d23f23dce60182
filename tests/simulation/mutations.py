"""Faults to put into the product, each of which the simulation has to find.

A mutation replaces pieces of the source by others. It names modules and text, so that it fails
loudly when the product has changed and the mutation says nothing any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.simulation.instrumented import Replacement
    from tests.simulation.script import Focus


@dataclass(frozen=True, slots=True)
class Mutation:
    """What is replaced, by module, and where it is worth looking for it."""

    replacements: Mapping[str, Sequence[Replacement]]
    focus: Focus = ""


_BATCHES: Final = "otlp2parquet.batches"
_STORING: Final = f"{_BATCHES}.storing"
_PLANNING: Final = f"{_BATCHES}.planning"
_SCHEDULE: Final = f"{_BATCHES}.schedule"
_STATES: Final = f"{_BATCHES}.states"
_INGEST: Final = f"{_BATCHES}.ingest"
_SEGMENT: Final = f"{_BATCHES}.log.segment"
_GROUP_COMMIT: Final = f"{_BATCHES}.log.group_commit"
_FILES: Final = "otlp2parquet.core.files"

MUTATIONS: Final[Mapping[str, Mutation]] = {
    # A batch has two readers, a file is written twice, and the batch is finished by a count.
    "two readers of a batch": Mutation({
        _SCHEDULE: (
            (
                "if batch.phase is Phase.STORING and not batch.threads:",
                "if batch.phase is Phase.STORING and batch.stores >= len(batch.files):",
            ),
        ),
        _STATES: (
            (
                ("            return True\n"
                "        return self.phase is Phase.STORING and "
                "self.count(FileState.GIVEN_BACK) > 0"),
                ("            return True\n"
                "        return self.phase in (Phase.STORING, Phase.READING) and any(\n"
                "            one.state in (FileState.GIVEN_BACK, FileState.WRITING)\n"
                "            and one.attempts for one in self.files)"),
            ),
            ('    """How often it was sent to rest."""\n',
             '    """How often it was sent to rest."""\n    stores: int = 0\n'),
        ),
        _STORING: (
            (
                ("                for progress in storing.in_state(FileState.GIVEN_BACK):\n"
                "                    if progress.file not in given:"),
                ("                for progress in storing.files:\n"
                "                    if progress.state is FileState.STORED:\n"
                "                        continue\n"
                "                    if progress.file not in given:"),
            ),
            (
                ("            storing.move(progress, FileState.STORED)\n"
                "            self._schedule.doubts.succeeded(storing)\n"),
                ("            storing.move(progress, FileState.STORED)\n"
                "            storing.stores += 1\n"
                "            self._schedule.doubts.succeeded(storing)\n"),
            ),
        ),
    }),
    "a failed group is not cut": Mutation({
        _GROUP_COMMIT: (
            ("            segment.cut()\n        except", "            pass\n        except"),
            ("                self._uncut[-1].cut()\n", ""),
        ),
        _SEGMENT: (
            ("        self.cut()\n        if self._state is _State.GONE:",
             "        if self._state is _State.GONE:"),
        ),
    }, "disk"),
    "the names in the log's folder are not synced": Mutation({
        _SEGMENT: (
            ("        if is_new:\n            self._owner.folder.sync()\n", ""),
        ),
    }, "fsync"),
    "a group is acknowledged without a sync": Mutation({
        _SEGMENT: (("        self._disk.sync(descriptor)\n", ""),),
    }, "fsync"),
    "a group that failed is acknowledged": Mutation({
        _GROUP_COMMIT: (
            ("                        entry.acknowledge(error)",
             "                        entry.acknowledge(None)"),
        ),
    }, "disk"),
    "a segment that was removed is written on": Mutation({
        _SEGMENT: (
            ("if descriptor is None or self._state", "if True or self._state"),
        ),
    }, "folder"),
    "closed segments stay open": Mutation({
        _SEGMENT: (
            ("        if not self._holds_open and self._state is not _State.GONE:",
             "        if False:"),
        ),
    }, "store"),
    "any file that has the name is taken for ours": Mutation({
        _FILES: (
            (("    if found is None or found.batch_id != batch_id or found.part != part:\n"
             "        return False\n"
             "    return found.rows in rows or (or_more and found.rows > min(rows))"),
             "    return True"),
        ),
    }, "foreign"),
    "a retry may not meet its own file": Mutation({
        _STORING: (
            ('    return "same" if progress.attempts else "refuse"', '    return "refuse"'),
        ),
    }),
    "paths that differ in case share a name": Mutation({
        _FILES: (
            ("for component in folder.lower().split", "for component in folder.split"),
        ),
    }, "folds"),
    "a plan of another time is forgotten": Mutation({
        _STORING: (
            ("        before = batch_log.plan or batch_log.destination\n",
             "        before = None\n"),
        ),
    }, "roots"),
    "a file is noted before it is stored": Mutation({
        _STORING: (
            ("        receipt = storing.writer.store(\n",
             ("        batch.log.note(\n"
             "            StoredFile(progress.file.name(batch.id), progress.file.rows, 1)\n"
             "        )\n"
             "        receipt = storing.writer.store(\n")),
        ),
    }),
    "a batch is finished before its last file": Mutation({
        _SCHEDULE: (
            ("if batch.phase is Phase.STORING and not batch.threads:",
             "if batch.phase is Phase.STORING and batch.count(FileState.STORED):"),
        ),
    }),
    "rows that cannot be read again leave memory": Mutation({
        _STORING: (
            ("        if storing.rereads:\n            progress.let_go()",
             "        if True:\n            progress.let_go()"),
        ),
    }, "memory"),
    "what rests is never woken": Mutation({
        _STORING: (
            ("            later = self._schedule.wake(now)\n", "            later = None\n"),
        ),
    }),
    "what is refused is not taken back": Mutation({
        _STORING: (
            ("        storing.writer.take_back(progress.file, storing.batch.id)\n", ""),
        ),
    }, "stored"),
    "memory of files that were stored before stays taken": Mutation({
        _STORING: (
            ("            for share in given.values():\n                share.release()\n",
             "            pass\n"),
            (("                for share in given.values():\n"
              "                    share.release()\n"),
             ""),
        ),
    }),
    "rows are appended to a batch that is closed": Mutation({
        _INGEST: (
            ("                if shard.is_finished:\n                    continue",
             "                if False:\n                    continue"),
        ),
    }),
    "a stop does not wait": Mutation({
        _INGEST: (
            ("        stored = self._storing.drain(",
             "        stored = True\n        self._storing.drain(0.0 and "),
        ),
    }, "memory"),
    "a batch is forgotten before it is finished": Mutation({
        _STORING: (
            (
                "            finisher.finish(batch.id, storing.writer.root, files)\n",
                "            pass\n",
            ),
        ),
    }),
    "the rows of services are mixed": Mutation({
        _PLANNING: (
            ("key=lambda group: places[group.service or None])",
             "key=lambda group: -places[group.service or None])"),
        ),
    }),
    "an exception of a step ends its thread": Mutation({
        _STORING: (
            ("        except Exception as error:  # noqa: BLE001",
             "        except StorageError as error:  # noqa: BLE001"),
        ),
    }),
    "a flush leaves the open batch open": Mutation({
        _INGEST: (('            self._close_open(self._open, "flush")\n', "            pass\n"),),
    }),
    "a flush waits for one batch": Mutation({
        _STORING: (("waiting = sum(not one.is_settled", "waiting = any(not one.is_settled"),),
    }),
    "a flush passes by what is not submitted yet": Mutation({
        _INGEST: (("            self._ahead.add(turn)\n        try:", "        try:"),),
    }, "fsync"),
    "the turn of a flush never comes": Mutation({
        _INGEST: (
            ("            over = self._pass(turn)\n        tell(over)",
             "            over = ()\n        tell(over)"),
        ),
    }),
}  # fmt: skip


def mutation_of(name: str) -> Mutation:
    """The mutation of this name; none for the empty one."""
    return MUTATIONS[name] if name else Mutation({})
