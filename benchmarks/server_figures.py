"""``python -m benchmarks.server_figures``: measure the server, beside others, and keep the results.

Knows the server as its users start it, the peers and wrk. Must not know how a page looks. The
server and a peer have one core, the generator another; what is compared is the CPU time of the
whole process group, from ready until everything that was sent is stored, by what was sent.
"""

from __future__ import annotations

import gzip
import itertools
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import psutil
import pyarrow.parquet as pq

from benchmarks.payloads import SHAPES, Payloads, Shape
from benchmarks.peers.bare_asgi import BareAsgi
from benchmarks.peers.rotel import VERSION as ROTEL_VERSION
from benchmarks.peers.rotel import Rotel
from tests.components import Server, grpc_load, wrk
from tests.components.process import wait_until
from tests.components.server import COMMAND
from tests.proofs.memory import group_pss
from tests.proofs.overload import ready
from tests.proofs.results import save

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.components.process import RunningProcess

SERVER_CORE, GENERATOR_CORE = 0, 1
BODIES = 300
"""Distinct bodies, sent in turn: one again and again compresses to nothing, which flatters."""
PATIENCE_SECS = 60.0


def group_cpu(pid: int) -> float:
    """CPU seconds of the process and its children so far, ended ones included."""
    leader = psutil.Process(pid)
    total = 0.0
    for process in [leader, *leader.children(recursive=True)]:
        times = process.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return total


def insist(found: int, expected: int, what: str) -> None:
    """Refuse to quote a time when records are missing or refused."""
    if found != expected:
        message = f"{what}: {found}, expected {expected}"
        raise RuntimeError(message)


def settled(server: Server) -> bool:
    """Whether everything is in files."""
    batches = ready(server)[1]["batches"]
    return bool(batches["open_rows"] == batches["waiting"] == 0)


class Pinned(Server):
    """The server on its core, in a durability mode, with both fronts as it is by default."""

    def __init__(self, folder: Path, mode: str) -> None:
        config = folder / "bench.toml"
        settings = f'[durability]\nmode = "{mode}"\n[batch]\nmax_age_secs = 2.0\n'
        config.write_text(settings, encoding="utf-8")
        program: list[str | Path] = ["taskset", "-c", str(SERVER_CORE), COMMAND]
        super().__init__(folder, ["-c", str(config)], program=program, grpc=True)


def load(
    process: RunningProcess, endpoint: str, bodies: Sequence[bytes], encoding: str, secs: int
) -> tuple[int, float]:
    """Requests acknowledged, and the CPU seconds spent until now."""
    before = group_cpu(process.process.pid)
    answers = wrk(f"{endpoint}/v1/logs", bodies, secs, encoding=encoding, core=GENERATOR_CORE)
    insist(answers.refused, 0, "requests refused")
    return answers.acknowledged, group_cpu(process.process.pid) - before


def ours(
    bodies: Sequence[bytes],
    records: int,
    encoding: str,
    secs: int,
    mode: str,
    *,
    over_grpc: bool = False,
) -> float:
    """CPU seconds a request of our server, every row of it in a file."""
    with tempfile.TemporaryDirectory() as folder, Pinned(Path(folder), mode) as server:
        before = group_cpu(server.process.pid)
        if over_grpc:
            address, core = server.grpc_address, GENERATOR_CORE
            answers = grpc_load(address, bodies, secs, encoding=encoding, core=core)
            insist(answers.refused, 0, "calls refused")
            requests = answers.acknowledged
        else:
            requests, _ = load(server, server.endpoint, bodies, encoding, secs)
        wait_until(lambda: settled(server), PATIENCE_SECS, lambda: server.log)
        spent = group_cpu(server.process.pid) - before
        insist(server.stop(), 0, "exit code")
        files = server.data.rglob("*.parquet")
        rows = sum(pq.read_metadata(path).num_rows for path in files)
        insist(rows, requests * records, "rows in files")
        return spent / requests


def rotel(bodies: Sequence[bytes], encoding: str, secs: int) -> float:
    """CPU seconds a request of rotel."""
    with tempfile.TemporaryDirectory() as folder, Rotel(Path(folder), SERVER_CORE) as peer:
        requests, spent = load(peer, peer.endpoint, bodies, encoding, secs)
        return spent / requests


def bare(bodies: Sequence[bytes], secs: int) -> float:
    """CPU seconds a request of the bare application."""
    with tempfile.TemporaryDirectory() as folder, BareAsgi(Path(folder), SERVER_CORE) as peer:
        requests, spent = load(peer, peer.endpoint, bodies, "", secs)
        return spent / requests


