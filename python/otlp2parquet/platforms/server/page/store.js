// What was received lately, within bounds: log records, traces, metric series, refusals.
//
// Knows the rows of `/live`. It must not know what is on the screen. Each kind has a bound of
// items and one of characters; the oldest go first, and how many went is counted.

const LIMITS = {
  logs: 5000,
  spans: 5000,
  spansOfTrace: 2000,
  characters: 24e6,
  series: 1000,
  points: 120,
  refusals: 200,
  services: 500,
};

class Store {
  constructor() {
    this.version = 0; // grows with every change: who shows something compares it
    this.state = null;
    this.states = [];
    this.skipped = 0;
    this.refusals = [];
    this.refused = 0;
    this.services = new Set();
    this.clear();
  }

  // Forget what senders sent; the numbers of the server stay.
  clear() {
    this.logs = [];
    this.logCharacters = 0;
    this.logsSeen = 0;
    this.traces = new Map();
    this.numSpans = 0;
    this.spanCharacters = 0;
    this.spansSeen = 0;
    this.series = new Map();
    this.pointsSeen = 0;
    this.version += 1;
  }

  get isEmpty() {
    return this.logsSeen + this.spansSeen + this.pointsSeen === 0;
  }

  take(name, data, length) {
    this.version += 1;
    if (name === "rows") this.takeRows(data, length / Math.max(1, data.rows.length));
    else if (name === "state") this.takeState(data);
    else if (name === "refused") this.takeRefused(data);
    else if (name === "skipped") this.skipped += Number(data.events) || 0;
  }

  takeRows({ table, received, rows }, characters) {
    for (const row of rows) {
      row.received = received;
      row.characters = characters;
      if (row.ServiceName && this.services.size < LIMITS.services) this.services.add(row.ServiceName);
      if (table === "otel_logs") this.takeLog(row);
      else if (table === "otel_traces") this.takeSpan(row);
      else this.takePoint(table.replace("otel_metrics_", ""), row);
    }
    if (table === "otel_logs") this.dropOldLogs();
    else if (table === "otel_traces") this.dropOldTraces();
  }

  takeLog(row) {
    row.level = levelOf(row);
    row.seq = this.logsSeen;
    this.logsSeen += 1;
    this.logs.push(row);
    this.logCharacters += row.characters;
  }

  dropOldLogs() {
    let gone = Math.max(0, this.logs.length - LIMITS.logs);
    for (let at = 0; at < gone; at += 1) this.logCharacters -= this.logs[at].characters;
    while (this.logCharacters > LIMITS.characters && gone < this.logs.length - 1) {
      this.logCharacters -= this.logs[gone].characters;
      gone += 1;
    }
    if (gone > 0) this.logs.splice(0, gone);
  }

  takeSpan(row) {
    this.spansSeen += 1;
    row.start = instant(row.Timestamp);
    row.nanos = Number(row.Duration) || 0;
    const id = row.TraceId ?? `without-id-${this.spansSeen}`;
    const trace = this.traces.get(id) ?? new Trace(id, this.spansSeen);
    // The one that changed last goes last.
    this.traces.delete(id);
    this.traces.set(id, trace);
    const before = trace.characters;
    this.numSpans += trace.add(row, `${row.SpanId ?? this.spansSeen}`);
    this.spanCharacters += trace.characters - before;
  }

  dropOldTraces() {
    for (const [id, trace] of this.traces) {
      const fits = this.numSpans <= LIMITS.spans && this.spanCharacters <= LIMITS.characters;
      if (fits || this.traces.size === 1) return;
      this.traces.delete(id);
      this.numSpans -= trace.spans.size;
      this.spanCharacters -= trace.characters;
    }
  }

  takePoint(kind, row) {
    this.pointsSeen += 1;
    const key = [
      kind, row.ServiceName, row.ServiceInstanceId, row.MetricName, row.MetricUnit,
      row.AggregationTemporality, row.ScopeName, row.Attributes,
    ].join("\u0000");
    const series = this.series.get(key) ?? new Series(key, kind, row);
    this.series.delete(key);
    this.series.set(key, series);
    series.add(row);
    if (this.series.size > LIMITS.series) this.series.delete(this.series.keys().next().value);
  }

  takeState(state) {
    this.state = state;
    this.states.push(state);
    if (this.states.length > LIMITS.points) this.states.shift();
  }

  takeRefused(refused) {
    this.refused += Number(refused.count) || 1;
    this.refusals.push(refused);
    if (this.refusals.length > LIMITS.refusals) this.refusals.shift();
  }
}

class Trace {
  constructor(id, seq) {
    this.id = id;
    this.seq = seq;
    this.spans = new Map();
    this.services = new Set();
    this.omitted = 0;
    this.characters = 0;
    this.version = 0;
    this.start = null;
    this.end = null;
  }

  // Take a span in; how many spans more there are. One that was sent again replaces itself.
  add(row, id) {
    this.version += 1;
    const known = this.spans.get(id);
    if (known) this.characters -= known.characters;
    else if (this.spans.size >= LIMITS.spansOfTrace) {
      this.omitted += 1;
      return 0;
    }
    this.spans.set(id, row);
    this.characters += row.characters;
    this.services.add(row.ServiceName ?? "");
    const end = plusNanos(row.start, Math.max(0, row.nanos));
    if (!this.start || nanosBetween(row.start, this.start) > 0) this.start = row.start;
    if (!this.end || nanosBetween(this.end, end) > 0) this.end = end;
    return known ? 0 : 1;
  }

  get nanos() {
    return nanosBetween(this.start, this.end);
  }

  get errors() {
    let found = 0;
    for (const span of this.spans.values()) found += span.StatusCode === "STATUS_CODE_ERROR";
    return found;
  }

  // The span that stands for the whole: the one without a parent, else the earliest.
  get root() {
    let earliest = null;
    for (const span of this.spans.values()) {
      if (!span.ParentSpanId) return span;
      if (!earliest || nanosBetween(span.start, earliest.start) > 0) earliest = span;
    }
    return earliest;
  }
}

class Series {
  constructor(key, kind, row) {
    this.key = key;
    this.kind = kind;
    this.service = row.ServiceName ?? "";
    this.name = row.MetricName;
    this.points = []; // of time in ms and value: what the plot shows
    this.last = row;
    this.version = 0;
  }

  add(row) {
    const before = this.version ? this.last : null;
    this.last = row;
    this.version += 1;
    const at = millis(instant(row.Timestamp));
    const value = this.plotted(before, row, at);
    if (value === null || !Number.isFinite(value)) return;
    this.points.push({ at, value });
    if (this.points.length > LIMITS.points) this.points.shift();
  }

  // What only grows is plotted as how fast it does.
  get isRate() {
    const cumulative = this.last.AggregationTemporality === "AGGREGATION_TEMPORALITY_CUMULATIVE";
    if (this.kind === "sum") return cumulative && this.last.IsMonotonic === true;
    return this.kind === "summary" || (this.kind !== "gauge" && cumulative);
  }

  plotted(before, row, at) {
    const of = (one) => Number(one.IntValue ?? one.Value ?? one.Count ?? NaN);
    if (!this.isRate) return of(row);
    if (before === null || before.StartTimestamp !== row.StartTimestamp) return null;
    const secs = (at - millis(instant(before.Timestamp))) / 1000;
    const grown = of(row) - of(before);
    return secs > 0 && grown >= 0 ? grown / secs : null;
  }
}
