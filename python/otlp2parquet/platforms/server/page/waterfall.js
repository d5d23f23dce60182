// One trace: its spans as a waterfall, and the log records of that trace beside it.
//
// Knows spans, their parents, events and links. It must not know how they came.

const MOST_TICKS = 24; // events that are drawn on one bar

// The spans in the order of a tree, each with its depth. A span whose parent was not seen stands at
// the top, and so does what is its own ancestor.
function treeOf(trace, collapsed) {
  const children = new Map();
  const tops = [];
  for (const span of trace.spans.values()) {
    const parent = span.ParentSpanId;
    if (!parent || !trace.spans.has(parent) || parent === span.SpanId) tops.push(span);
    else if (children.has(parent)) children.get(parent).push(span);
    else children.set(parent, [span]);
  }
  const earlier = (one, other) => -nanosBetween(one.start, other.start);
  for (const list of children.values()) list.sort(earlier);
  tops.sort(earlier);
  const found = [];
  const met = new Set();
  const walk = (start) => {
    const open = [[start, 0, false]];
    while (open.length > 0) {
      const [span, depth, isHidden] = open.pop();
      if (met.has(span)) continue;
      met.add(span);
      const below = children.get(span.SpanId) ?? [];
      const isCollapsed = collapsed.has(span.SpanId);
      if (!isHidden) found.push({ span, depth, below: below.length, isCollapsed });
      for (let at = below.length - 1; at >= 0; at -= 1) {
        open.push([below[at], depth + 1, isHidden || isCollapsed]);
      }
    }
  };
  tops.forEach(walk);
  for (const span of trace.spans.values()) if (!met.has(span)) walk(span);
  return found;
}

class TraceView {
  constructor(app) {
    this.app = app;
    this.id = null;
    this.trace = null;
    this.collapsed = new Set();
    this.items = new Map(); // an item a span, the same one each time: lists go by identity
    this.list = new List({
      label: "Spans of the trace",
      kind: "spans",
      make: () => this.makeRow(),
      fill: (node, item) => this.fillRow(node, item),
      onOpen: (item) => this.open(item.span),
    });
    this.list.onMoved = (item) => app.panel.isOpen && this.open(item.span);
    this.logs = new List({
      label: "Log records of the trace",
      kind: "logs beside",
      make: makeLogRow,
      fill: fillLogRow,
      onOpen: (row) => app.panel.show(row, logDetails(row, true)),
    });
    this.logs.name = "beside";
    this.head = el("div", { class: "trace-head" });
    this.axis = el("div", { class: "axis" });
    this.none = el("div", { class: "none", hidden: true });
    this.noLogs = el("p", { class: "note" }, "None was seen.");
    this.logsTitle = el("h2", null, "Logs of this trace");
    this.node = el(
      "div",
      { class: "view trace-view" },
      this.head,
      el("div", { class: "waterfall" }, this.axis, this.list.box, this.none),
      el("aside", { class: "trace-logs", "aria-label": "Log records of the trace" }, this.logsTitle, this.logs.box, this.noLogs),
    );
  }

  choose(id) {
    if (this.id === id) return;
    this.id = id;
    this.trace = null;
    this.seen = "";
    this.collapsed.clear();
    this.items.clear();
    this.list.selected = null;
    this.list.box.scrollTop = 0;
    this.logs.box.scrollTop = 0;
  }

  update() {
    const { store } = this.app;
    // What somebody looks at is not taken away when the store has no room for it any more.
    this.trace = store.traces.get(this.id) ?? this.trace;
    const { trace } = this;
    const logs = store.logs.filter((row) => row.TraceId === this.id);
    const seen = `${this.id} ${trace?.version} ${logs.length} ${logs[0]?.seq} ${this.collapsed.size}`;
    if (seen === this.seen) return;
    this.seen = seen;
    this.none.hidden = trace !== null;
    this.axis.hidden = this.list.box.hidden = trace === null;
    if (trace === null) setText(this.none, "No span of this trace was seen here. It may be in the files, or still come.");
    this.showHead(logs);
    this.logs.show(logs);
    this.logs.box.hidden = logs.length === 0;
    this.noLogs.hidden = logs.length > 0;
    setText(this.logsTitle, logs.length ? `Logs of this trace (${count(logs.length)})` : "Logs of this trace");
    if (trace === null) return this.list.show([]);
    this.showAxis();
    this.list.show(treeOf(trace, this.collapsed).map((item) => {
      const known = this.items.get(item.span) ?? {};
      this.items.set(item.span, known);
      return Object.assign(known, item);
    }));
  }

