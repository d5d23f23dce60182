"""Which columns want a Parquet dictionary, and what statistics cost: ``python -m`` this.

The two sets in ``otlp2parquet.writers.columns`` stand on what this prints. Each column of each
table is written by itself with and without a dictionary; then whole files with the settings in
force beside their alternatives. Knows pyarrow's writer options; must not change any setting.
"""

from __future__ import annotations

import random
import statistics
import time
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from otlp2parquet import BatchBuilder
from otlp2parquet.writers.columns import PLAIN_COLUMNS
from otlp2parquet.writers.encode_pyarrow import dictionary_paths, leaf_path, statistics_paths

from .measure import one_core
from .payloads import (
    METHODS,
    ROUTES,
    SECOND,
    SIGNALS,
    START,
    Payloads,
    Shape,
    describe_resource,
    set_attribute,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS: Final = 60_000
"""Rows of one measured file: one service, one hour."""
EXPORTS: Final = 60
"""Requests that bring them: a service exports for a while before its batch is closed."""
ROUNDS: Final = 5
LEAST_BYTES: Final = 0.1
"""Differences below this, in bytes a row, and below ``LEAST_TIME`` are none."""
LEAST_TIME: Final = 20.0
"""Nanoseconds a row; the sizes count first."""
BOUNDS: Final = (5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000)


def distributions(source: random.Random) -> Iterator[bytes]:
    """Histograms, exponential histograms and summaries, which the other payloads lack."""
    series = ROWS // EXPORTS
    for number in range(EXPORTS):
        request = ExportMetricsServiceRequest()
        resource = request.resource_metrics.add()
        describe_resource(resource, 0)
        scope = resource.scope_metrics.add()
        metrics = [scope.metrics.add(name=f"http.{kind}", unit="ms") for kind in ("h", "e", "s")]
        points = (
            metrics[0].histogram.data_points,
            metrics[1].exponential_histogram.data_points,
            metrics[2].summary.data_points,
        )
        for index in range(series):
            for kind in points:
                point: Any = kind.add(
                    start_time_unix_nano=START - 3600 * SECOND,
                    time_unix_nano=START + number * SECOND,
                    count=source.randrange(1, 5000),
                    sum=round(source.expovariate(0.001), 3),
                )
                set_attribute(point.attributes, "http.request.method", METHODS[index % 6])
                set_attribute(point.attributes, "http.route", ROUTES[index % 5])
                set_attribute(point.attributes, "replica", index)
                fill_buckets(source, point)
        yield request.SerializeToString()


def fill_buckets(source: random.Random, point: Any) -> None:
    """The part in which the three kinds differ."""
    kind = point.DESCRIPTOR.name
    if kind == "SummaryDataPoint":
        for quantile in (0.5, 0.9, 0.99):
            value = round(source.expovariate(0.01), 3)
            point.quantile_values.add(quantile=quantile, value=value)
        return
    point.min, point.max = round(source.random(), 3), round(source.expovariate(0.001), 3)
    if kind == "HistogramDataPoint":
        point.explicit_bounds.extend(BOUNDS)
        point.bucket_counts.extend(int(source.expovariate(0.1)) for _ in range(len(BOUNDS) + 1))
        if source.random() < 0.1:
            exemplar = point.exemplars.add(time_unix_nano=point.time_unix_nano, as_double=1.5)
            exemplar.trace_id, exemplar.span_id = source.randbytes(16), source.randbytes(8)
    else:
        point.scale, point.zero_count = 3, source.randrange(3)
        point.positive.offset = source.randrange(-5, 20)
        point.positive.bucket_counts.extend(int(source.expovariate(0.1)) for _ in range(40))


def tables() -> dict[str, pa.Table]:
    """One file's rows of every table, as they come to the writer."""
    builder = BatchBuilder()
    shape = Shape(ROWS // EXPORTS, services=1)
    for signal in SIGNALS:
        for request in Payloads(signal, shape).requests(EXPORTS):
            builder.append(request, signal)
    for request in distributions(random.Random(1)):
        builder.append(request, "metrics")
    return {
        batch.table: pa.Table.from_batches([pa.record_batch(batch)])
        for batch in builder.finish(dictionaries=True)
    }


def write(table: pa.Table, **options: Any) -> tuple[float, float]:
    """Bytes and nanoseconds a row; the median of some rounds."""
    seconds, size = [], 0
    for _ in range(ROUNDS):
        sink = pa.BufferOutputStream()
        start = time.perf_counter()
        pq.write_table(
            table,
            sink,
            compression="zstd",
            compression_level=1,
            store_schema=False,
            write_page_index=True,
            dictionary_pagesize_limit=128 << 20,
            **options,
        )
        seconds.append(time.perf_counter() - start)
        size = sink.getvalue().size
    return size / table.num_rows, statistics.median(seconds) / table.num_rows * 1e9


def column_lines(name: str, table: pa.Table) -> Iterator[str]:
    """One line for each column, with a mark where the setting in force is not the better."""
    for field in table.schema:
        if pa.types.is_boolean(field.type):
            continue  # Parquet has no dictionary for booleans
        alone = table.select([field.name])
        path = leaf_path(field)
        with_bytes, with_time = write(alone, use_dictionary=[path], write_statistics=False)
        plain_bytes, plain_time = write(alone, use_dictionary=False, write_statistics=False)
        in_force = "plain" if field.name in PLAIN_COLUMNS else "dictionary"
        better = in_force
        if abs(with_bytes - plain_bytes) >= LEAST_BYTES:
            better = "dictionary" if with_bytes < plain_bytes else "plain"
        elif abs(with_time - plain_time) >= LEAST_TIME:
            better = "dictionary" if with_time < plain_time else "plain"
        remark = "" if in_force == better else f"{better} is better"
        yield (
            f"| {name} | {field.name} | {with_bytes:.2f} | {plain_bytes:.2f} "
            f"| {with_time:.0f} | {plain_time:.0f} | {in_force} | {remark} |"
        )


def file_lines(name: str, table: pa.Table) -> Iterator[str]:
    """Whole files: the settings in force, then one thing changed at a time."""
    schema = table.schema
    ours: dict[str, Any] = {
        "use_dictionary": dictionary_paths(schema),
        "write_statistics": statistics_paths(schema),
    }
    for label, changes in {
        "in force": {},
        "dictionaries everywhere": {"use_dictionary": True},
        "no dictionaries": {"use_dictionary": False},
        "statistics everywhere": {"write_statistics": True},
        "no statistics": {"write_statistics": False},
    }.items():
        size, nanoseconds = write(table, **(ours | changes))
        yield f"| {name} | {label} | {size:.2f} | {nanoseconds:.0f} |"


def main() -> None:
    """Print both tables in Markdown."""
    with one_core():
        measured = tables()
        print("| table | column | B/row dict | B/row plain | ns/row dict | plain | in force | |")
        print("|---|---|--:|--:|--:|--:|---|---|")
        for name, table in measured.items():
            for line in column_lines(name, table):
                print(line)
        print("\n| table | settings | B/row | ns/row |\n|---|---|--:|--:|")
        for name, table in measured.items():
            for line in file_lines(name, table):
                print(line)


if __name__ == "__main__":
    main()
