"""An OpenTelemetry Collector that receives OTLP and writes files, or passes it on.

Knows the builder, the manifest ``collector.yaml`` and the Collector's own configuration.
Must not know otlp2parquet.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .cache import go_install, locked, run_build
from .process import RunningProcess, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = "0.161.0"
MANIFEST = Path(__file__).with_name("collector.yaml")
NAME = "otelcol-tests"
SIGNALS = ("logs", "traces", "metrics")


def build_collector() -> Path:
    """The Collector program with the parts that ``collector.yaml`` names, built on first use."""
    manifest = MANIFEST.read_text(encoding="utf-8")
    digest = hashlib.sha256(manifest.encode()).hexdigest()[:12]
    with locked(NAME) as folder:
        program = folder / f"{NAME}-{VERSION}-{digest}" / NAME
        if not program.exists():
            builder = go_install("go.opentelemetry.io/collector/cmd/builder", VERSION)
            building = folder / f".{NAME}.building"
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()
            config = building / "builder.yaml"
            output = building / "source"
            # JSON is YAML, so the path needs no quoting rules of our own.
            config.write_text(
                manifest.replace("dist:\n", f"dist:\n  output_path: {json.dumps(str(output))}\n"),
                encoding="utf-8",
            )
            run_build([builder, "--config", config])
            program.parent.mkdir(exist_ok=True)
            (output / NAME).replace(program)
            shutil.rmtree(building)
    return program


class Collector(RunningProcess):
    """A running Collector: OTLP/HTTP and OTLP/gRPC in, one exporter per signal out."""

    def __init__(
        self,
        folder: Path,
        exporters: Mapping[str, Mapping[str, Any]],
        *,
        feature_gates: str = "",
    ) -> None:
        """Start it with ``exporters`` (signal -> configuration of its exporter).

        An exporter's key ``type`` names its kind (``file``, ``otlp_http``, ``otlp_grpc``,
        ``debug``); the rest is its configuration as the Collector documents it.
        """
        self.http_port = free_port()
        self.grpc_port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.http_port}"
        settings = {
            "receivers": {
                "otlp": {
                    "protocols": {
                        "http": {"endpoint": f"127.0.0.1:{self.http_port}"},
                        "grpc": {"endpoint": f"127.0.0.1:{self.grpc_port}"},
                    }
                }
            },
            "processors": {"batch": {"timeout": "50ms", "send_batch_size": 512}},
            "exporters": {
                f"{exporter['type']}/{signal}": {
                    key: value for key, value in exporter.items() if key != "type"
                }
                for signal, exporter in exporters.items()
            },
            "service": {
                # Its own metrics would open a fixed port.
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {
                    signal: {
                        "receivers": ["otlp"],
                        "processors": ["batch"],
                        "exporters": [f"{exporter['type']}/{signal}"],
                    }
                    for signal, exporter in exporters.items()
                },
            },
        }
        program = build_collector()
        config = folder / "collector.json"
        config.write_text(json.dumps(settings, indent=1), encoding="utf-8")
        command: list[str | Path] = [program, "--config", config]
        if feature_gates:
            command.append(f"--feature-gates={feature_gates}")
        super().__init__(command, folder / "collector.log")
        self.wait_ready(lambda: "Everything is ready" in self.log)
