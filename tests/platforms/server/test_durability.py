"""What a 200 means in each mode, as clients and operators meet it."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from otlp2parquet import __version__
from otlp2parquet.batches.log.none import NoLog
from otlp2parquet.errors import StorageError
from otlp2parquet.platforms.acknowledgements import Acknowledgements
from otlp2parquet.platforms.server.application import Application
from tests.components.process import wait_until
from tests.support.asgi_bench import ask, logs_request, parts_of, with_length
from tests.support.batches_bench import NOW, Bench, logs
from tests.support.doubles import Recorder
from tests.support.node import Answer, Node, one
from tests.support.server_process import COMMAND, Server, bodies_in, environment, logs_of
from tests.support.waiting import PATIENCE_SECS, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.asgi_bench import Answer as Response


# -- stored ----------------------------------------------------------------------------------


class Stored(Bench):
    """Batches in the mode ``stored`` over a recorder and a clock."""

    def __init__(self, writer: Recorder) -> None:
        super().__init__(writer=writer, threads=3, log=NoLog(until_stored=True))

    def ask(self, payload: bytes) -> Answer:
        """Append one request of logs; what it is told."""
        answer = Answer()
        self.append(payload, acknowledge=answer)
        return answer


def test_stored_answers_once_the_files_are_there() -> None:
    """The first request is stored at once; what comes meanwhile shares the next batch."""
    gate = threading.Event()
    writer = Recorder(gates={"sslow": gate})
    mode = Stored(writer)
    first = mode.ask(one("slow"))
    wait_for(lambda: writer.attempts == ["sslow"])
    later = [mode.ask(logs(1)) for _ in range(5)]
    assert not first.told.is_set()
    gate.set()
    assert all(answer.is_kept for answer in (first, *later))
    wait_for(lambda: mode.storing.is_idle)
    assert [written.rows for written in writer.files] == [1, 5]
    assert mode.budget.used == 0
    mode.storing.stop()


def test_stored_waits_a_second_for_the_batch_before_at_most() -> None:
    """A batch that hangs does not hold up all that follow."""
    gate = threading.Event()
    writer = Recorder(gates={"sstuck": gate})
    mode = Stored(writer)
    stuck = mode.ask(one("stuck"))
    wait_for(lambda: writer.attempts == ["sstuck"])
    answer = mode.ask(one(1))
    mode.clock.now += 0.9
    mode.ingest.tick()
    assert mode.ingest.status().open_rows == 1
    mode.clock.now += 0.1
    mode.ingest.tick()
    assert answer.is_kept
    assert not stuck.told.is_set()
    gate.set()
    assert stuck.is_kept
    mode.storing.stop()


def test_stored_refuses_what_cannot_be_stored_and_keeps_nothing_of_it() -> None:
    """Nobody was promised it: the client sends it again, and it is not stored later as well."""
    writer = Recorder(fail=lambda _: StorageError("no such bucket"))
    mode = Stored(writer)
    answer = mode.ask(one(1))
    assert not answer.is_kept
    assert str(answer.error) == "the storage failed, send it again"
    assert mode.ingest.status().backlog.last_error == "no such bucket"
    assert mode.budget.used == 0
    writer.fail = lambda _: None
    mode.clock.now += 1000
    mode.ingest.tick()
    assert mode.ask(one(2)).is_kept
    assert mode.ingest.drain(PATIENCE_SECS)
    assert [written.service for written in writer.files] == ["s2"]


# -- the application over the log ------------------------------------------------------------


def application(node: Node) -> Application:
    """An application over a node's batches."""
    return Application(
        node.ingest,
        node.budget,
        Acknowledgements(),
        threads=2,
        max_payload_bytes=1 << 20,
        mode="fsync",
        monotonic=node.clock,
        time_ns=lambda: NOW,
    )


def get(app: Application, path: str) -> Response:
    """One page."""
    return asyncio.run(ask(app, path=path, method="GET"))


