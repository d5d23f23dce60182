// The page: which view is shown, keys, the connection, and when to draw.
//
// Knows every part. It begins when the document is there, and draws at most ten times a second,
// and only what is in sight and has changed.

const DRAW_MS = 100;
const VIEWS = ["logs", "traces", "metrics", "server"];

class App {
  constructor() {
    this.store = new Store();
    this.isPaused = false;
    this.drawn = "";
    this.drawnAt = 0;
    this.status = { kind: "connecting" };
    this.filters = new Filters(() => this.draw());
    this.panel = new Panel(() => this.view.node.querySelector(".list, .scrolls")?.focus());
    this.views = {
      logs: new LogsView(this),
      traces: new TracesView(this),
      trace: new TraceView(this),
      metrics: new MetricsView(this),
      server: new ServerView(this),
    };
    this.stream = new Stream({
      onEvent: (name, data) => this.onEvent(name, data),
      onStatus: (status) => this.onStatus(status),
    });
    this.listen();
    this.route();
    this.askIndex();
    this.stream.run();
    setInterval(() => this.showStatus(), 1000);
  }

  // -- what comes -----------------------------------------------------------------------------

  onEvent(name, data) {
    try {
      this.store.take(name, JSON.parse(data), data.length);
    } catch (error) {
      console.warn("an event could not be read", name, error.message);
    }
    this.draw();
  }

  onStatus(status) {
    this.status = status;
    this.showStatus();
    if (status.kind === "token") askToken(this.stream, status.refused);
    else if (status.kind === "live") byId("token").close();
    if (status.kind === "live" && !this.index) this.askIndex();
  }

  // Where to send to: the server says it, the page shows it while there is nothing else to show.
  async askIndex() {
    let index = {};
    try {
      const response = await fetch("./", { headers: { accept: "application/json" }, cache: "no-store" });
      if (response.ok) this.index = index = await response.json();
    } catch {
      // The banner says already that the server does not answer.
    }
    showWelcome(index);
  }

  // -- what is shown --------------------------------------------------------------------------

