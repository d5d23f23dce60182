"""The real programs that tests talk to: how each is got, started, awaited and ended.

Knows how to build a program once into a cache folder outside the checkout and how to run it
on loopback with free ports. Knows nothing of what a test then asserts. A component that cannot
be had is a failure with its reason, never a skip: a green run means that it was really there.

``python -m tests.components`` builds everything that is missing.
"""

from __future__ import annotations

from .cache import ComponentError, cache_folder
from .collector import Collector, build_collector
from .duckdb_oldest import ask_oldest_duckdb, build_duckdb_oldest
from .duckdb_s3 import build_duckdb_s3, query_with_duckdb
from .go_sdk import build_go_sdk, grpc_load, send_from_go
from .java_sdk import build_java_sdk, send_from_java
from .javascript import build_javascript, send_from_javascript
from .process import RunningProcess, free_port
from .python_sdk import ENVIRONMENTS, build_python_sdk, send_from_python
from .server import Server
from .spark import (
    ask_spark,
    build_spark,
    build_spark_iceberg,
    build_spark_s3a,
    query_with_spark,
    run_statement,
)
from .telemetrygen import build_telemetrygen, telemetrygen
from .wrk import wrk

__all__ = [
    "ENVIRONMENTS",
    "Collector",
    "ComponentError",
    "RunningProcess",
    "Server",
    "ask_oldest_duckdb",
    "ask_spark",
    "build_collector",
    "build_duckdb_oldest",
    "build_duckdb_s3",
    "build_go_sdk",
    "build_java_sdk",
    "build_javascript",
    "build_python_sdk",
    "build_spark",
    "build_spark_iceberg",
    "build_spark_s3a",
    "build_telemetrygen",
    "cache_folder",
    "free_port",
    "grpc_load",
    "query_with_duckdb",
    "query_with_spark",
    "run_statement",
    "send_from_go",
    "send_from_java",
    "send_from_javascript",
    "send_from_python",
    "telemetrygen",
    "wrk",
]