@pytest.mark.parametrize("rows", [1, 3000])
def test_a_200_waits_for_the_sync_and_the_loop_does_not(tmp_path: Path, rows: int) -> None:
    """A small body and one for the pool: no answer before the sync, other requests meanwhile."""
    with Node(tmp_path) as node:
        app = application(node)
        node.disk.hold()

        async def scenario() -> Response:
            task = asyncio.create_task(ask(app, parts_of(logs_request(rows))))
            await asyncio.to_thread(node.disk.entered.wait, PATIENCE_SECS)
            health = await ask(app, path="/health", method="GET")
            assert (health.status, task.done()) == (200, False)
            node.disk.gate.set()
            return await task

        assert asyncio.run(scenario()).status == 200
        app.exports.close()  # what stop() does, without a drain


def test_a_failed_group_is_a_503_and_then_the_body_is_not_read(
    tmp_path: Path,
) -> None:
    """With Retry-After; while the log is in trouble no body is taken, and /ready says why."""
    full = OSError(28, "No space left on device")
    payload = logs_request(5)
    with Node(tmp_path) as node:
        app = application(node)
        node.disk.fail = lambda call, _: full if call == "sync" else None
        answer = asyncio.run(ask(app, parts_of(payload), headers=with_length(payload)))
        node.disk.fail = lambda _call, _what: None
        assert answer.status == 503
        assert b"retry-after" in answer.headers
        assert b"no space left" in answer.body
        answer = asyncio.run(ask(app, parts_of(payload), headers=with_length(payload)))
        assert (answer.status, answer.received_before) == (503, 0)
        ready = get(app, "/ready")
        assert ready.status == 503
        (reason,) = json.loads(ready.body)["reasons"]
        assert reason == "the log cannot be written: no space left on device"
        node.wait_with_ticks(lambda: node.ingest.refusal() is None, 1)
        assert get(app, "/ready").status == 200
        answer = asyncio.run(ask(app, parts_of(payload), headers=with_length(payload)))
        assert answer.status == 200
        node.settle()
        assert node.ingest.status().open_rows == 5
        assert app.exports.counts.refused == {"log": 2}


def test_a_client_that_leaves_while_its_answer_waits_disturbs_nobody(
    tmp_path: Path,
) -> None:
    """Its task is gone when the log's thread comes back."""
    with Node(tmp_path) as node:
        app = application(node)
        node.disk.hold()

        async def scenario() -> Response:
            gone = asyncio.create_task(ask(app, parts_of(logs_request(1))))
            await asyncio.to_thread(node.disk.entered.wait, PATIENCE_SECS)
            stays = asyncio.create_task(ask(app, parts_of(logs_request(1))))
            gone.cancel()
            with pytest.raises(AssertionError, match="no answer"):
                await gone
            node.disk.gate.set()
            return await stays

        assert asyncio.run(scenario()).status == 200


def numbers(page: bytes) -> dict[str, float]:
    """A page of metrics as another program reads it: name and labels to value."""
    return {
        sample.name + "".join(f",{key}={value}" for key, value in sorted(sample.labels.items())):
        sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }  # fmt: skip


