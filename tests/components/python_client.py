"""An OpenTelemetry SDK of any age as a client: run by the Python of an environment of its own.

    python python_client.py ENDPOINT COUNT COMPRESSION EXPORTERS

sends COUNT log records, spans and data points. EXPORTERS is the package of the exporters, such as
``opentelemetry.exporter.otlp.proto.http``. It needs nothing of this project, and fails unless
every export succeeded. Older versions have no ``Logger.emit`` for applications, newer ones no
``LoggingHandler``: it takes what there is.
"""

from __future__ import annotations

import importlib
import logging
import sys
import time
from typing import Any

from opentelemetry.sdk import _logs
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

RESULTS: list[str] = []


def watched(exporter: Any) -> Any:
    """The exporter, noting the name of each result."""
    export = exporter.export

    def noting(*args: Any, **kwargs: Any) -> Any:
        result = export(*args, **kwargs)
        RESULTS.append(result.name)
        return result

    exporter.export = noting
    return exporter


def main(endpoint: str, count: int, compression: str, package: str) -> int:
    """Send everything; 1 when an export did not succeed."""
    resource = Resource({"service.name": "python"})
    choices = importlib.import_module(package) if "proto" in package else None
    common = choices or importlib.import_module("opentelemetry.exporter.otlp.common.http")
    chosen = next(one for one in common.Compression if one.value == compression)

    def exporter(module: str, name: str, signal: str) -> Any:
        made = getattr(importlib.import_module(f"{package}.{module}"), name)
        return watched(made(endpoint=f"{endpoint}/v1/{signal}", compression=chosen))

    queue: dict[str, Any] = {"max_queue_size": count + 512, "max_export_batch_size": 256}
    logs = _logs.LoggerProvider(resource=resource)
    to_logs = exporter("_log_exporter", "OTLPLogExporter", "logs")
    logs.add_log_record_processor(BatchLogRecordProcessor(to_logs, **queue))
    handler = getattr(_logs, "LoggingHandler", None)
    if handler is None:
        logger = logs.get_logger("test")
        for number in range(count):
            logger.emit(timestamp=time.time_ns(), body=f"log {number}")
    else:
        plain = logging.getLogger("test")
        plain.propagate = False
        plain.addHandler(handler(logger_provider=logs))
        for number in range(count):
            plain.warning("log %d", number)
    logs.shutdown()

    traces = TracerProvider(resource=resource)
    to_traces = exporter("trace_exporter", "OTLPSpanExporter", "traces")
    traces.add_span_processor(BatchSpanProcessor(to_traces, **queue))
    tracer = traces.get_tracer("test")
    for number in range(count):
        tracer.start_span(f"span {number}").end()
    traces.shutdown()

    to_metrics = exporter("metric_exporter", "OTLPMetricExporter", "metrics")
    reader = PeriodicExportingMetricReader(to_metrics, export_interval_millis=3_600_000)
    meters = MeterProvider([reader], resource)
    counter = meters.get_meter("test").create_counter("requests")
    for number in range(count):
        counter.add(1, {"number": number})
    meters.shutdown()
    return 0 if set(RESULTS) == {"SUCCESS"} else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
