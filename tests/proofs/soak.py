"""Soak: real clients for minutes, then full speed with clients that leave, then a stop under load.

Knows the clients and the server as its users start it. Must not import otlp2parquet. Shown is
that the rows in the files are exactly those acknowledged, table by table, and that SIGTERM under
load ends with 0.

    python -m tests.proofs.soak --mixed-secs 600 --rush-secs 120
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from opentelemetry.exporter.otlp.proto.http import Compression

from tests.components import Collector, Server, send_from_javascript, telemetrygen, wrk
from tests.components.process import wait_until
from tests.components.sdk import Sent, points, send_logs, send_metrics, send_spans
from tests.proofs.clients import Client, Leaver, Steady, finish
from tests.proofs.grpc_clients import LeaverGrpc, SteadyGrpc
from tests.proofs.ledger import Ledger
from tests.proofs.memory import Curve
from tests.proofs.results import save
from tests.proofs.stamped import template

if TYPE_CHECKING:
    from collections.abc import Callable

SHAPES = [
    ("logs", 1),
    ("logs", 40),
    ("logs", 1000),
    ("traces", 1),
    ("traces", 300),
    ("metrics", 10),
    ("metrics", 500),
]
SDK_SERVICE = "shop ☕/cart"
"""Of everything that ``components.sdk`` sends, to the server or through a Collector."""
TABLES = {
    "Gauge": "otel_metrics_gauge",
    "Sum": "otel_metrics_sum",
    "Histogram": "otel_metrics_histogram",
    "ExponentialHistogram": "otel_metrics_exponential_histogram",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each part takes, and whether wrk makes the rush."""

    mixed_secs: float
    rush_secs: float
    with_wrk: bool
    settings: str = '[durability]\nmode = "memory"\n'


