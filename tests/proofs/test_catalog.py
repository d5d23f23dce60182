"""A catalog in storms, away, and with writers that end anywhere: every file in its table once.

Some commits, kills and seconds in an ordinary run; with ``--full`` (``make prove-catalog``) as many
as ``TESTS_COMMITS`` (200 of each of four writers), ``TESTS_OUTAGE_SECS`` (600) and
``TESTS_KILLS`` (200) say. Servers are real processes over a real S3 server whose bucket is
a folder; rows are counted by DuckDB over the very files that the tables name.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from otlp2parquet.catalogs.nessie import iceberg_uri
from tests.components import nessie
from tests.components.process import wait_until
from tests.components.s3 import BUCKET, Versitygw
from tests.proofs.catalog import (
    LAKE,
    LOGS,
    NAMESPACE,
    SIGNAL_TABLES,
    STEPS,
    Storm,
    Writer,
    all_files,
    bucket_settings,
    catalog_at,
    check_files,
    deleted_data,
    files_of,
    receipts_in,
    rows_in,
    settings_for,
)
from tests.proofs.outage import MEMORY_BYTES, outage, outage_secs
from tests.support.catalog_server import is_committed
from tests.support.obligations import CLEAN, Client, judge_found, sending, wait_for_answers
from tests.support.proxy import Proxy, Trouble
from tests.support.rest_catalog import RestCatalogServer
from tests.support.server_process import Server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COMMITTED_SECS = 60.0
"""How long a catalog that is back may take to have everything."""
SMALL = {"OTLP2PARQUET_BATCH_MAX_AGE_SECS": "0.2"}


def number(name: str, full: int, short: int, request: pytest.FixtureRequest) -> int:
    """How much of something: little in an ordinary run, else what the environment says."""
    return int(os.environ.get(name, str(full))) if request.config.getoption("--full") else short


@pytest.mark.parametrize("expiring", [False, True], ids=["keeping", "expiring"])
def test_a_storm_of_conflicts(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    record: Callable[..., None],
    expiring: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Conflicts, lost answers and kills at each step between load and removal of the receipt.

    Once with as many snapshots kept as usual, and once with all but two expiring at each commit.
    """
    is_full = request.config.getoption("--full")
    writers_count = 4 if is_full else 2
    goal = number("TESTS_COMMITS", 200, 5, request)
    settings = {**SMALL, "OTLP2PARQUET_ICEBERG_KEEP_SNAPSHOTS": "2" if expiring else "100"}
    storm = Storm(seed=7 + expiring, lost=goal if is_full else 3)
    # In an ordinary run each of the two forms has half of the steps.
    wanted = STEPS if is_full else STEPS[expiring::2]
    steps = [step for step in wanted for _ in range(6 if is_full else 1)]
    random.Random(3).shuffle(steps)
    kills = len(steps)
    with contextlib.ExitStack() as stack:
        s3 = stack.enter_context(Versitygw(tmp_path))
        rest = RestCatalogServer(tmp_path, location=f"s3://{BUCKET}/{LAKE}")
        stack.enter_context(rest)
        proxies = [
            (stack.enter_context(Proxy(s3.port)), stack.enter_context(Proxy(rest.port)))
            for _ in range(writers_count)
        ]
        writers: list[Writer] = []
        for one, (to_s3, to_catalog) in enumerate(proxies):
            writer = Writer(
                tmp_path / f"writer{one}",
                one,
                to_s3,
                to_catalog,
                settings=settings,
                catalog_trouble=partial(storm.trouble, partial(writers.__getitem__, one)),
            )
            writers.append(writer)
            stack.callback(writer.end)
        with sending([writer.client for writer in writers]):

            def is_done() -> bool:
                for writer in writers:
                    writer.revive()
                    if steps and not writer.is_waiting_to_end:
                        writer.end_at(steps.pop())
                enough = all(writer.commits >= goal for writer in writers)
                killed = sum(len(writer.kills) for writer in writers)
                return enough and killed >= kills and storm.has_lost_enough

            wait_until(is_done, 60 + 10 * goal, lambda: _state(writers, storm))
        storm.is_over = True  # the rest is committed undisturbed
        for writer in writers:
            writer.finish()
        bucket = tmp_path / "s3" / BUCKET
        catalog = catalog_at(rest.uri, s3.endpoint)
        files = check_files(catalog, bucket, [LOGS])
        snapshots = len(catalog.load_table(f"{NAMESPACE}.{LOGS}").metadata.snapshots)
        deleted = [path for proxy, _ in proxies for path in deleted_data(proxy)]
    verdict, records = judge_found(rows_in(files), [writer.client for writer in writers])
    assert verdict == CLEAN
    assert deleted == []
    assert (snapshots == 2) == expiring
    assert {name for writer in writers for name in writer.kills} == {step.name for step in wanted}
    record(
        f"catalog_storm_{'expiring' if expiring else 'keeping'}",
        writers=writers_count,
        commits=sum(writer.commits for writer in writers),
        fewest_commits=min(writer.commits for writer in writers),
        conflicts=storm.conflicts,
        lost_answers=storm.lost,
        kills=kills,
        steps=len(STEPS),
        files=len(files[LOGS]),
        snapshots=snapshots,
        records=records,
        verdict=verdict,
    )