  showHead() {
    const { trace } = this;
    const back = el("a", { class: "back", href: "#traces" }, "\u2190 Traces");
    const id = el("span", { class: "id" }, el("code", null, visible(this.id)), copyButton(this.id, "Copy id"));
    if (trace === null) return replace(this.head, back, id);
    const { root, errors } = trace;
    const services = [...trace.services].slice(0, 12).map((name) => serviceNode(name));
    replace(
      this.head,
      back,
      el("h1", null, oneLine(root.SpanName, 200) || "(no name)"),
      el(
        "p",
        { class: "summary" },
        el("strong", null, duration(trace.nanos)),
        timeNode(root.Timestamp),
        el("span", null, plural(trace.spans.size, "span"), trace.omitted ? ` shown, ${count(trace.omitted)} more in the files` : ""),
        errors ? el("span", { class: "errors" }, plural(errors, "error")) : null,
        ...services,
        id,
      ),
    );
  }

  showAxis() {
    const marks = [0, 0.25, 0.5, 0.75, 1].map((share) =>
      el("span", null, share === 0 ? "0" : duration(Math.round(this.trace.nanos * share))),
    );
    replace(this.axis, el("div", { class: "axis-name" }, "Span"), el("div", { class: "marks" }, marks));
  }

  makeRow() {
    const node = el(
      "div",
      { class: "span" },
      el(
        "div",
        { class: "span-name" },
        el("button", { type: "button", class: "fold", tabindex: "-1" }),
        el("span", { class: "dot" }),
        el("span", { class: "name" }),
        el("span", { class: "of" }),
      ),
      el("div", { class: "lane" }, el("div", { class: "bar" }), el("span", { class: "long" }), el("div", { class: "ticks" })),
    );
    const [fold, dot, name, of] = node.firstChild.children;
    const [bar, long, ticks] = node.lastChild.children;
    node.parts = { fold, dot, name, of, bar, long, ticks };
    fold.addEventListener("click", () => this.fold(node.item));
    return node;
  }

  fillRow(node, item) {
    const { span, depth, below, isCollapsed } = item;
    const { fold, name, of, bar, long, ticks } = node.parts;
    const whole = Math.max(1, this.trace.nanos);
    const from = (100 * nanosBetween(this.trace.start, span.start)) / whole;
    const width = (100 * Math.max(0, span.nanos)) / whole;
    const isError = span.StatusCode === "STATUS_CODE_ERROR";
    node.style.setProperty("--hue", hueOf(span.ServiceName ?? ""));
    node.style.setProperty("--depth", Math.min(depth, 12));
    node.classList.toggle("is-error", isError);
    fold.hidden = false;
    fold.classList.toggle("is-leaf", below === 0);
    setText(fold, below === 0 ? "" : isCollapsed ? "\u25b8" : "\u25be");
    fold.setAttribute("aria-label", isCollapsed ? "Show its children" : "Hide its children");
    setText(name, oneLine(span.SpanName, 200) || "(no name)");
    setText(of, isCollapsed ? `+${count(below)}` : oneLine(span.ServiceName ?? "", 40));
    const isOrphan = span.ParentSpanId && depth === 0;
    setTitle(node.firstChild, `${name.textContent}${isOrphan ? "\nIts parent was not seen." : ""}`);
    node.classList.toggle("is-orphan", Boolean(isOrphan));
    bar.style.left = `${from}%`;
    bar.style.width = `${width}%`;
    setText(long, `${isError ? "\u26a0 " : ""}${duration(span.nanos)}`);
    const isLeft = from + width > 70;
    long.classList.toggle("is-left", isLeft && from > 25);
    long.classList.toggle("is-within", isLeft && from <= 25);
    long.style.left = isLeft ? "" : `${from + width}%`;
    long.style.right = !isLeft ? "" : from > 25 ? `${100 - from}%` : `${100 - from - width}%`;
    const times = (span.EventsTimestamp ?? []).slice(0, MOST_TICKS);
    replace(ticks, times.map((time, at) => {
      const share = (100 * nanosBetween(this.trace.start, instant(time))) / whole;
      const tick = el("i", { title: oneLine(span.EventsName?.[at] ?? "", 80) });
      tick.style.left = `${Math.min(100, Math.max(0, share))}%`;
      return tick;
    }));
  }

