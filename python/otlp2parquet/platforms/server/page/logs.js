// The log records, as they come.
//
// Knows the store's log records and the filters. It must not know traces beyond their ids.

function makeLogRow() {
  const node = el(
    "div",
    { class: "log" },
    el("time"),
    el("span", { class: "level" }),
    el("span", { class: "service" }),
    el("span", { class: "message" }, el("b"), el("span"), el("i")),
    el("a", { class: "chip", title: "Open its trace" }, "trace"),
  );
  const [time, level, service, message, link] = node.children;
  node.parts = { time, level, service, event: message.children[0], link };
  node.parts.body = message.children[1];
  node.parts.attributes = message.children[2];
  return node;
}

function fillLogRow(node, row) {
  if (node.filled === row) return;
  node.filled = row;
  const { time, level, service, event, body, attributes: rest, link } = node.parts;
  setText(time, clock(row.Timestamp));
  time.dateTime = row.Timestamp;
  setTitle(time, bothTimes(row.Timestamp));
  const name = LEVELS[row.level];
  node.className = `log row in-${name}`;
  level.className = `level level-${name}`;
  setText(level, (name === "unset" ? "\u2013" : name).toUpperCase());
  setTitle(level, row.SeverityText ? oneLine(row.SeverityText, 60) : "");
  setText(service, row.ServiceName ? oneLine(row.ServiceName, 60) : "");
  setTitle(service, service.textContent);
  service.style.setProperty("--hue", hueOf(row.ServiceName ?? ""));
  row.line ??= oneLine(row.Body ?? "", 600);
  row.inline ??= wholeSlice(oneLine(inlinePairs(clipJson(row.LogAttributes)).slice(0, 12).join("  ")), 300);
  setText(event, row.EventName && row.EventName !== row.Body ? oneLine(row.EventName, 80) : "");
  setText(body, row.line);
  setText(rest, row.inline);
  link.hidden = !row.TraceId;
  if (row.TraceId) link.href = `#trace/${row.TraceId}`;
}

// Attributes of many kilobytes are for the details, not for one line.
function clipJson(json) {
  return json && json.length < 20000 ? json : "{}";
}

class LogsView {
  constructor(app) {
    this.app = app;
    this.matches = [];
    this.nextSeq = 0;
    this.filtered = -1;
    this.list = new List({
      label: "Log records",
      kind: "logs",
      make: makeLogRow,
      fill: fillLogRow,
      follows: true,
      onOpen: (row) => this.open(row),
    });
    this.list.onMoved = (row) => app.panel.isOpen && this.open(row);
    this.list.onScrolled = () => this.showJump();
    this.jump = el(
      "button",
      { type: "button", class: "jump", hidden: true, onclick: () => this.toNewest() },
      "\u2193 Newest",
    );
    this.none = el("div", { class: "none", hidden: true });
    this.node = el("div", { class: "view logs-view" }, this.list.box, this.none, this.jump);
  }

  open(row) {
    const { app } = this;
    app.panel.show(row, logDetails(row, app.store.traces.has(row.TraceId)));
  }

  update() {
    const { store, filters, isPaused } = this.app;
    const changed = this.filtered !== filters.version;
    if (changed) {
      this.filtered = filters.version;
      // While paused, a filter looks through what is there and not through what comes.
      const until = isPaused ? this.nextSeq : Infinity;
      this.matches = store.logs.filter((row) => row.seq < until && filters.wantsLog(row));
      if (!isPaused) this.nextSeq = store.logsSeen;
    } else if (!isPaused) {
      if (this.nextSeq > store.logsSeen) this.nextSeq = 0; // it was cleared
      const oldest = store.logs.length ? store.logs[0].seq : store.logsSeen;
      const kept = this.matches.filter((row) => row.seq >= oldest && row === store.logs[row.seq - oldest]);
      const fresh = store.logs.slice(Math.max(0, this.nextSeq - oldest));
      this.matches = kept.concat(fresh.filter((row) => filters.wantsLog(row)));
      this.nextSeq = store.logsSeen;
    }
    this.list.show(this.matches);
    this.none.hidden = this.matches.length > 0;
    if (!this.none.hidden) {
      const text = store.logs.length
        ? `None of ${plural(store.logs.length, "log record")} matches the filters.`
        : "No log records yet.";
      setText(this.none, text);
    }
    this.showJump();
    const shown = count(this.matches.length);
    const all = filters.isSet ? ` of ${count(store.logs.length)}` : "";
    const older = store.logsSeen - store.logs.length;
    this.app.tell(
      `${shown}${all} records`,
      older > 0 ? `${count(older)} older ones are not kept here; all of them are in the files` : "",
    );
  }

  get waiting() {
    return this.app.store.logsSeen - this.nextSeq;
  }

  showJump() {
    this.jump.hidden = this.list.isAtEnd || this.matches.length === 0;
  }

  toNewest() {
    this.list.toEnd();
    this.showJump();
  }

  move(steps) {
    this.list.move(steps);
  }

  openSelected() {
    this.list.open(this.list.selected);
  }

  get selectedTrace() {
    return this.list.selected?.TraceId ?? null;
  }
}
