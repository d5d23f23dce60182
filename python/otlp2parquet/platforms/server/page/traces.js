// The traces that were seen lately, the newest first.
//
// Knows the store's traces and the filters. What a trace looks like inside is `waterfall.js`.

function makeTraceRow() {
  const node = el(
    "div",
    { class: "trace" },
    el("time"),
    el("span", { class: "name" }),
    el("span", { class: "service" }),
    el("span", { class: "spans" }),
    el("span", { class: "length" }, el("span", { class: "track" }, el("i")), el("b")),
  );
  const [time, name, service, spans, length] = node.children;
  node.parts = { time, name, service, spans, bar: length.querySelector("i"), length: length.lastChild };
  return node;
}

function fillTraceRow(node, trace, longest) {
  const { time, name, service, spans, bar, length } = node.parts;
  const { root, errors } = trace;
  setText(time, clock(root.Timestamp));
  time.dateTime = root.Timestamp;
  setTitle(time, bothTimes(root.Timestamp));
  setText(name, oneLine(root.SpanName, 200) || "(no name)");
  setTitle(name, root.ParentSpanId ? "Its first span has not come yet" : "");
  node.classList.toggle("is-partial", Boolean(root.ParentSpanId));
  node.classList.toggle("has-errors", errors > 0);
  const others = trace.services.size - 1;
  setText(service, oneLine(root.ServiceName ?? "no service", 40) + (others > 0 ? ` +${others}` : ""));
  setTitle(service, [...trace.services].slice(0, 20).map((one) => oneLine(one, 60)).join("\n"));
  service.style.setProperty("--hue", hueOf(root.ServiceName ?? ""));
  const all = trace.spans.size + trace.omitted;
  setText(spans, errors ? `${plural(all, "span")}, ${plural(errors, "error")}` : plural(all, "span"));
  setText(length, duration(trace.nanos));
  // By its square root: beside one that is long, most would be a dot otherwise.
  const share = Math.sqrt(Math.max(0, trace.nanos) / Math.max(1, longest));
  bar.style.width = `${(100 * Math.min(1, share)).toFixed(1)}%`;
}

class TracesView {
  constructor(app) {
    this.app = app;
    this.longest = 0;
    this.shown = [];
    this.list = new List({
      label: "Traces",
      kind: "traces",
      make: makeTraceRow,
      fill: (node, trace) => fillTraceRow(node, trace, this.longest),
      onOpen: (trace) => app.go(`trace/${trace.id}`),
    });
    this.none = el("div", { class: "none", hidden: true });
    this.node = el("div", { class: "view traces-view" }, this.list.box, this.none);
  }

  update() {
    const { store, filters, isPaused } = this.app;
    if (!isPaused || this.filtered !== filters.version) {
      this.filtered = filters.version;
      this.shown = [...store.traces.values()]
        .filter((trace) => filters.wantsTrace(trace))
        .sort((one, other) => nanosBetween(one.start, other.start) || other.seq - one.seq);
      this.longest = Math.max(0, ...this.shown.map((trace) => trace.nanos));
    }
    this.list.show(this.shown);
    this.none.hidden = this.shown.length > 0;
    if (!this.none.hidden) {
      const text = store.traces.size
        ? `None of ${plural(store.traces.size, "trace")} matches the filters.`
        : "No traces yet.";
      setText(this.none, text);
    }
    const all = filters.isSet ? ` of ${count(store.traces.size)}` : "";
    this.app.tell(`${count(this.shown.length)}${all} traces, ${plural(store.numSpans, "span")}`, "");
  }

  move(steps) {
    this.list.move(steps);
  }

  openSelected() {
    this.list.open(this.list.selected);
  }
}
