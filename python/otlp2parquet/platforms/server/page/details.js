// Everything that a row says, in a panel beside the list.
//
// Knows how attributes and long texts are laid out. It must not know which view asks.

const SHOWN_CHARACTERS = 4000;
const SHOWN_PAIRS = 200;
const PIECE_CHARACTERS = 5000;

// A text, its beginning where it is long; all of it when asked for.
function longText(text, properties) {
  if (text.length <= SHOWN_CHARACTERS) return el("div", properties, visible(text));
  const start = visible(wholeSlice(text, SHOWN_CHARACTERS));
  const node = el("div", properties, `${start}\u2026 `);
  const more = el(
    "button",
    { type: "button", class: "quiet small", onclick: () => replace(node, pieces(text)) },
    `Show all ${count(text.length)} characters`,
  );
  node.append(more);
  return node;
}

// A long text in blocks, of which those in sight are laid out: a megabyte in one takes seconds. A
// block ends behind a line, where there is one.
function pieces(text) {
  const found = [];
  for (let from = 0; from < text.length; ) {
    const part = wholeSlice(text.slice(from, from + PIECE_CHARACTERS + 1), PIECE_CHARACTERS);
    const end = from + part.length < text.length ? part.lastIndexOf("\n") + 1 || part.length : part.length;
    found.push(el("div", { class: "piece" }, visible(part.slice(0, end))));
    from += end;
  }
  return found;
}

function facts(...rows) {
  const list = el("dl", { class: "facts" });
  for (const [name, value] of rows) {
    if (value === null || value === undefined || value === "") continue;
    const shown = value instanceof Node ? value : longText(String(value), { class: "value" });
    list.append(el("div", null, el("dt", null, visible(name)), el("dd", null, shown)));
  }
  return list.children.length > 0 ? list : null;
}

function section(title, ...children) {
  const filled = children.flat().filter((child) => child !== null && child !== undefined);
  if (filled.length === 0) return null;
  return el("section", null, el("h3", null, title), ...filled);
}

// A set of attributes: each pair, and how many the sender dropped.
function attributes(title, json, dropped = 0) {
  const all = pairs(json);
  const rows = all.slice(0, SHOWN_PAIRS).map(([key, value]) => [key, valueNode(value)]);
  const list = facts(...rows);
  const more = all.length > SHOWN_PAIRS ? `${count(all.length - SHOWN_PAIRS)} more in the file` : null;
  const lost = Number(dropped) > 0 ? `${count(dropped)} dropped by the sender` : null;
  const notes = [more, lost].filter(Boolean).map((text) => el("p", { class: "note" }, text));
  return section(all.length ? `${title} (${count(all.length)})` : title, list, ...notes);
}

function valueNode(json) {
  const kind = json[0] === '"' ? "string" : /^[-\d]/.test(json) ? "number" : "other";
  return longText(plain(json), { class: `value ${kind}` });
}

function idNode(id) {
  return id ? el("span", { class: "id" }, el("code", null, visible(id)), copyButton(id)) : null;
}

function serviceNode(name) {
  return el(
    "span",
    { class: "service", "--hue": hueOf(name ?? "") },
    name ? oneLine(name, 80) : "no service",
  );
}

function levelNode(row) {
  const own = row.SeverityText ? oneLine(row.SeverityText, 12) : LEVELS[row.level];
  return el("span", { class: `level level-${LEVELS[row.level]}` }, own.toUpperCase());
}

function origin(row) {
  return [
    attributes("Resource", row.ResourceAttributes, row.ResourceDroppedAttributesCount),
    section(
      "Scope",
      facts(
        ["name", row.ScopeName],
        ["version", row.ScopeVersion],
        ["schema", row.ScopeSchemaUrl],
      ),
      ...pairsOnly(row.ScopeAttributes),
    ),
  ];
}

function pairsOnly(json) {
  const list = facts(...pairs(json).map(([key, value]) => [key, valueNode(value)]));
  return list ? [list] : [];
}

function logDetails(row, knowsTrace) {
  const body = row.Body ?? "";
  const isJson = ["kvlist", "array"].includes(row.BodyType);
  const toTrace = row.TraceId
    ? el("a", { class: "button", href: `#trace/${row.TraceId}` }, knowsTrace ? "Open its trace" : "Look for its trace")
    : null;
  return {
    title: [levelNode(row), serviceNode(row.ServiceName)],
    content: [
      section(
        "Body",
        body
          ? longText(isJson ? plain(body) : body, { class: "text" })
          : el("p", { class: "note" }, "It has none."),
        el("p", { class: "buttons" }, body ? copyButton(body, "Copy body") : null, toTrace),
      ),
      attributes("Attributes", row.LogAttributes, row.DroppedAttributesCount),
      section(
        "Record",
        facts(
          ["time", fullTime(row.Timestamp)],
          ["observed", row.ObservedTimestamp && row.ObservedTimestamp !== row.Timestamp ? fullTime(row.ObservedTimestamp) : null],
          ["received", fullTime(row.received)],
          ["severity", [row.SeverityText, row.SeverityNumber || null].filter(Boolean).join(" \u00b7 ")],
          ["event", row.EventName],
          ["trace", idNode(row.TraceId)],
          ["span", idNode(row.SpanId)],
        ),
      ),
      ...origin(row),
    ],
  };
}

class Panel {
  constructor(onClose) {
    this.node = byId("panel");
    this.onClose = onClose;
    this.source = null;
    byId("panel-close").addEventListener("click", () => this.close());
  }

  get isOpen() {
    return !this.node.hidden;
  }

  show(source, { title, content }) {
    this.source = source;
    replace(byId("panel-title"), ...title);
    replace(byId("panel-content"), ...content);
    byId("panel-content").scrollTop = 0;
    this.node.hidden = false;
    document.body.classList.add("has-panel");
  }

  close() {
    if (!this.isOpen) return;
    this.node.hidden = true;
    this.source = null;
    document.body.classList.remove("has-panel");
    this.onClose();
  }
}