def test_the_metrics_count_what_happened(tmp_path: Path) -> None:
    """Requests, records, bytes, refusals, batches, log, memory, replay; the parser is theirs."""
    with Node(tmp_path) as node:
        node.keep(one("left"))
        node.crash()
    with Node(tmp_path) as node:
        node.settle()
        app = application(node)
        payload = logs_request(7)
        asyncio.run(ask(app, parts_of(payload)))
        asyncio.run(ask(app, parts_of(b"\xff")))
        bad = logs_request(2, attributes=10_001)
        asyncio.run(ask(app, parts_of(bad)))
        asyncio.run(ask(app, path="/other"))
        node.disk.share = 0.95
        node.tick(1)
        wait_for(lambda: node.ingest.refusal() is not None)  # the log's thread looks
        asyncio.run(ask(app, parts_of(payload)))
        page = get(app, "/metrics")
        assert page.headers[b"content-type"].startswith(b"text/plain; version=0.0.4")
        found = numbers(page.body)
        usage = node.log.usage()
        expected: dict[str, Any] = {
            f"info,mode=fsync,version={__version__}": 1,
            "requests_total,code=200,signal=logs": 2,
            "requests_total,code=400,signal=logs": 1,
            "requests_total,code=503,signal=logs": 1,
            "requests_total,code=404,signal=": 1,
            "refused_requests_total,reason=log": 1,
            "received_bytes_total,signal=logs": len(payload) + 1 + len(bad),
            "accepted_records_total,signal=logs": 8,
            "rejected_records_total,signal=logs": 1,
            "open_rows": 8,
            "waiting_batches": 0,
            "waiting_replays": 0,
            "memory_bytes": node.budget.used,
            "memory_limit_bytes": 512 << 20,
            "log_bytes": usage.bytes,
            "log_limit_bytes": 1 << 30,
            "log_disk_used_ratio": 0.95,
            "stored_batches_total": 1,
            "replayed_batches_total": 1,
            "stored_rows_total": 1,
            "stored_files_total": 1,
            "log_records_total": node.counts.log_records,
            "log_sync_seconds_count": node.counts.log_groups,
            "log_sync_seconds_bucket,le=+Inf": node.counts.log_groups,
            "log_failures_total": 0,
            "log_damaged_records_total": 0,
            "storage_failures_total": 0,
            "resting_batches": 0,
            "left_batches": 0,
            "lost_batches_total": 0,
            "taken_names_total": 0,
            "replay_differences_total": 0,
        }
        assert usage.bytes > 0
        for name, value in expected.items():
            assert (name, found[f"otlp2parquet_{name}"]) == (name, value)
        assert node.counts.log_groups >= 3


def test_the_age_of_what_is_not_stored_is_told(tmp_path: Path) -> None:
    """From the batch id: also for what an earlier process has left."""
    opened_ms = NOW // 10**6 - 5500
    batch_id = f"{opened_ms >> 16:08x}-{opened_ms & 0xFFFF:04x}-7000-8000-000000000000"
    with Node(tmp_path, new_id=lambda: batch_id) as node:
        app = application(node)
        assert numbers(get(app, "/metrics").body)["otlp2parquet_oldest_unstored_seconds"] == 0
        node.keep(one(1))
        age = numbers(get(app, "/metrics").body)["otlp2parquet_oldest_unstored_seconds"]
        assert age == pytest.approx(5.5)


def test_ready_shows_a_replay(tmp_path: Path) -> None:
    """Requests are taken meanwhile, so it is ready, and says what it is at."""
    with Node(tmp_path) as node:
        node.keep(one(1))
    writer = Recorder(gates={"s1": threading.Event()})
    with Node(tmp_path, writer=writer) as node:
        page = get(application(node), "/ready")
        assert page.status == 200
        shown = json.loads(page.body)
        assert shown["replay"] == {"running": True, "batches": 1}
        assert shown["durability"] == "fsync"
        writer.gates["s1"].set()
        node.settle()
        shown = json.loads(get(application(node), "/ready").body)
        assert shown["replay"] == {"running": False, "batches": 0}


# -- the process -----------------------------------------------------------------------------


def test_kill_9_loses_nothing(tmp_path: Path) -> None:
    """What was acknowledged before is in files after the next start, without being asked for."""
    with Server(tmp_path) as server:
        for number in range(20):
            assert server.post(logs_of(f"{number}"))[0] == 200
        server.kill()
        assert server.bodies() == []
    with Server(tmp_path) as server:
        wait_until(lambda: len(server.bodies()) == 20, PATIENCE_SECS, lambda: server.log)
        assert sorted(server.bodies(), key=int) == [str(number) for number in range(20)]
        assert server.stop() == 0
        assert list((tmp_path / "data" / ".otlp2parquet").glob("*.segment")) == []


def test_memory_loses_with_kill_9_what_is_not_in_a_file(tmp_path: Path) -> None:
    """The same test bites: this is the price of that mode."""
    settings = {"OTLP2PARQUET_DURABILITY_MODE": "memory", "OTLP2PARQUET_BATCH_MAX_AGE_SECS": "60"}
    with Server(tmp_path, settings=settings) as server:
        assert server.post(logs_of("lost"))[0] == 200
        server.kill()
    with Server(tmp_path, settings=settings) as server:
        assert server.stop() == 0
        assert server.bodies() == []
        assert not (tmp_path / "data" / ".otlp2parquet").exists()


