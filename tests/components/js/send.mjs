// Sends COUNT log records, COUNT spans and COUNT data points through the JavaScript SDK and its
// exporters to ENDPOINT (over HTTP in chunked bodies); where it is "", to where the environment says,
// or the exporters' default. Fails unless every export succeeded.
//
//   node send.mjs ENDPOINT COUNT [gzip|none] [proto|http|grpc]
//
// The last is the exporters' own word: "http" sends JSON.

import { SeverityNumber } from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";

const [endpoint, countText, compression = "none", form = "proto"] = process.argv.slice(2);
const { OTLPLogExporter } = await import(`@opentelemetry/exporter-logs-otlp-${form}`);
const { OTLPMetricExporter } = await import(`@opentelemetry/exporter-metrics-otlp-${form}`);
const { OTLPTraceExporter } = await import(`@opentelemetry/exporter-trace-otlp-${form}`);
const count = Number(countText);
const resource = resourceFromAttributes({ "service.name": process.env.OTEL_SERVICE_NAME ?? "javascript" });
const SUCCESS = 0;
let failures = 0;

// An exporter that notes what became of each export: the SDK itself only logs failures.
function watched(exporter) {
  const send = exporter.export.bind(exporter);
  exporter.export = (items, report) =>
    send(items, (result) => {
      if (result.code !== SUCCESS) {
        failures += 1;
        console.error(result.error);
      }
      report(result);
    });
  return exporter;
}

function to(signal) {
  if (endpoint === "") return {};
  return form === "grpc" ? { url: endpoint } : { url: `${endpoint}/v1/${signal}`, compression };
}
if (form === "grpc" && compression !== "none") {
  process.env.OTEL_EXPORTER_OTLP_COMPRESSION = compression; // their option is an enum of another package
}
const queue = { maxQueueSize: count + 1, maxExportBatchSize: 256 };

const logs = new LoggerProvider({
  resource,
  processors: [
    new BatchLogRecordProcessor({ exporter: watched(new OTLPLogExporter(to("logs"))), ...queue }),
  ],
});
const logger = logs.getLogger("test");
for (let number = 0; number < count; number += 1) {
  logger.emit({ severityNumber: SeverityNumber.INFO, body: `log ${number}`, attributes: { number } });
}
await logs.shutdown();

const traces = new TracerProvider({
  resource,
  spanProcessors: [
    new BatchSpanProcessor({ exporter: watched(new OTLPTraceExporter(to("traces"))), ...queue }),
  ],
});
const tracer = traces.getTracer("test");
for (let number = 0; number < count; number += 1) {
  tracer.startSpan(`span ${number}`).end();
}
await traces.shutdown();

const metrics = new MeterProvider({
  resource,
  readers: [
    new PeriodicExportingMetricReader({
      exporter: watched(new OTLPMetricExporter(to("metrics"))),
      exportIntervalMillis: 3_600_000,
    }),
  ],
});
const counter = metrics.getMeter("test").createCounter("requests");
for (let number = 0; number < count; number += 1) {
  counter.add(1, { number });
}
await metrics.shutdown();

process.exitCode = failures ? 1 : 0;