def beside(one: Callable[[], float], other: Callable[[], float], rounds: int) -> dict[str, float]:
    """Both in turn; microseconds of each (medians) and the median of the ratios."""
    one(), other()  # files into the page cache, processors awake
    pairs = [(one(), other()) for _ in range(rounds)]
    return {
        "ours_us": statistics.median(first for first, _ in pairs) * 1e6,
        "peer_us": statistics.median(second for _, second in pairs) * 1e6,
        "ratio": statistics.median(first / second for first, second in pairs),
    }


def throughput(rounds: int, secs: int) -> dict[str, Any]:
    """CPU a log, kept in a synced log and stored, against rotel receiving and throwing away."""
    records = SHAPES["typical"].records
    plain = Payloads("logs", SHAPES["typical"]).requests(BODIES)
    found: dict[str, Any] = {"peer": f"rotel {ROTEL_VERSION}", "mode": "fsync", "bodies": BODIES}
    for encoding, bodies in (("", plain), ("gzip", [gzip.compress(body, 6) for body in plain])):
        click.echo(f"cpu a log, {encoding or 'identity'}", err=True)
        pair = beside(
            partial(ours, bodies, records, encoding, secs, "fsync"),
            partial(rotel, bodies, encoding, secs),
            rounds,
        )
        pair["ours_us"] /= records
        pair["peer_us"] /= records
        found[encoding or "identity"] = pair
    return found


def by_grpc(rounds: int, secs: int) -> dict[str, Any]:
    """CPU a log over gRPC, kept in a synced log and stored, against the same over HTTP."""
    records = SHAPES["typical"].records
    plain = Payloads("logs", SHAPES["typical"]).requests(BODIES)
    found: dict[str, Any] = {"mode": "fsync", "bodies": BODIES, "rounds": rounds, "secs": secs}
    for encoding, bodies in (("", plain), ("gzip", [gzip.compress(body, 6) for body in plain])):
        click.echo(f"cpu a log over grpc, {encoding or 'identity'}", err=True)
        over_http = partial(ours, bodies, records, encoding, secs, "fsync")
        pair = beside(partial(over_http, over_grpc=True), over_http, rounds)
        found[encoding or "identity"] = {
            "grpc_us": pair["ours_us"] / records,
            "http_us": pair["peer_us"] / records,
            "ratio": pair["ratio"],
        }
    return found


def one_record(rounds: int, secs: int) -> dict[str, Any]:
    """CPU a request of one record, against the bare application."""
    click.echo("cpu a request of one record", err=True)
    bodies = Payloads("logs", Shape(1, 1)).requests(256)
    return beside(lambda: ours(bodies, 1, "", secs, "memory"), lambda: bare(bodies, secs), rounds)


def two_cores(rounds: int, requests: int) -> dict[str, Any]:
    """Rows a second on two cores and on one: the best run of each, in turn."""
    found: dict[str, Any] = {}
    for encoding in ("identity", "gzip"):
        click.echo(f"two cores against one, {encoding}", err=True)
        best = {1: 0.0, 2: 0.0}
        for _, cores in itertools.product(range(rounds), (1, 2)):
            command = [sys.executable, "-m", "benchmarks.two_cores"]
            command += [str(cores), str(requests), encoding]
            secs = float(subprocess.run(command, check=True, capture_output=True).stdout)
            best[cores] = max(best[cores], requests * SHAPES["typical"].records / secs)
        found[encoding] = {"one": best[1], "two": best[2], "ratio": best[2] / best[1]}
    return found


def idle_memory() -> dict[str, Any]:
    """PSS of a server that has written its first files and has nothing to do."""
    click.echo("idle memory", err=True)
    with tempfile.TemporaryDirectory() as folder, Pinned(Path(folder), "memory") as server:
        started = group_pss(server.process.pid)
        wrk(f"{server.endpoint}/v1/logs", Payloads("logs", SHAPES["small"]).requests(8), 1)
        wait_until(lambda: settled(server), PATIENCE_SECS, lambda: server.log)
        return {"started": started, "after_first_files": group_pss(server.process.pid)}


@click.command()
@click.option("--rounds", default=3, show_default=True, help="Runs of each side of a ratio.")
@click.option("--secs", default=5, show_default=True, help="Seconds of load in a run.")
@click.option("--only", multiple=True, help="Measure these alone.")
def main(rounds: int, secs: int, only: tuple[str, ...]) -> None:
    """Measure, and keep the results for the page."""
    figures: dict[str, Callable[[], dict[str, Any]]] = {
        "throughput": lambda: throughput(rounds, secs),
        "grpc": lambda: by_grpc(rounds, secs),
        "one_record": lambda: one_record(rounds, secs),
        "two_cores": lambda: two_cores(rounds, 9_000),
        "idle_memory": idle_memory,
    }
    for name, measure in figures.items():
        if not only or name in only:
            save(name, measure())


if __name__ == "__main__":
    main()