@pytest.mark.parametrize("mode", ["memory", "stored"])
def test_what_is_left_in_the_log_is_stored_in_every_mode(tmp_path: Path, mode: str) -> None:
    """It was acknowledged, whatever the setting is now."""
    with Server(tmp_path) as server:
        server.post(logs_of("left"))
        server.kill()
    with Server(tmp_path, settings={"OTLP2PARQUET_DURABILITY_MODE": mode}) as server:
        wait_until(lambda: server.bodies() == ["left"], PATIENCE_SECS, lambda: server.log)
        server.post(logs_of("new"))
        assert server.stop() == 0
        assert sorted(server.bodies()) == ["left", "new"]


def test_stored_means_that_the_file_is_there(tmp_path: Path) -> None:
    """With the 200 it can be read."""
    with Server(tmp_path, settings={"OTLP2PARQUET_DURABILITY_MODE": "stored"}) as server:
        for number in range(5):
            assert server.post(logs_of(f"{number}"))[0] == 200
            assert str(number) in server.bodies()
        server.kill()
        assert len(server.bodies()) == 5


def test_a_second_process_on_the_same_folder_names_the_owner(tmp_path: Path) -> None:
    """It ends with 1 and one line, and the first one goes on."""
    with Server(tmp_path) as server:
        done = subprocess.run(
            [COMMAND, "-p", "0"],
            cwd=tmp_path,
            env=environment(),
            check=False,
            capture_output=True,
            timeout=PATIENCE_SECS,
        )
        assert done.returncode == 1
        assert f"belongs to pid {server.process.pid} on host" in done.stderr.decode()
        assert b"Traceback" not in done.stderr
        assert server.post(logs_of("a"))[0] == 200


def test_a_stop_while_storage_is_down_keeps_the_log(tmp_path: Path) -> None:
    """It ends in time with 0, says where the rows are, and the next start stores them."""
    settings = {"OTLP2PARQUET_DURABILITY_PATH": "log"}
    with Server(tmp_path, settings=settings) as server:
        server.data.rmdir()
        server.data.write_text("in the way")
        assert server.post(logs_of("a"))[0] == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE_SECS) == 0
        assert "is in the log" in server.log
    server.data.unlink()
    with Server(tmp_path, settings=settings) as server:
        wait_until(lambda: server.bodies() == ["a"], PATIENCE_SECS, lambda: server.log)


def test_a_second_signal_loses_nothing(tmp_path: Path) -> None:
    """It ends at once, and what was acknowledged is in the log."""
    settings = {"OTLP2PARQUET_DURABILITY_PATH": "log"}
    with Server(tmp_path, settings=settings) as server:
        server.data.rmdir()
        server.data.write_text("in the way")
        assert server.post(logs_of("a"))[0] == 200
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "stopping" in server.log, PATIENCE_SECS, lambda: server.log)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE_SECS) == 1
        assert "the log is kept" in server.log
    server.data.unlink()
    with Server(tmp_path, settings=settings) as server:
        wait_until(lambda: server.bodies() == ["a"], PATIENCE_SECS, lambda: server.log)


def test_metrics_are_served(tmp_path: Path) -> None:
    """Over a socket, for a scraper."""
    with Server(tmp_path) as server, closing(server.connect()) as connection:
        server.post(logs_of("a", "b"))
        connection.request("GET", "/metrics")
        found = numbers(connection.getresponse().read())
        assert found["otlp2parquet_accepted_records_total,signal=logs"] == 2
        assert found["otlp2parquet_log_sync_seconds_count"] == 1


def ready(server: Server) -> tuple[int, dict[str, Any]]:
    """The page /ready."""
    with closing(server.connect()) as connection:
        connection.request("GET", "/ready")
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def requests_of(*services: str | None) -> bytes:
    """One export request with one record of each service, whose body is the service's name."""
    request = ExportLogsServiceRequest()
    for service in services:
        resource_logs = request.resource_logs.add()
        if service is not None:
            name = resource_logs.resource.attributes.add(key="service.name")
            name.value.string_value = service
        record = resource_logs.scope_logs.add().log_records.add(time_unix_nano=NOW)
        record.body.string_value = str(service)
    return bytes(request.SerializeToString())


