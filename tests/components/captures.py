"""What a Collector captures for ``convert``: its exporters, what is sent, what must come out."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

from tests.components.collector import SIGNALS
from tests.components.sdk import Sent, send_logs, send_metrics, send_spans
from tests.components.server import COMMAND

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry.exporter.otlp.proto.http import Compression

    from tests.components import Collector
    from tests.components.parquet_rows import Row


def file_exporters(folder: Path, suffix: str, **settings: Any) -> dict[str, dict[str, Any]]:
    """One file exporter per signal, writing length-prefixed protobuf to ``folder``."""
    folder.mkdir()
    return {
        signal: {
            "type": "file",
            "path": str(folder / f"{signal}{suffix}"),
            "format": "proto",
            "flush_interval": "100ms",
            **settings,
        }
        for signal in SIGNALS
    }


def convert(inputs: Path, output: Path) -> str:
    """Run the real command on a folder; its output when it says that all went well."""
    done = subprocess.run(
        [COMMAND, "convert", inputs, "--output", output],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def as_the_collector_writes(tables: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """The rows expected when a Collector stood between.

    Its own data model has no "not given" for the two sides of an exponential histogram: it
    writes an empty message, and an empty message that is there has the offset 0.
    """
    for row in tables["otel_metrics_exponential_histogram"]:
        row["PositiveOffset"] = row["PositiveOffset"] or 0
        row["NegativeOffset"] = row["NegativeOffset"] or 0
    return tables


def send_all(collector: Collector, compression: Compression) -> Sent:
    """All that the SDK can make, sent to ``collector``; more than one batch of each signal."""
    sent = Sent()
    send_logs(collector.endpoint, compression, sent, 1500)
    send_spans(collector.endpoint, compression, sent, 1500)
    send_metrics(collector.endpoint, compression, sent)
    return sent
