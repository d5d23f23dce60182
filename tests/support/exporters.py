"""The official exporters of the Python SDK, as an application that traces has them."""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor


def send_spans_twice(endpoint: str, count: int) -> None:
    """Send ``count`` spans, each in a request of its own: as they are, and compressed."""
    provider = TracerProvider()
    for compression in (Compression.NoCompression, Compression.Gzip):
        exporter = OTLPSpanExporter(f"{endpoint}/v1/traces", compression=compression)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    for number in range(count):
        tracer.start_span(f"span {number}").end()
    provider.shutdown()
