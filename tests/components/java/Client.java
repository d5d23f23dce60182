// Sends COUNT log records, COUNT spans and COUNT data points through the OpenTelemetry SDK of Java,
// configured by OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_PROTOCOL as its users do it.
// Fails when the SDK complains of anything, which is all that it does when an export fails.
//
//   java -cp ... Client COUNT SERVICE

import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.logs.Logger;
import io.opentelemetry.api.logs.Severity;
import io.opentelemetry.api.metrics.LongCounter;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;

public final class Client {
  private static final AttributeKey<Long> NUMBER = AttributeKey.longKey("number");
  private static final AtomicInteger complaints = new AtomicInteger();

  public static void main(String[] arguments) {
    int count = Integer.parseInt(arguments[0]);
    java.util.logging.Logger.getLogger("").addHandler(new Complaints());
    // Room for all, since a full queue drops what comes; and for a batch of the usual size.
    String room = Integer.toString(Math.max(count + 1, 2048));
    OpenTelemetrySdk sdk =
        AutoConfiguredOpenTelemetrySdk.builder()
            .addPropertiesSupplier(
                () ->
                    Map.of(
                        "otel.service.name", arguments[1],
                        "otel.blrp.max.queue.size", room,
                        "otel.bsp.max.queue.size", room))
            .build()
            .getOpenTelemetrySdk();

    Logger logger = sdk.getLogsBridge().get("test");
    Tracer tracer = sdk.getTracer("test");
    LongCounter counter = sdk.getMeter("test").counterBuilder("requests").build();
    for (int number = 0; number < count; number++) {
      logger
          .logRecordBuilder()
          .setSeverity(Severity.INFO)
          .setBody("log " + number)
          .setAttribute(NUMBER, (long) number)
          .emit();
      tracer.spanBuilder("span " + number).startSpan().end();
      counter.add(1, Attributes.of(NUMBER, (long) number));
    }
    boolean ended = sdk.shutdown().join(60, TimeUnit.SECONDS).isSuccess();
    System.exit(ended && complaints.get() == 0 ? 0 : 1);
  }

  private static final class Complaints extends Handler {
    @Override
    public void publish(LogRecord record) {
      if (record.getLevel().intValue() >= Level.WARNING.intValue()) {
        complaints.incrementAndGet();
      }
    }

    @Override
    public void flush() {}

    @Override
    public void close() {}
  }
}
