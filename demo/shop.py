"""A shop of three services that take orders, watched by the OpenTelemetry Python SDK.

Knows the SDK and what happens in a shop. Must not know what the receiver does with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from tests.components.sdk import NEVER_MILLIS, Sent, exporter_of, flush

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

PRODUCTS = ("espresso ☕", "tea", "croissant", "water")


class Service:
    """One service: its resource, and the SDK's three providers exporting to ``endpoint``."""

    def __init__(self, name: str, endpoint: str, sent: Sent, compression: Compression) -> None:
        """Set up tracing, logging and metrics as an application does at its start."""
        resource = Resource(
            {
                "service.name": name,
                "service.namespace": "shop",
                "service.instance.id": f"{name}-0",
                "deployment.environment.name": "demo",
            }
        )
        self.name = name
        logs = exporter_of("logs", endpoint, compression, sent.logs.extend)
        spans = exporter_of("traces", endpoint, compression, sent.spans.extend)
        metrics = exporter_of("metrics", endpoint, compression, sent.metrics.append)
        logger_provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
        logger_provider.add_log_record_processor(BatchLogRecordProcessor(logs))
        tracer_provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        tracer_provider.add_span_processor(BatchSpanProcessor(spans))
        meter_provider = MeterProvider(
            [PeriodicExportingMetricReader(metrics, export_interval_millis=NEVER_MILLIS)],
            resource=resource,
            shutdown_on_exit=False,
            views=[
                View(
                    instrument_name="shop.order.value",
                    aggregation=ExponentialBucketHistogramAggregation(),
                )
            ],
        )
        self.open = [
            (logger_provider, logs),
            (tracer_provider, spans),
            (meter_provider, metrics),
        ]
        self.logger = logger_provider.get_logger("shop", "1.0.0")
        self.tracer = tracer_provider.get_tracer("shop", "1.0.0")
        self.meter = meter_provider.get_meter("shop", "1.0.0")

    def say(self, severity: SeverityNumber, body: Any, **attributes: Any) -> None:
        """Write a log record; inside of a span it carries the span's ids."""
        self.logger.emit(
            severity_number=severity,
            severity_text=severity.name,
            body=body,
            attributes={key.replace("_", "."): value for key, value in attributes.items()},
        )

    def close(self) -> None:
        """Export what is left; a refused export is an error."""
        for provider, exporter in self.open:
            flush(provider, exporter)


class Shop:
    """Front end, checkout and payment, and the instruments that count what they do."""

    def __init__(self, endpoint: str, sent: Sent) -> None:
        """Start the three services; one of them sends without compression."""
        self.front = Service("frontend", endpoint, sent, Compression.Gzip)
        self.checkout = Service("checkout", endpoint, sent, Compression.NoCompression)
        self.payment = Service("payment", endpoint, sent, Compression.Gzip)
        self.open_orders = 0
        meter = self.checkout.meter
        self.orders = meter.create_counter("shop.orders", "{order}", "orders taken")
        self.stock = meter.create_up_down_counter("shop.stock", "{item}", "items in stock")
        self.last_total = meter.create_gauge("shop.last_total", "EUR", "the last order's total")
        self.latency = self.front.meter.create_histogram("http.server.duration", "ms")
        self.value = meter.create_histogram("shop.order.value", "EUR", "value of an order")

        def observe(kind: str) -> Any:
            def callback(_: CallbackOptions) -> Iterable[Observation]:
                value = {"orders": self.open_orders, "ovens": 2, "temperature": 4.5}[kind]
                yield Observation(value, {"place": "kitchen"})

            return callback

        meter.create_observable_counter("shop.orders.seen", [observe("orders")], "{order}")
        meter.create_observable_up_down_counter("shop.ovens.on", [observe("ovens")], "{oven}")
        meter.create_observable_gauge("shop.fridge", [observe("temperature")], "Cel")

    def take_order(self, number: int, random_source: random.Random) -> None:
        """Handle one order: four spans over three services, logs inside of them, metrics."""
        product = random_source.choice(PRODUCTS)
        price = round(random_source.uniform(1.5, 40), 2)
        declined = number % 10 == 9
        with self.front.tracer.start_as_current_span(
            "POST /orders",
            kind=SpanKind.SERVER,
            attributes={"http.request.method": "POST", "url.path": "/orders"},
        ) as request:
            self.front.say(SeverityNumber.INFO, f"order {number} received", order_id=number)
            with self.checkout.tracer.start_as_current_span("place order") as order:
                order.add_event("priced", {"product": product, "price": price})
                self.stock.add(-1, {"product": product})
                with self.payment.tracer.start_as_current_span(
                    "charge", kind=SpanKind.CLIENT, links=[Link(request.get_span_context())]
                ) as charge:
                    if declined:
                        charge.set_status(Status(StatusCode.ERROR, "card declined"))
                        self.payment.say(
                            SeverityNumber.ERROR, {"reason": "declined", "order": number}
                        )
                with self.checkout.tracer.start_as_current_span(
                    "send receipt", kind=SpanKind.PRODUCER
                ):
                    self.open_orders += 1
                self.orders.add(1, {"product": product, "paid": not declined})
                self.last_total.set(price, {"product": product})
                self.value.record(price, {"product": product})
            self.latency.record(random_source.uniform(2, 900), {"http.route": "/orders"})

    def close(self) -> None:
        """Export what is left of all three services."""
        for service in (self.front, self.checkout, self.payment):
            service.close()
