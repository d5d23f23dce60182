// What somebody wants to see: least severity, a service, a text.
//
// Knows the controls and the columns that a text is looked for in. It must not know the views.

const SEARCHED = [
  "Body", "EventName", "SpanName", "StatusMessage", "MetricName", "MetricDescription",
  "ServiceName", "SeverityText", "LogAttributes", "SpanAttributes", "Attributes",
  "ResourceAttributes", "ScopeName", "TraceId", "SpanId",
];

function haystack(row) {
  if (row.haystack === undefined) {
    const texts = SEARCHED.map((name) => row[name]).filter(Boolean);
    if (row.EventsName?.length) texts.push(...row.EventsName, ...(row.EventsAttributes ?? []));
    row.haystack = texts.join("\n").toLowerCase();
  }
  return row.haystack;
}

class Filters {
  constructor(onChange) {
    this.level = 0;
    this.service = "";
    this.text = "";
    this.errorsOnly = false;
    this.version = 0;
    this.onChange = onChange;
    this.numServices = 0;
    byId("text").addEventListener("input", () => this.later());
    byId("service").addEventListener("change", () => this.read());
    byId("levels").addEventListener("change", () => this.read());
    byId("errors-only").addEventListener("change", () => this.read());
    byId("reset").addEventListener("click", () => this.reset());
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.read(), 80);
  }

  read() {
    this.text = byId("text").value.trim().toLowerCase();
    this.service = byId("service").value;
    this.level = Number(document.querySelector("#levels input:checked").value);
    this.errorsOnly = byId("errors-only").checked;
    this.version += 1;
    byId("reset").hidden = !this.isSet;
    this.onChange();
  }

  get isSet() {
    return Boolean(this.text || this.service || this.level || this.errorsOnly);
  }

  reset() {
    byId("text").value = "";
    byId("service").value = "";
    byId("errors-only").checked = false;
    document.querySelector('#levels input[value="0"]').checked = true;
    this.read();
  }

  // The services that were seen, to choose from.
  offer(services) {
    if (services.size === this.numServices) return;
    this.numServices = services.size;
    const select = byId("service");
    const names = [...services].sort((one, other) => one.localeCompare(other));
    replace(
      select,
      el("option", { value: "" }, "All services"),
      names.map((name) => el("option", { value: name }, oneLine(name, 60))),
    );
    select.value = this.service;
  }

  wantsService(row) {
    return !this.service || row.ServiceName === this.service;
  }

  wantsText(row) {
    return !this.text || haystack(row).includes(this.text);
  }

  wantsLog(row) {
    return row.level >= this.level && this.wantsService(row) && this.wantsText(row);
  }

  wantsTrace(trace) {
    if (this.errorsOnly && trace.errors === 0) return false;
    if (!this.service && !this.text) return true;
    for (const span of trace.spans.values()) {
      if (this.wantsService(span) && this.wantsText(span)) return true;
    }
    return this.text !== "" && !this.service && trace.id.includes(this.text);
  }
}