def test_a_catalog_that_is_away(
    tmp_path: Path, request: pytest.FixtureRequest, record: Callable[..., None]
) -> None:
    """It refuses, hangs and cuts under load: nobody notices, and then all is committed soon."""
    secs = outage_secs(request)
    is_full = request.config.getoption("--full")
    ours = {"OTLP2PARQUET_LOG_LEVEL": "warn"}
    if not is_full:
        ours["OTLP2PARQUET_ICEBERG_TIMEOUT_SECS"] = "3"
    dice = random.Random(5)
    down = [Trouble(status=503), Trouble(hang=True), Trouble(cut_after=0)]
    bucket = tmp_path / "s3" / BUCKET
    with (
        Versitygw(tmp_path) as s3,
        RestCatalogServer(tmp_path, location=f"s3://{BUCKET}/{LAKE}") as rest,
        Proxy(s3.port) as to_s3,
        Proxy(rest.port) as to_catalog,
        Server(tmp_path, settings=settings_for(to_s3, to_catalog.endpoint) | ours) as server,
    ):
        with outage(server) as running:
            # Behind their first snapshots: so it is known where the tables lie.
            wait_until(lambda: has_files(rest, 3), 60, lambda: server.log)
            to_catalog.script = lambda _: dice.choice(down)
            running.last(secs)
            waiting = receipts_in(bucket)
            wanted = {file for path in waiting for file in files_of(path)}
            to_catalog.script = lambda _: None
            back = time.monotonic()
            catalog = catalog_at(rest.uri, s3.endpoint)
            # Looking costs much of what the proxies need, so that it is looked once a second.
            while not wanted <= all_files(catalog):
                assert time.monotonic() < back + COMMITTED_SECS, server.log
                threading.Event().wait(1.0)
            committed_secs = time.monotonic() - back
        wait_until(lambda: is_committed(server), 60, lambda: server.log)
        wait_until(lambda: not receipts_in(bucket), 240, lambda: server.log)
        files = check_files(catalog, bucket, SIGNAL_TABLES.values())
        assert server.stop() == 0
        assert deleted_data(to_s3) == []
    verdict, records = judge_found(rows_in(files), running.clients)
    assert not any(client.refused or client.unanswered for client in running.clients)
    assert verdict == CLEAN
    assert len(waiting) > secs / 2, "receipts have to wait, else nothing is proved"
    assert running.peak < MEMORY_BYTES + (250 << 20)
    record(
        "catalog_outage",
        down_secs=secs,
        receipts=len(waiting),
        files=len(wanted),
        committed_secs=round(committed_secs, 1),
        records=records,
        verdict=verdict,
        peak_rss=running.peak,
        memory_bytes=MEMORY_BYTES,
    )


def has_files(catalog: RestCatalogServer, tables: int) -> bool:
    """Whether so many tables have had files committed to them."""
    with catalog.state.lock:
        there = list(catalog.state.tables.values())
    return sum(len(metadata.snapshots) > 1 for metadata in there) == tables


@pytest.mark.parametrize("kind", ["sql", "nessie"])
def test_kill_9_over_s3_and_a_catalog(
    tmp_path: Path, request: pytest.FixtureRequest, record: Callable[..., None], kind: str
) -> None:
    """The crash ledger of durability, with rows that have to come out of the tables."""
    given = request.config.getoption
    if kind == "nessie" and not given("--full") and not given("--catalogs"):
        pytest.skip("a real Nessie takes its time to start: --catalogs")
    kills = number("TESTS_KILLS", 200, 4, request)
    dice = random.Random(13)
    where: list[int | None] = [None]
    clients = [Client(one, lambda: where[0], lambda: 0, pause_secs=0.01) for one in range(4)]
    with contextlib.ExitStack() as stack:
        s3 = stack.enter_context(Versitygw(tmp_path))
        if kind == "nessie":
            uri = stack.enter_context(nessie.Nessie(tmp_path, s3.endpoint)).uri
            ours = {"OTLP2PARQUET_ICEBERG_REST_URI": uri}
            uri = iceberg_uri(uri)
        else:
            uri = f"sqlite:///{tmp_path}/catalog.db"
            ours = {"OTLP2PARQUET_CATALOG_TYPE": "sql", "OTLP2PARQUET_CATALOG_URI": uri,
                    "OTLP2PARQUET_CATALOG_WAREHOUSE": f"s3://{BUCKET}/{LAKE}"}  # fmt: skip
        settings = {**bucket_settings(s3.endpoint), **SMALL, **ours}
        with sending(clients):
            for _ in range(kills):
                with Server(tmp_path, settings=settings) as server:
                    where[0] = server.port
                    wait_for_answers(clients, dice.choice((1, 3, 10)))
                    # So that kills fall on every moment of storing and committing.
                    threading.Event().wait(dice.uniform(0.0, 1.0))
                    where[0] = None
                    server.kill()
        with Server(tmp_path, settings=settings) as server:
            wait_until(lambda: is_committed(server), 120, lambda: server.log)
            assert server.stop() == 0
        catalog = catalog_at(uri, s3.endpoint)
        bucket = tmp_path / "s3" / BUCKET
        files = check_files(catalog, bucket, SIGNAL_TABLES.values())
    verdict, records = judge_found(rows_in(files), clients)
    assert verdict == CLEAN
    record(
        f"catalog_kill_{kind}",
        kind=kind,
        kills=kills,
        files=sum(len(some) for some in files.values()),
        records=records,
        verdict=verdict,
    )


def _state(writers: list[Writer], storm: Storm) -> str:
    counts = [(writer.commits, len(writer.kills)) for writer in writers]
    return f"commits and kills {counts}, lost {storm.lost}\n{writers[0].server.log[-4000:]}"
