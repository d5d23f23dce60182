// `/live`, read by fetch: a token can go into a header, which EventSource has no place for.
//
// Knows server-sent events, tokens and when to try again. It must not know what events hold.

const TOKEN_KEY = "otlp2parquet.token";
const RETRY_MS = [300, 1000, 2000, 4000];
const SILENT_MS = 12000; // the server's numbers come every second
const MOST_CHARACTERS = 32e6; // of one event

// Fields of https://html.spec.whatwg.org/multipage/server-sent-events.html, line by line.
class EventParser {
  constructor(onEvent) {
    this.onEvent = onEvent;
    this.rest = "";
    this.name = "";
    this.data = [];
    this.id = null;
  }

  push(text) {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop();
    if (this.rest.length > MOST_CHARACTERS) throw new Error("an event is too long");
    for (const line of lines) this.takeLine(line.endsWith("\r") ? line.slice(0, -1) : line);
  }

  takeLine(line) {
    if (line === "") {
      if (this.data.length > 0) this.onEvent(this.name || "message", this.data.join("\n"), this.id);
      this.name = "";
      this.data = [];
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return; // a comment
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.name = value;
    else if (field === "data") this.data.push(value);
    else if (field === "id") this.id = value;
  }
}

class Stream {
  // `onStatus` gets {kind: "connecting" | "live" | "lost" | "token", ...}.
  constructor({ onEvent, onStatus }) {
    this.onEvent = onEvent;
    this.onStatus = onStatus;
    this.lastId = null;
    this.wake = null;
  }

  get token() {
    return sessionStorage.getItem(TOKEN_KEY) ?? "";
  }

  useToken(token) {
    if (token) sessionStorage.setItem(TOKEN_KEY, token);
    else sessionStorage.removeItem(TOKEN_KEY);
    this.tryNow();
  }

  tryNow() {
    this.wake?.();
  }

  async run() {
    for (let attempt = 0; ; ) {
      let status;
      try {
        status = await this.follow(() => (attempt = 0));
      } catch (error) {
        status = { kind: "lost", reason: error.name === "AbortError" ? "it is silent" : "" };
      }
      if (status.kind === "token") {
        this.onStatus(status);
        await this.pause(null);
        continue;
      }
      const ms = RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)];
      attempt += 1;
      this.onStatus({ ...status, retryAt: Date.now() + ms, attempt });
      await this.pause(ms);
    }
  }

  pause(ms) {
    return new Promise((resolve) => {
      const timer = ms === null ? null : setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async follow(onLive) {
    const control = new AbortController();
    const headers = { accept: "text/event-stream" };
    if (this.token) headers.authorization = `Bearer ${this.token}`;
    if (this.lastId !== null) headers["last-event-id"] = this.lastId;
    let silence = setTimeout(() => control.abort(), SILENT_MS);
    try {
      const response = await fetch("live?recent=2000", {
        headers,
        cache: "no-store",
        credentials: "same-origin",
        signal: control.signal,
      });
      if (response.status === 401) return { kind: "token", refused: this.token !== "" };
      if (!response.ok) return { kind: "lost", reason: await reasonOf(response) };
      onLive();
      this.onStatus({ kind: "live" });
      const parser = new EventParser((name, data, id) => {
        if (id !== null) this.lastId = id;
        this.onEvent(name, data);
      });
      const decoder = new TextDecoder();
      const reader = response.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        clearTimeout(silence);
        if (done) return { kind: "lost", reason: "" };
        silence = setTimeout(() => control.abort(), SILENT_MS);
        parser.push(decoder.decode(value, { stream: true }));
      }
    } finally {
      clearTimeout(silence);
      control.abort();
    }
  }
}

async function reasonOf(response) {
  try {
    const text = wholeSlice(await response.text(), 1000);
    try {
      const page = JSON.parse(text);
      return String(page.message ?? page.error ?? `status ${response.status}`);
    } catch {
      return text.trim() || `status ${response.status}`;
    }
  } catch {
    return `status ${response.status}`;
  }
}