  fold(item, isCollapsed = !item.isCollapsed) {
    if (!item.below) return;
    if (isCollapsed) this.collapsed.add(item.span.SpanId);
    else this.collapsed.delete(item.span.SpanId);
    this.update();
  }

  open(span) {
    const logs = this.app.store.logs.filter((row) => row.TraceId === this.id && row.SpanId === span.SpanId);
    this.app.panel.show(span, spanDetails(span, this.trace, this.app.store, logs));
  }

  move(steps) {
    this.list.move(steps);
  }

  side(isCollapsed) {
    if (this.list.selected) this.fold(this.list.selected, isCollapsed);
  }

  openSelected() {
    this.list.open(this.list.selected);
  }
}

function spanDetails(span, trace, store, logs) {
  const status = span.StatusCode.replace("STATUS_CODE_", "").toLowerCase();
  const kind = span.SpanKind.replace("SPAN_KIND_", "").toLowerCase();
  return {
    title: [
      el("span", { class: `level level-${status === "error" ? "error" : "debug"}` }, status.toUpperCase()),
      serviceNode(span.ServiceName),
    ],
    content: [
      el("h2", { class: "long-name" }, oneLine(span.SpanName, 500) || "(no name)"),
      span.StatusMessage ? longText(span.StatusMessage, { class: "text is-error" }) : null,
      section(
        "Span",
        facts(
          ["duration", duration(span.nanos)],
          ["begins", `${duration(nanosBetween(trace.start, span.start))} into the trace`],
          ["time", fullTime(span.Timestamp)],
          ["kind", kind],
          ["span", idNode(span.SpanId)],
          ["parent", idNode(span.ParentSpanId)],
          ["trace", idNode(span.TraceId)],
          ["trace state", span.TraceState],
        ),
      ),
      attributes("Attributes", span.SpanAttributes, span.DroppedAttributesCount),
      eventsOf(span),
      linksOf(span, store),
      section(
        logs.length ? `Logs of this span (${count(logs.length)})` : "Logs of this span",
        logs.slice(0, 50).map((row) =>
          el("p", { class: "mini-log" }, levelNode(row), timeNode(row.Timestamp), el("span", null, oneLine(row.Body ?? row.EventName ?? "", 300))),
        ),
      ),
      ...origin(span),
    ],
  };
}

function eventsOf(span) {
  const names = span.EventsName ?? [];
  const shown = names.slice(0, 100).map((name, at) => {
    const time = span.EventsTimestamp[at];
    const after = nanosBetween(span.start, instant(time));
    return el(
      "div",
      { class: `event${name === "exception" ? " is-error" : ""}` },
      el("p", null, el("strong", null, oneLine(name, 200)), el("time", { datetime: time, title: bothTimes(time) }, `+${duration(after)}`)),
      ...pairsOnly(span.EventsAttributes?.[at]),
    );
  });
  const lost = Number(span.DroppedEventsCount) > 0
    ? el("p", { class: "note" }, `${count(span.DroppedEventsCount)} dropped by the sender`)
    : null;
  return section(names.length ? `Events (${count(names.length)})` : "Events", ...shown, lost);
}

function linksOf(span, store) {
  const ids = span.LinksTraceId ?? [];
  const shown = ids.slice(0, 100).map((id, at) =>
    el(
      "div",
      { class: "event" },
      el(
        "p",
        null,
        /^[0-9a-f]{32}$/.test(id) ? el("a", { href: `#trace/${id}` }, `trace ${id}`) : visible(id),
        store.traces.has(id) ? null : el("span", { class: "note" }, "not seen here"),
      ),
      facts(["span", span.LinksSpanId?.[at]], ["trace state", span.LinksTraceState?.[at]]),
      ...pairsOnly(span.LinksAttributes?.[at]),
    ),
  );
  const lost = Number(span.DroppedLinksCount) > 0
    ? el("p", { class: "note" }, `${count(span.DroppedLinksCount)} dropped by the sender`)
    : null;
  return section(ids.length ? `Links (${count(ids.length)})` : "Links", ...shown, lost);
}
