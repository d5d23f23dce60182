// A page that sends: `page.exportAll` logs, spans and data points through the web SDK and its
// exporters, `page.fill` what waits in the SDK's queue until the page is left. A test calls them.

import { SpanKind, SpanStatusCode, ValueType } from "@opentelemetry/api";
import { SeverityNumber } from "@opentelemetry/api-logs";
import * as jsonLogs from "@opentelemetry/exporter-logs-otlp-http";
import * as protoLogs from "@opentelemetry/exporter-logs-otlp-proto";
import * as jsonMetrics from "@opentelemetry/exporter-metrics-otlp-http";
import * as protoMetrics from "@opentelemetry/exporter-metrics-otlp-proto";
import * as jsonTraces from "@opentelemetry/exporter-trace-otlp-http";
import * as protoTraces from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, WebTracerProvider } from "@opentelemetry/sdk-trace-web";

const exportersOf = {
  http: { ...jsonLogs, ...jsonMetrics, ...jsonTraces },
  proto: { ...protoLogs, ...protoMetrics, ...protoTraces },
};
const noted = () => {}; // what became of an export is in its outcome
const NEVER_MILLIS = 3_600_000;
const SUCCESS = 0;

// An exporter that notes what it was given and what became of it: the SDK itself only logs failures.
function watched(exporter, outcome) {
  const send = exporter.export.bind(exporter);
  exporter.export = (items, report) =>
    send(items, (result) => {
      outcome.items.push(items);
      if (result.code !== SUCCESS) outcome.errors.push(String(result.error));
      report(result);
    });
  return exporter;
}

const nanos = ([seconds, rest]) => String(BigInt(seconds) * 1_000_000_000n + BigInt(rest));

function tracesTo(endpoint, service, form, outcome, options) {
  const exporter = new exportersOf[form].OTLPTraceExporter({ url: `${endpoint}/v1/traces`, ...options });
  return new WebTracerProvider({
    resource: resourceFromAttributes({ "service.name": service }),
    spanProcessors: [
      new BatchSpanProcessor(watched(exporter, outcome), { scheduledDelayMillis: NEVER_MILLIS }),
    ],
  });
}

async function sendSpans(endpoint, service, form, options) {
  const outcome = { items: [], errors: [] };
  const provider = tracesTo(endpoint, service, form, outcome, options);
  const tracer = provider.getTracer("shop.web", "1.2.3");
  const span = tracer.startSpan("checkout ☕", {
    kind: SpanKind.CLIENT,
    startTime: [1_790_000_000, 1_000_001],
    attributes: { items: 3, total: 9.5, gift: false, "http.route": "/cart/ö", tags: ["a", ""] },
  });
  span.addEvent("clicked", { button: "buy" }, [1_790_000_000, 2_000_002]);
  span.setStatus({ code: SpanStatusCode.ERROR, message: "out of ☕" });
  span.end([1_790_000_000, 251_000_004]);
  await provider.shutdown().catch(noted);
  const ids = outcome.items.flat().map((one) => one.spanContext());
  return { errors: outcome.errors, ids };
}

async function sendLogs(endpoint, service, form, options) {
  const outcome = { items: [], errors: [] };
  const exporter = new exportersOf[form].OTLPLogExporter({ url: `${endpoint}/v1/logs`, ...options });
  const provider = new LoggerProvider({
    resource: resourceFromAttributes({ "service.name": service }),
    processors: [new BatchLogRecordProcessor({ exporter: watched(exporter, outcome) })],
  });
  const logger = provider.getLogger("shop.web", "1.2.3");
  logger.emit({
    timestamp: [1_790_000_000, 3_000_003],
    observedTimestamp: [1_790_000_000, 4_000_004],
    severityNumber: SeverityNumber.WARN,
    severityText: "warn",
    eventName: "cart.changed",
    body: "a line ☕",
    attributes: { items: 3, "nested.value": { deep: [1.5, null] } },
  });
  await provider.shutdown().catch(noted);
  return { errors: outcome.errors };
}

async function sendMetrics(endpoint, service, form, options) {
  const outcome = { items: [], errors: [] };
  const exporter = new exportersOf[form].OTLPMetricExporter({ url: `${endpoint}/v1/metrics`, ...options });
  const reader = new PeriodicExportingMetricReader({
    exporter: watched(exporter, outcome),
    exportIntervalMillis: NEVER_MILLIS,
  });
  const provider = new MeterProvider({
    resource: resourceFromAttributes({ "service.name": service }),
    readers: [reader],
  });
  const meter = provider.getMeter("shop.web", "1.2.3");
  const whole = { unit: "{order}", description: "taken", valueType: ValueType.INT };
  meter.createCounter("shop.orders", whole).add(2, { zone: "ö" });
  const latency = meter.createHistogram("shop.latency", {
    unit: "ms",
    advice: { explicitBucketBoundaries: [10, 100] },
  });
  for (const value of [5, 50.5, 500]) latency.record(value);
  await provider.shutdown().catch(noted);
  const points = outcome.items
    .flatMap((sent) => sent.scopeMetrics)
    .flatMap((scope) => scope.metrics)
    .flatMap((metric) => metric.dataPoints.map((point) => [metric.descriptor.name, point]));
  const times = points.map(([name, point]) => [name, nanos(point.startTime), nanos(point.endTime)]);
  return { errors: outcome.errors, times };
}

let kept;

globalThis.page = {
  // What was sent of each signal, and what the exporters said of failures.
  async exportAll(endpoint, service, form, options) {
    return {
      logs: await sendLogs(endpoint, service, form, options),
      traces: await sendSpans(endpoint, service, form, options),
      metrics: await sendMetrics(endpoint, service, form, options),
    };
  },
  // Spans that nobody flushes.
  fill(endpoint, service, form, count) {
    kept = tracesTo(endpoint, service, form, { items: [], errors: [] });
    const tracer = kept.getTracer("shop.web");
    for (let number = 0; number < count; number += 1) tracer.startSpan(`left ${number}`).end();
  },
};
