"""The ledger: what each client sent and how it was answered, against the rows in the files.

Knows stamped requests and reads files with DuckDB. Must not import otlp2parquet. Rules:

- a request that was answered with 200 has each of its rows exactly once;
- one that was refused (any other answer) has none;
- one whose answer the client never saw has all of its rows once, or none;
- a request of which only a part was sent has none, and no row comes from anywhere else.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb

from tests.components.parquet_rows import FOLDERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.proofs.stamped import Template

Answer = int | None
"""A status, or None where the client never saw one."""


@dataclass
class Account:
    """One client's requests: which template each number was, and the answer."""

    service: str
    acknowledged: dict[int, Template] = field(default_factory=dict)
    unseen: dict[int, Template] = field(default_factory=dict)
    refused: Counter[int] = field(default_factory=Counter)

    def note(self, number: int, template: Template, answer: Answer) -> None:
        """Write down how request ``number`` ended."""
        if answer is None:
            self.unseen[number] = template
        elif answer == 200:
            self.acknowledged[number] = template
        else:
            self.refused[answer] += 1


@dataclass
class Verdict:
    """Rows by table: acknowledged, in the files, and of requests whose answer nobody saw."""

    acknowledged: Counter[str] = field(default_factory=Counter)
    stored: Counter[str] = field(default_factory=Counter)
    unseen: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def insist(self) -> None:
        """Raise ``AssertionError`` unless the files hold exactly what was acknowledged."""
        if self.faults:
            raise AssertionError("; ".join(self.faults[:20]))

    def figures(self) -> dict[str, object]:
        """For a report."""
        return {
            "requests": self.requests,
            "acknowledged": dict(sorted(self.acknowledged.items())),
            "stored": dict(sorted(self.stored.items())),
            "stored_without_a_seen_answer": dict(sorted(self.unseen.items())),
            "refused": {str(status): count for status, count in sorted(self.refused.items())},
        }


class Ledger:
    """All accounts of a run. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.accounts: dict[str, Account] = {}
        self.counted: dict[str, Counter[str]] = defaultdict(Counter)
        """Rows of services whose clients number nothing: all acknowledged, counted by table."""
        self.tallies: dict[str, tuple[Sequence[Template], int, int]] = {}
        """Templates used in turn, requests acknowledged, requests refused: clients that number
        their requests and saw all answers, but only counted them."""

    def open(self, service: str) -> Account:
        """A new client's account."""
        with self._lock:
            assert service not in self.accounts
            return self.accounts.setdefault(service, Account(service))

    def count(self, service: str, table: str, rows: int) -> None:
        """Rows that a client without numbers saw acknowledged."""
        with self._lock:
            self.counted[service][table] += rows

    def tally(
        self, service: str, templates: Sequence[Template], acknowledged: int, refused: int
    ) -> None:
        """A generator's requests; number ``n`` was made from template ``(n - 1) % 10**8``."""
        with self._lock:
            self.tallies[service] = (templates, acknowledged, refused)

    def compare(self, data: Path) -> Verdict:
        """The files under ``data`` against everything noted."""
        verdict = Verdict()
        for account in self.accounts.values():
            verdict.requests += len(account.acknowledged)
            verdict.refused += account.refused
            for template in account.acknowledged.values():
                verdict.acknowledged.update(template.rows)
        for rows in self.counted.values():
            verdict.acknowledged.update(rows)
        kept: dict[str, set[str]] = defaultdict(set)
        for table, folder in FOLDERS.items():
            found = stored_requests(data / folder)
            self._compare_table(found, table, verdict)
            for service, (templates, _, _) in self.tallies.items():
                _compare_tally(service, templates, found.get(service, {}), table, verdict)
                kept[service].update(found.get(service, {}))
        for service, (_, acknowledged, refused) in self.tallies.items():
            verdict.requests += acknowledged
            if refused:
                verdict.refused[503] += refused
            if len(kept[service]) != acknowledged:
                verdict.faults.append(
                    f"{service}: {len(kept[service])} requests have rows, "
                    f"{acknowledged} were acknowledged"
                )
        return verdict

    def _compare_table(
        self, found: Mapping[str, Mapping[str, int]], table: str, verdict: Verdict
    ) -> None:
        verdict.stored[table] = sum(sum(numbers.values()) for numbers in found.values())
        strangers = set(found) - set(self.accounts) - set(self.counted) - set(self.tallies)
        if strangers:
            verdict.faults.append(f"{table}: rows of unknown services {sorted(strangers)[:5]}")
        for service, counts in self.counted.items():
            rows = sum(found.get(service, {}).values())
            if rows != counts[table]:
                verdict.faults.append(f"{table}: {service} has {rows} rows, not {counts[table]}")
        for service, account in self.accounts.items():
            numbers = dict(found.get(service, {}))
            for number, template in account.acknowledged.items():
                wanted = template.rows.get(table, 0)
                rows = numbers.pop(f"{number:010d}", 0)
                if rows != wanted:
                    verdict.faults.append(
                        f"{table}: request {number} of {service}, acknowledged, "
                        f"has {rows} rows, not {wanted}"
                    )
            for number, template in account.unseen.items():
                wanted = template.rows.get(table, 0)
                rows = numbers.pop(f"{number:010d}", 0)
                verdict.unseen[table] += rows
                if rows not in (0, wanted):
                    verdict.faults.append(
                        f"{table}: request {number} of {service}, answer unseen, "
                        f"has {rows} rows, not 0 or {wanted}"
                    )
            if numbers:
                first, rows = next(iter(numbers.items()))
                verdict.faults.append(
                    f"{table}: {len(numbers)} requests of {service} were never acknowledged nor "
                    f"left open, but have rows (the first: {first} with {rows})"
                )


def _compare_tally(
    service: str,
    templates: Sequence[Template],
    numbers: Mapping[str, int],
    table: str,
    verdict: Verdict,
) -> None:
    """Each request that has rows has all of them; how many there are is compared elsewhere."""
    for number, rows in numbers.items():
        wanted = templates[(int(number) % 10**8 - 1) % len(templates)].rows.get(table, 0)
        verdict.acknowledged[table] += wanted
        if rows != wanted:
            verdict.faults.append(
                f"{table}: request {number} of {service} has {rows} rows, not {wanted}"
            )


def stored_requests(folder: Path) -> dict[str, dict[str, int]]:
    """Rows in the files under ``folder`` by service and request number."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    if any(folder.rglob("*.parquet")):
        with duckdb.connect(config={"threads": 1}) as connection:
            rows = connection.execute(
                "SELECT ServiceName, ScopeVersion, count(*) "
                "FROM read_parquet($files, hive_partitioning = false) GROUP BY ALL",
                {"files": f"{folder}/**/*.parquet"},
            ).fetchall()
        for service, number, count in rows:
            found[service][number] = count
    return found