class Repeated(threading.Thread):
    """A real client, over and over until told to leave."""

    def __init__(self, name: str, once: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self.once, self.leave = once, threading.Event()
        self.trouble: BaseException | None = None

    def run(self) -> None:
        """At least once."""
        try:
            self.once()
            while not self.leave.wait(0.2):
                self.once()
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits for it
            self.trouble = error


def sdk(ledger: Ledger, endpoint: str, *, over_grpc: bool = False) -> None:
    """Every kind of record that the Python SDK makes."""
    sent = Sent()
    form = grpc.Compression if over_grpc else Compression
    send_logs(endpoint, form.Gzip, sent, 300)
    send_spans(endpoint, form.NoCompression, sent, 300)
    send_metrics(endpoint, form.Gzip, sent)
    ledger.count(SDK_SERVICE, "otel_logs", len(sent.logs))
    ledger.count(SDK_SERVICE, "otel_traces", len(sent.spans))
    for _, _, metric, _ in points(sent):
        ledger.count(SDK_SERVICE, table_of(metric.data), 1)


def table_of(data: object) -> str:
    """The table of an SDK metric's points."""
    return "otel_metrics_" + {
        "Gauge": "gauge",
        "Sum": "sum",
        "Histogram": "histogram",
        "ExponentialHistogram": "exponential_histogram",
    }.get(type(data).__name__, "?")


def generated(ledger: Ledger, port: int, service: str, *, over_grpc: bool = False) -> None:
    """Every signal of telemetrygen."""
    named = ("--service", service)
    telemetrygen("logs", port, 2000, "--batch-size", "200", *named, grpc=over_grpc)
    ledger.count(service, "otel_logs", 2000)
    telemetrygen("traces", port, 500, *named, grpc=over_grpc)
    ledger.count(service, "otel_traces", 1000)
    for kind, table in TABLES.items():
        telemetrygen("metrics", port, 200, "--metric-type", kind, *named, grpc=over_grpc)
        ledger.count(service, table, 200)


def javascript(ledger: Ledger, endpoint: str, form: str) -> None:
    """The JavaScript SDK: over HTTP with chunked bodies, or over gRPC."""
    send_from_javascript(endpoint, 300, "none", form)
    for table in ("otel_logs", "otel_traces", "otel_metrics_sum"):
        ledger.count("javascript", table, 300)


def mixed(server: Server, ledger: Ledger, folder: Path, secs: float) -> None:
    """SDKs, telemetrygen, a Collector and plain clients, all at an easy pace, by both fronts."""
    over_http = {"type": "otlp_http", "endpoint": server.endpoint, "compression": "gzip"}
    over_grpc: dict[str, Any] = {
        "type": "otlp_grpc",
        "endpoint": server.grpc_address,
        "tls": {"insecure": True},
    }
    exporters: dict[str, dict[str, Any]] = {
        "logs": over_grpc,
        "traces": over_http,
        "metrics": over_grpc,
    }
    called, port = f"http://{server.grpc_address}", grpc_port(server)
    with Collector(folder, exporters) as collector:
        http = collector.http_port
        real = [
            Repeated("sdk", lambda: sdk(ledger, server.endpoint)),
            Repeated("sdk by grpc", lambda: sdk(ledger, called, over_grpc=True)),
            Repeated("sdk to collector", lambda: sdk(ledger, collector.endpoint)),
            Repeated("telemetrygen", lambda: generated(ledger, server.port, "generated")),
            Repeated(
                "telemetrygen by grpc",
                lambda: generated(ledger, port, "generated by grpc", over_grpc=True),
            ),
            Repeated("telemetrygen to collector", lambda: generated(ledger, http, "collected")),
            Repeated("javascript", lambda: javascript(ledger, server.endpoint, "proto")),
            Repeated("javascript by grpc", lambda: javascript(ledger, called, "grpc")),
        ]
        plain: list[Client] = [
            Steady(server.port, ledger, f"steady-{number}", SHAPES, pause_secs=0.1)
            for number in range(4)
        ]
        plain += [
            SteadyGrpc(port, ledger, f"steady-grpc-{number}", SHAPES, pause_secs=0.1)
            for number in range(2)
        ]
        for thread in [*real, *plain]:
            thread.start()
        real[0].leave.wait(secs)
        for one in real:
            one.leave.set()
        finish(plain)
        for one in real:
            one.join(300)
            assert not one.is_alive(), f"{one.name} does not end"
            if one.trouble is not None:
                raise one.trouble
        assert collector.stop() == 0, collector.log


def grpc_port(server: Server) -> int:
    """Where it takes OTLP/gRPC."""
    return int(server.grpc_address.rpartition(":")[2])


def rush(server: Server, ledger: Ledger, plan: Plan) -> None:
    """Full speed from some, while others leave in the middle of their requests."""
    shapes = [("logs", 1), ("logs", 1), ("traces", 20), ("logs", 1), ("logs", 1000)]
    port = grpc_port(server)
    clients: list[Client] = [Leaver(server.port, ledger, f"leaver-{number}") for number in range(4)]
    clients += [LeaverGrpc(port, ledger, f"leaver-grpc-{number}") for number in range(2)]
    clients += [SteadyGrpc(port, ledger, f"rush-grpc-{number}", shapes) for number in range(2)]
    if not plan.with_wrk:
        clients += [
            Steady(server.port, ledger, f"rush-{number}", shapes, forms=("plain", "gzip"))
            for number in range(4)
        ]
    for client in clients:
        client.start()
    if plan.with_wrk:
        # wrk posts to one path: its templates are of one signal.
        templates = [template("logs", "wrk", count, seed) for seed, count in enumerate((1, 1, 500))]
        bodies = [b"@@@@@@@@@@".join(each.parts) for each in templates]
        answers = wrk(f"{server.endpoint}/v1/logs", bodies, int(plan.rush_secs), threads=2)
        ledger.tally("wrk", templates, answers.acknowledged, answers.refused)
    else:
        clients[0].leave.wait(plan.rush_secs)
    finish(clients)


def stop_under_load(server: Server, ledger: Ledger) -> float:
    """SIGTERM while eight clients send as fast as they can; seconds until it has ended."""
    clients: list[Client] = [
        Steady(server.port, ledger, f"last-{number}", SHAPES) for number in range(5)
    ]
    port = grpc_port(server)
    clients += [SteadyGrpc(port, ledger, f"last-grpc-{number}", SHAPES) for number in range(3)]
    patient = list(clients)
    clients += [Leaver(server.port, ledger, f"last-leaver-{number}") for number in range(2)]
    clients += [LeaverGrpc(port, ledger, f"last-leaver-grpc-{number}") for number in range(2)]
    for client in clients:
        client.start()
    wait_until(
        lambda: all(len(client.account.acknowledged) >= 20 for client in patient),
        60.0,
        lambda: server.log,
    )
    started = time.monotonic()
    assert server.stop() == 0, server.log
    took = time.monotonic() - started
    finish(clients)
    return took


def soak(folder: Path, plan: Plan) -> dict[str, object]:
    """All three parts; the figures. Raises ``AssertionError`` when a row is missing or too many."""
    config = folder / "soak.toml"
    config.write_text(plan.settings, encoding="utf-8")
    ledger = Ledger()
    with Server(folder, ["-c", str(config)], grpc=True) as server:
        curve = Curve(server.process.pid, 1.0)
        curve.start()
        print(f"mixed traffic for {plan.mixed_secs:.0f} s", flush=True)
        mixed(server, ledger, folder, plan.mixed_secs)
        print(f"full speed for {plan.rush_secs:.0f} s, with clients that leave", flush=True)
        rush(server, ledger, plan)
        print("stop under load", flush=True)
        stop_secs = stop_under_load(server, ledger)
        curve.stop()
        batches = server.log.count("batch stored")
    print("comparing files with answers", flush=True)
    verdict = ledger.compare(server.data)
    verdict.insist()
    assert not list(server.data.rglob("*.tmp"))
    return {
        "mixed_secs": plan.mixed_secs,
        "rush_secs": plan.rush_secs,
        "wrk": plan.with_wrk,
        "fronts": "HTTP and gRPC",
        "stop_secs": round(stop_secs, 2),
        "batches": batches,
        "files": sum(1 for _ in server.data.rglob("*.parquet")),
        "peak_pss": curve.peak,
        **verdict.figures(),
    }


def main() -> None:
    """The long form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mixed-secs", type=float, default=600)
    parser.add_argument("--rush-secs", type=float, default=120)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        figures = soak(Path(folder), Plan(chosen.mixed_secs, chosen.rush_secs, with_wrk=True))
    save("soak", figures)


if __name__ == "__main__":
    main()
