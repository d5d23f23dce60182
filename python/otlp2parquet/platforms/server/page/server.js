// The server's own state: whether it takes requests, how fast, what it refused, what it stored.
//
// Knows the event `state` and refusals. What it has no name for it shows under the name it came by.

const BATCH_NAMES = {
  open_rows: "rows in the open batch",
  waiting: "batches waiting to be stored",
  resting: "waiting for another try",
  left: "left for the next start",
};

class ServerView {
  constructor(app) {
    this.app = app;
    this.tiles = el("div", { class: "tiles" });
    this.trouble = el("div", { class: "trouble", role: "alert", hidden: true });
    this.batches = el("div");
    this.files = table(["stored", "table", "rows", "size", "path"]);
    this.refusals = table(["time", "client", "signal", "status", "count", "reason", "what the client was told"]);
    this.noFiles = el("p", { class: "note" }, "No file was stored since the start.");
    this.noRefusals = el("p", { class: "note" }, "Nothing was refused while this page was open.");
    this.node = el(
      "div",
      { class: "view scrolls server-view", tabindex: "-1" },
      this.tiles,
      this.trouble,
      el("section", null, el("h2", null, "Refused"), this.refusals, this.noRefusals),
      el("section", null, el("h2", null, "Files, the newest first"), this.files, this.noFiles),
      el("section", null, el("h2", null, "Batches"), this.batches),
    );
  }

  update() {
    const { state, refusals, refused, skipped } = this.app.store;
    this.showRefusals(refusals);
    if (!state) return;
    const reasons = state.reasons ?? [];
    const error = state.batches?.last_error;
    this.trouble.hidden = reasons.length === 0 && !error;
    replace(
      this.trouble,
      reasons.map((reason) => el("p", null, `Requests are refused now: ${visible(reason)}`)),
      error ? el("p", null, `Storing failed last with: ${visible(String(error))}`) : null,
    );
    const { rates = {}, totals = {} } = state;
    const history = (name) => this.app.store.states.map((one) => ({ at: Date.parse(one.time), value: Number(one.rates?.[name]) || 0 }));
    replace(
      this.tiles,
      tile("Takes requests", state.ready ? "yes" : "no", `${visible(state.durability ?? "")} durability`, null, state.ready ? "is-good" : "is-bad"),
      tile("Rows", `${number(rates.rows ?? 0)}/s`, `${count(totals.rows ?? 0)} in all`, history("rows")),
      tile("Requests", `${number(rates.requests ?? 0)}/s`, `${count(totals.requests ?? 0)} in all`, history("requests")),
      tile("Refused", count(totals.refused ?? 0), refused ? `${count(refused)} while you look` : "since the start", history("refused"), totals.refused ? "is-bad" : ""),
      tile("Oldest unstored", state.oldest_unstored_secs ? age(state.oldest_unstored_secs) : "none", `${count(state.batches?.open_rows ?? 0)} rows in the open batch`),
      tile("Files", count(totals.files ?? 0), `${bytes(totals.bytes ?? 0)} stored`),
      state.memory
        ? tile("Memory of batches", bytes(state.memory.used_bytes), `of ${bytes(state.memory.limit_bytes)}`)
        : null,
      tile("Running for", age(state.uptime_secs), `version ${visible(state.version ?? "")}`),
    );
    const rows = Object.entries(state.batches ?? {})
      .filter(([name]) => name !== "last_error")
      .map(([name, value]) => [BATCH_NAMES[name] ?? name.replaceAll("_", " "), Array.isArray(value) ? value.join(", ") : count(value)]);
    const stored = totals.stored_rows === undefined ? null : count(totals.stored_rows);
    replace(this.batches, facts(["folder", state.folder], ...rows, ["rows stored", stored]));
    this.showFiles(state.files ?? []);
    this.app.tell(skipped ? `${count(skipped)} events were too many to be shown here; the files have them` : "", "");
  }

  showRefusals(refusals) {
    this.refusals.hidden = refusals.length === 0;
    this.noRefusals.hidden = refusals.length > 0;
    if (this.shownRefusals === this.app.store.refused) return;
    this.shownRefusals = this.app.store.refused;
    const newest = refusals.slice(-100).reverse();
    replace(
      this.refusals.tBodies[0],
      newest.map((one) =>
        line([
          timeNode(one.time),
          el("code", null, oneLine(String(one.client ?? ""), 60)),
          oneLine(String(one.signal || "\u2013"), 20),
          el("b", { class: "bad" }, oneLine(String(one.status), 30)),
          count(one.count ?? 1),
          oneLine(String(one.reason ?? ""), 80),
          longText(String(one.message ?? ""), { class: "wraps" }),
        ], this.refusals),
      ),
    );
  }

  showFiles(files) {
    this.files.hidden = files.length === 0;
    this.noFiles.hidden = files.length > 0;
    const seen = JSON.stringify(files.map((file) => file.path));
    if (seen === this.shownFiles) return;
    this.shownFiles = seen;
    const newest = [...files].sort((one, other) => (one.time < other.time ? 1 : -1));
    replace(
      this.files.tBodies[0],
      newest.map((file) =>
        line([
          timeNode(file.time),
          oneLine(String(file.table).replace("otel_", ""), 40),
          count(file.rows),
          bytes(file.bytes),
          el("code", { class: "wraps" }, visible(String(file.path))),
        ], this.files),
      ),
    );
  }
}

function tile(name, value, note, points = null, mood = "") {
  return el(
    "div",
    { class: `tile ${mood}` },
    el("h3", null, name),
    el("b", null, value),
    el("p", null, note),
    points ? drawLine(points, { label: `${name} per second, the last two minutes`, height: 24 }) : null,
  );
}

function table(names) {
  const node = el(
    "table",
    null,
    el("thead", null, el("tr", null, names.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody"),
  );
  node.names = names;
  return node;
}

// On a narrow screen each cell says what it is.
function line(cells, { names }) {
  return el("tr", null, cells.map((cell, at) => el("td", { "data-name": names[at] }, cell)));
}