  route() {
    const [name, id] = location.hash.slice(1).split("/");
    const chosen = name === "trace" && id ? "trace" : VIEWS.includes(name) ? name : "logs";
    if (chosen === "trace") this.views.trace.choose(id);
    if (this.viewName !== chosen || chosen === "trace") this.panel?.close();
    this.viewName = chosen;
    this.view = this.views[chosen];
    document.body.dataset.view = chosen;
    const tab = chosen === "trace" ? "traces" : chosen;
    for (const link of document.querySelectorAll("nav a")) {
      if (link.dataset.view === tab) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = `${tab[0].toUpperCase()}${tab.slice(1)} \u00b7 otlp2parquet`;
    replace(byId("view"), this.view.node);
    this.tell("", "");
    this.drawn = "";
    this.drawNow();
    this.view.node.querySelector(".list, .scrolls")?.focus({ preventScroll: true });
  }

  go(where) {
    location.hash = where;
  }

  draw() {
    if (this.isWaiting) return;
    this.isWaiting = true;
    const wait = Math.max(0, this.drawnAt + DRAW_MS - performance.now());
    setTimeout(() => requestAnimationFrame(() => this.drawNow()), wait);
  }

  drawNow() {
    this.isWaiting = false;
    this.drawnAt = performance.now();
    const key = [this.store.version, this.filters.version, this.isPaused, this.viewName].join();
    if (key === this.drawn) return;
    this.drawn = key;
    const { store } = this;
    document.body.classList.toggle("is-empty", store.isEmpty && this.viewName !== "server" && this.viewName !== "trace");
    const before = store.isEmpty ? Number(store.state?.totals?.rows) || 0 : 0;
    setText(byId("before"), before ? `${plural(before, "row")} came before you looked, and went to the files.` : "");
    this.filters.offer(store.services);
    this.view.update();
    for (const [name, seen] of [["logs", store.logsSeen], ["traces", store.traces.size], ["metrics", store.series.size]]) {
      setText(byId(`count-${name}`), seen ? short(seen) : "");
    }
    const refused = byId("count-refused");
    setText(refused, store.refused ? short(store.refused) : "");
    refused.title = store.refused ? `${plural(store.refused, "refusal")} while you look` : "";
    this.showStatus();
  }

  // A line below the filters: what is shown, and what is not.
  tell(text, title) {
    const node = byId("told");
    setText(node, text);
    setTitle(node, title);
    node.classList.toggle("has-more", Boolean(title));
  }

  showStatus() {
    const { kind, retryAt, reason } = this.status;
    const rate = this.store.state?.rates?.rows ?? 0;
    const secs = Math.max(0, Math.ceil(((retryAt ?? 0) - Date.now()) / 1000));
    const texts = {
      connecting: "Connecting",
      live: `Live \u00b7 ${number(rate)} rows/s`,
      lost: "Disconnected",
      token: "Token needed",
    };
    const paused = this.isPaused && kind === "live";
    byId("status").dataset.kind = paused ? "paused" : kind;
    const waiting = this.views.logs.waiting;
    setText(byId("status-text"), paused ? `Paused \u00b7 ${short(Math.max(0, waiting))} new logs` : texts[kind]);
    const banner = byId("banner");
    banner.hidden = kind !== "lost";
    if (kind === "lost") {
      setText(byId("banner-text"), reason ? `The server does not show anything: ${visible(reason)}.` : "The server does not answer. What is below may be old.");
      setText(byId("banner-retry"), secs > 0 ? `Next try in ${secs} s.` : "Trying again.");
    }
  }

  pause() {
    this.isPaused = !this.isPaused;
    const button = byId("pause");
    button.setAttribute("aria-pressed", this.isPaused);
    button.title = this.isPaused ? "Go on (p)" : "Pause (p)";
    this.drawNow();
  }

  clear() {
    this.store.clear();
    this.panel.close();
    this.drawNow();
  }

  // -- keys and buttons -----------------------------------------------------------------------

  listen() {
    addEventListener("hashchange", () => this.route());
    document.addEventListener("visibilitychange", () => this.draw());
    document.addEventListener("keydown", (event) => this.onKey(event));
    byId("pause").addEventListener("click", () => this.pause());
    byId("clear").addEventListener("click", () => this.clear());
    byId("help").addEventListener("click", () => byId("keys").showModal());
    byId("retry").addEventListener("click", () => this.stream.tryNow());
    for (const button of document.querySelectorAll("dialog [data-close]")) {
      button.addEventListener("click", () => button.closest("dialog").close());
    }
    byId("token").addEventListener("submit", (event) => {
      event.preventDefault();
      byId("token").close();
      this.stream.useToken(byId("token-text").value.trim());
      byId("token-text").value = "";
    });
    byId("status").addEventListener("click", () => {
      if (this.status.kind === "token") askToken(this.stream, false);
    });
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const { target } = event;
    if (event.key === "Escape") return this.escape(target);
    if (target.closest("input:not([type=radio], [type=checkbox]), select, textarea")) return;
    const view = this.view;
    const actions = {
      1: () => this.go("logs"),
      2: () => this.go("traces"),
      3: () => this.go("metrics"),
      4: () => this.go("server"),
      "/": () => byId("text").focus(),
      "?": () => byId("keys").showModal(),
      p: () => this.pause(),
      j: () => view.move?.(1),
      k: () => view.move?.(-1),
      o: () => view.openSelected?.(),
      t: () => view.selectedTrace && this.go(`trace/${view.selectedTrace}`),
      h: () => view.side?.(true),
      l: () => view.side?.(false),
      ArrowLeft: () => view.side?.(true),
      ArrowRight: () => view.side?.(false),
      G: () => view.toNewest?.(),
      b: () => this.viewName === "trace" && this.go("traces"),
      x: () => this.clear(),
    };
    const action = actions[event.key];
    if (!action || event.defaultPrevented) return;
    if (event.key.startsWith("Arrow") && !view.side) return;
    event.preventDefault();
    action();
  }

  escape(target) {
    if (this.panel.isOpen) this.panel.close();
    else if (target.id === "text" && target.value === "") target.blur();
    else if (this.filters.isSet) this.filters.reset();
    else if (this.viewName === "trace") this.go("traces");
  }
}

function short(seen) {
  return seen < 1000 ? String(seen) : scaled(seen, [[1, ""], [1e3, "k"], [1e6, "M"], [1e9, "G"]]).replace(" ", "");
}

function askToken(stream, wasRefused) {
  byId("token-refused").hidden = !wasRefused;
  if (!byId("token").open) byId("token").showModal();
  byId("token-text").focus();
}

// How to send something, with the addresses of this server.
function showWelcome(index) {
  const here = location.origin;
  const grpc = typeof index.grpc === "string" ? grpcAt(index.grpc) : null;
  const record = '{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"hello"}}]},"scopeLogs":[{"logRecords":[{"severityNumber":9,"body":{"stringValue":"Hello from curl"}}]}]}]}';
  const commands = [
    ["Any OpenTelemetry SDK, over HTTP", `export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\nexport OTEL_EXPORTER_OTLP_ENDPOINT=${here}`],
    grpc ? ["\u2026 or over gRPC", `export OTEL_EXPORTER_OTLP_PROTOCOL=grpc\nexport OTEL_EXPORTER_OTLP_ENDPOINT=${grpc}`] : null,
    ["One log record, with curl", `curl ${here}/v1/logs -H 'content-type: application/json' -d '${record}'`],
  ].filter(Boolean);
  replace(
    byId("commands"),
    commands.map(([title, text]) => el("div", { class: "command" }, el("p", null, title, copyButton(text)), el("pre", { tabindex: "0" }, text))),
  );
  byId("with-token").hidden = !index.tokens;
}

// The server knows its port; by which name it is reached, the browser knows better.
function grpcAt(address) {
  const port = /:(\d+)$/.exec(address)?.[1];
  const name = location.hostname.includes(":") ? `[${location.hostname.replace(/[[\]]/g, "")}]` : location.hostname;
  return port ? `${location.protocol}//${name}:${port}` : null;
}

new App();
