"""Over a bucket: kill -9 between upload and note, and an outage, lose and double nothing.

Some kills and seconds in an ordinary run; with ``--full`` (``make prove-bucket``) as many as
``TESTS_UPLOAD_KILLS`` (200) and ``TESTS_OUTAGE_SECS`` (600) say. The server is
versitygw, whose bucket is a folder: so the judge reads files, and nothing of ours.
"""

from __future__ import annotations

import os
import random
import threading
from typing import TYPE_CHECKING

from tests.components.process import wait_until
from tests.components.s3 import BUCKET, CREDENTIALS, Versitygw
from tests.proofs.outage import MEMORY_BYTES, SETTINGS, outage, outage_secs
from tests.support.obligations import CLEAN, Client, judge_clients, sending
from tests.support.proxy import Asked, Proxy, Trouble
from tests.support.server_process import Server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

SMALL = {"OTLP2PARQUET_BATCH_MAX_ROWS": "60", "OTLP2PARQUET_BATCH_MAX_AGE_SECS": "0.2"}
"""Many files, so that each start meets a kill soon."""


def settings_for(proxy: Proxy) -> dict[str, str]:
    """Those of a server that writes to the bucket behind the proxy."""
    url = f"s3://{BUCKET}/tables?endpoint={proxy.endpoint}"
    ours = {"OTLP2PARQUET_STORAGE_TIMEOUT_SECS": "2", "OTLP2PARQUET_STORAGE_URL": url}
    return CREDENTIALS | SETTINGS | ours


def segments(folder: Path) -> list[Path]:
    """What is in the log."""
    return list((folder / ".otlp2parquet").glob("*.segment"))


def test_kill_9_between_upload_and_note(
    tmp_path: Path, request: pytest.FixtureRequest, record: Callable[..., None]
) -> None:
    """The file is in the bucket and nobody knows: the next start finds it, and doubles nothing."""
    is_full = request.config.getoption("--full")
    kills = int(os.environ.get("TESTS_UPLOAD_KILLS", "200")) if is_full else 4
    dice = random.Random(5)
    where: list[int | None] = [None]
    clients = [Client(number, lambda: where[0], lambda: 0) for number in range(3)]
    with Versitygw(tmp_path) as s3, Proxy(s3.port) as proxy:
        settings = settings_for(proxy) | SMALL
        with sending(clients):
            for _ in range(kills):
                killed = threading.Event()
                left = [dice.randrange(6)]
                with Server(tmp_path, settings=settings) as server:

                    def kill(killed: threading.Event = killed, server: Server = server) -> None:
                        where[0] = None
                        server.kill()
                        killed.set()

                    def script(
                        asked: Asked,
                        left: list[int] = left,
                        kill: Callable[[], None] = kill,
                    ) -> Trouble | None:
                        if asked.method != "PUT":
                            return None
                        left[0] -= 1
                        return Trouble(then=kill, lose_answer=True) if left[0] == -1 else None

                    proxy.script = script
                    where[0] = server.port
                    assert killed.wait(120), server.log
        proxy.script = lambda _: None
        with Server(tmp_path, settings=settings) as server:
            wait_until(lambda: not segments(tmp_path), 120, lambda: server.log)
            assert server.stop() == 0
    verdict, records = judge_clients(tmp_path / "s3" / BUCKET / "tables", clients)
    assert verdict == CLEAN
    assert records > kills
    record("upload_kill", kills=kills, records=records, verdict=verdict)


def test_a_bucket_that_is_away(
    tmp_path: Path, request: pytest.FixtureRequest, record: Callable[..., None]
) -> None:
    """Down and hanging for most of the time, then all sorts of trouble at once, then up."""
    secs = outage_secs(request)
    dice = random.Random(3)
    bad = [
        Trouble(status=503, code="SlowDown", retry_after=1),
        Trouble(status=500),
        Trouble(lose_answer=True),
        Trouble(cut_after=500),
        Trouble(hang=True),
        None,
        None,
    ]
    down = [Trouble(status=503), Trouble(hang=True), Trouble(cut_after=0)]
    with (
        Versitygw(tmp_path) as s3,
        Proxy(s3.port) as proxy,
        Server(tmp_path, settings=settings_for(proxy)) as server,
    ):
        with outage(server) as running:
            proxy.script = lambda _: dice.choice(down)
            running.last(secs)
            proxy.script = lambda _: dice.choice(bad)
            running.last(secs / 2)
            proxy.script = lambda _: None
            running.answers()
        wait_until(lambda: not segments(tmp_path), 240 + 2 * secs, lambda: server.log)
        assert server.stop() == 0
    verdict, records = judge_clients(tmp_path / "s3" / BUCKET / "tables", running.clients)
    assert not any(client.refused or client.unanswered for client in running.clients)
    assert verdict == CLEAN
    assert running.peak < MEMORY_BYTES + (250 << 20)
    record(
        "bucket_outage",
        down_secs=secs,
        flapping_secs=secs / 2,
        records=records,
        verdict=verdict,
        peak_rss=running.peak,
        memory_bytes=MEMORY_BYTES,
    )
