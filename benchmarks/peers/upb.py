"""upb, the official protobuf runtime under Python: merely parses, makes no column of it.

The floor that a decoder is measured against: what anyone pays who uses the official classes,
before looking at a single record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from google.protobuf.internal import api_implementation
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Callable

# The pure Python runtime is a hundred times slower: beating that would say nothing.
if api_implementation.Type() != "upb":
    message = f"protobuf runs on {api_implementation.Type()}, expected upb"
    raise RuntimeError(message)

READERS: Final[dict[str, Callable[[bytes], object]]] = {
    "logs": ExportLogsServiceRequest.FromString,
    "traces": ExportTraceServiceRequest.FromString,
    "metrics": ExportMetricsServiceRequest.FromString,
}
