// Sends COUNT log records, COUNT spans and COUNT data points through the Go SDK and its exporters
// for grpc or http/protobuf; where to is said by OTEL_EXPORTER_OTLP_ENDPOINT. Everything else is
// the exporters' default. Fails unless every export succeeded.
//
//	send COUNT [grpc|http]
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otellog "go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

func insist(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func logExporter(ctx context.Context, form string) (sdklog.Exporter, error) {
	if form == "grpc" {
		return otlploggrpc.New(ctx)
	}
	return otlploghttp.New(ctx)
}

func spanExporter(ctx context.Context, form string) (*otlptrace.Exporter, error) {
	if form == "grpc" {
		return otlptracegrpc.New(ctx)
	}
	return otlptracehttp.New(ctx)
}

func metricExporter(ctx context.Context, form string) (sdkmetric.Exporter, error) {
	if form == "grpc" {
		return otlpmetricgrpc.New(ctx)
	}
	return otlpmetrichttp.New(ctx)
}

func main() {
	// The SDK itself only tells of exports that fail.
	failures := 0
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		failures++
		fmt.Fprintln(os.Stderr, err)
	}))
	count, err := strconv.Atoi(os.Args[1])
	insist(err)
	form := os.Args[2]
	ctx := context.Background()
	service := os.Getenv("OTEL_SERVICE_NAME")
	if service == "" {
		service = "go"
	}
	named := resource.NewSchemaless(attribute.String("service.name", service))

	logs, err := logExporter(ctx, form)
	insist(err)
	logged := sdklog.NewLoggerProvider(
		sdklog.WithResource(named),
		sdklog.WithProcessor(sdklog.NewBatchProcessor(logs, sdklog.WithMaxQueueSize(count+1))),
	)
	logger := logged.Logger("test")
	for number := range count {
		var record otellog.Record
		record.SetSeverity(otellog.SeverityInfo)
		record.SetBody(attribute.StringValue(fmt.Sprintf("log %d", number)))
		record.AddAttributes(attribute.Int("number", number))
		logger.Emit(ctx, record)
	}
	insist(logged.Shutdown(ctx))

	spans, err := spanExporter(ctx, form)
	insist(err)
	traced := sdktrace.NewTracerProvider(
		sdktrace.WithResource(named),
		sdktrace.WithBatcher(spans, sdktrace.WithMaxQueueSize(count+1)),
	)
	tracer := traced.Tracer("test")
	for number := range count {
		_, span := tracer.Start(ctx, fmt.Sprintf("span %d", number))
		span.End()
	}
	insist(traced.Shutdown(ctx))

	points, err := metricExporter(ctx, form)
	insist(err)
	measured := sdkmetric.NewMeterProvider(
		sdkmetric.WithResource(named),
		sdkmetric.WithReader(sdkmetric.NewPeriodicReader(points)),
	)
	counter, err := measured.Meter("test").Int64Counter("requests")
	insist(err)
	for number := range count {
		counter.Add(ctx, 1, metric.WithAttributes(attribute.Int("number", number)))
	}
	insist(measured.Shutdown(ctx))

	if failures > 0 {
		os.Exit(1)
	}
}
