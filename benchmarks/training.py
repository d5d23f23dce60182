"""What the instrumented extension runs, so that a wheel is built for what it will be used for.

Profile-guided optimization (``maturin build --pgo``) needs to see the usual ways often and the
unusual ones sometimes. The seeds and shapes are not those of the figures, and every kind of
value, point and transport is among them: a figure must not be the result of learning it by heart.
"""

from __future__ import annotations

import gzip
import random
from typing import TYPE_CHECKING, Any, Final

from otlp2parquet.core.decoder import BatchBuilder, process_otlp

from .payloads import SIGNALS, Payloads, Shape, as_json, set_attribute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .payloads import Signal

SHAPES: Final = (Shape(records=7, services=1), Shape(records=350, services=3), Shape(records=4_100))
ROUNDS: Final = 12
SEED: Final = 77


def diversify(message: Any, source: random.Random) -> None:
    """Give some records of a request what others seldom have."""
    for pairs in records_attributes(message):
        if source.random() < 0.2:
            set_attribute(pairs, "größe", source.random() * 10 ** source.randrange(-8, 20))
            set_attribute(pairs, 'quoted "key"', "line\nbreak" * source.randrange(4))
            set_attribute(pairs, "long", "a path of some length/" * source.randrange(12))
            pairs.add(key="flag").value.bool_value = source.random() < 0.5
            pairs.add(key="raw").value.bytes_value = source.randbytes(source.randrange(40))
            values = pairs.add(key="list").value.array_value.values
            for number in range(source.randrange(5)):
                values.add(int_value=number * 10_000)
            set_attribute(pairs.add(key="map").value.kvlist_value.values, "inner", "text")


def records_attributes(message: Any) -> Iterator[Any]:
    """The attribute lists of all records of a request, points of every kind included."""
    for _, resources in message.ListFields():
        for resource in resources:
            for _, scopes in resource.ListFields()[1:]:
                for scope in scopes:
                    for _, records in scope.ListFields()[1:]:
                        for record in records:
                            if record.DESCRIPTOR.name == "Metric":
                                data = getattr(record, record.WhichOneof("data"))
                                yield from (point.attributes for point in data.data_points)
                            else:
                                yield record.attributes


def add_other_points(message: Any, source: random.Random) -> None:
    """Histograms of both kinds and summaries beside the gauges and sums of a request."""
    scope = message.resource_metrics[0].scope_metrics[0]
    for number in range(20):
        times = {"start_time_unix_nano": 1, "time_unix_nano": 1_790_000_000_000_000_000}
        metric = scope.metrics.add(name=f"http.server.duration.{number}", unit="s")
        for _ in range(10):
            counts = [source.randrange(100) for _ in range(12)]
            point = metric.histogram.data_points.add(count=sum(counts), **times)
            point.bucket_counts.extend(counts)
            point.explicit_bounds.extend(range(11))
            point.exemplars.add(as_double=0.5, trace_id=source.randbytes(16))
        metric = scope.metrics.add(name=f"http.client.duration.{number}", unit="s")
        for _ in range(10):
            wide = metric.exponential_histogram.data_points.add(count=3, scale=4, **times)
            wide.positive.bucket_counts.extend(source.randrange(1_000) for _ in range(30))
        metric = scope.metrics.add(name=f"rpc.duration.{number}", unit="s")
        for _ in range(5):
            summary = metric.summary.data_points.add(count=9, **times)
            summary.quantile_values.add(quantile=0.5, value=source.random())


def messages(signal: Signal) -> Iterator[Any]:
    """The requests of a signal."""
    source = random.Random(SEED)
    for shape in SHAPES:
        for number, message in enumerate(Payloads(signal, shape, SEED).messages(ROUNDS)):
            if number % 3 == 2:
                if signal == "metrics":
                    add_other_points(message, source)
                diversify(message, source)
            yield message


def main() -> None:
    """Read everything in every way: on its own, into a batch, compressed and as JSON."""
    for signal in SIGNALS:
        builder = BatchBuilder()
        for message in messages(signal):
            payload, text = message.SerializeToString(), as_json(message)
            for _ in range(3):
                process_otlp(payload, signal)
                builder.append(payload, signal)
            process_otlp(gzip.compress(payload), signal, content_encoding="gzip")
            process_otlp(text, signal, content_type="application/json")
            builder.append(text, signal, content_type="application/json")
        builder.finish(dictionaries=True)


if __name__ == "__main__":
    main()