@pytest.mark.parametrize("mode", ["fsync", "memory", "stored"])
def test_no_name_that_a_service_can_have_costs_a_row(tmp_path: Path, mode: str) -> None:
    """One request, one hour: no service, one that is called as its folder, and two cases."""
    names = (None, "unknown-service", "Foo", "foo", "con", "dot.", "..", "a/b", "")
    with Server(tmp_path, settings={"OTLP2PARQUET_DURABILITY_MODE": mode}) as server:
        assert server.post(requests_of(*names))[0] == 200
        assert server.stop() == 0
        assert sorted(server.bodies()) == sorted(map(str, names))


def test_what_is_left_in_the_log_does_not_stop_a_server_in_the_mode_stored(tmp_path: Path) -> None:
    """While the storage refuses, requests are answered, /ready tells, and mending it is enough."""
    settings = {"OTLP2PARQUET_DURABILITY_PATH": "log"}
    in_the_way = tmp_path / "data" / "logs"
    with Server(tmp_path, settings=settings) as server:
        in_the_way.write_text("in the way")
        assert server.post(logs_of("left"))[0] == 200
        server.kill()
    settings["OTLP2PARQUET_DURABILITY_MODE"] = "stored"
    with Server(tmp_path, settings=settings) as server:
        for number in range(5):
            status, body = server.post(logs_of(f"refused {number}"))
            assert status == 503
            assert body.endswith(b"the storage failed, send it again")
        wait_until(
            lambda: ready(server)[1]["batches"]["resting"] == 1, PATIENCE_SECS, lambda: server.log
        )
        page = ready(server)[1]
        assert page["replay"] == {"running": True, "batches": 1}
        assert "cannot write" in page["batches"]["last_error"]
        in_the_way.unlink()
        assert server.post(logs_of("new"))[0] == 200
        assert server.stop() == 0
        assert sorted(server.bodies()) == ["left", "new"]
        assert list((tmp_path / "log").glob("*.segment")) == []


def test_five_refusals_in_the_mode_stored_leave_nothing(tmp_path: Path) -> None:
    """Of two services one cannot be stored: what was written of the other is taken back."""
    settings = {"OTLP2PARQUET_DURABILITY_MODE": "stored"}
    in_the_way = tmp_path / "data" / "logs" / "service=bad"
    with Server(tmp_path, settings=settings) as server:
        in_the_way.parent.mkdir()
        in_the_way.write_text("in the way")
        for _ in range(5):
            assert server.post(requests_of("good", "bad"))[0] == 503
        in_the_way.unlink()
        assert server.post(requests_of("good", "bad"))[0] == 200
        assert server.stop() == 0
        assert sorted(server.bodies()) == ["bad", "good"]


@pytest.mark.parametrize("what", ["data", "log", "moved log"])
def test_a_folder_that_is_removed_under_the_server_costs_no_acknowledged_row(
    tmp_path: Path, what: str
) -> None:
    """Nothing is acknowledged into a file without a name, and no restart is needed afterwards."""
    with Server(tmp_path) as server:
        folder = server.data if what == "data" else server.data / ".otlp2parquet"
        kept = [f"before {number}" for number in range(3)]
        for text in kept:
            assert server.post(logs_of(text))[0] == 200
        moved = tmp_path / "moved"
        folder.rename(moved)
        if what == "data":
            went = bodies_in(moved / "logs")  # what was in files goes with them
            kept = [text for text in kept if text not in went]
        if what != "moved log":
            shutil.rmtree(moved)
        status = server.post(logs_of("in flight"))[0]
        if status == 200 and what != "data":
            kept.append("in flight")  # it was seen, and the folder made again, before that came
        else:
            assert status == 503
        if what == "data":
            assert server.post(logs_of("refused"))[0] == 503
            assert ready(server)[0] == 503
            folder.mkdir()
        wait_until(lambda: ready(server)[0] == 200, PATIENCE_SECS, lambda: server.log)
        for number in range(3):
            assert server.post(logs_of(f"after {number}"))[0] == 200
            kept.append(f"after {number}")
        assert server.stop() == 0
        assert sorted(server.bodies()) == sorted(kept)
        assert list((server.data / ".otlp2parquet").glob("*.segment")) == []
