// Times, durations, numbers and JSON as people read them.
//
// Knows formats alone. Times come as RFC 3339 with nanoseconds, integers beyond 2^53 as texts,
// attributes as JSON text; nothing of that is rounded where it is shown in full.

const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
const COUNT = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

// An instant as whole seconds and nanoseconds: differences are exact, whatever the year.
function instant(text) {
  const found = /^(.*?)(?:\.(\d+))?Z$/.exec(text ?? "");
  const secs = found ? Date.parse(`${found[1]}Z`) / 1000 : NaN;
  if (Number.isNaN(secs)) return { secs: 0, nanos: 0 };
  return { secs, nanos: Number((found[2] ?? "").padEnd(9, "0").slice(0, 9)) };
}

function nanosBetween(from, to) {
  return (to.secs - from.secs) * 1e9 + (to.nanos - from.nanos);
}

function plusNanos(from, nanos) {
  const whole = from.nanos + nanos;
  const carried = Math.floor(whole / 1e9);
  return { secs: from.secs + carried, nanos: whole - carried * 1e9 };
}

function millis(at) {
  return at.secs * 1000 + at.nanos / 1e6;
}

function two(number) {
  return String(number).padStart(2, "0");
}

// The local time of day; with the day where that is not today.
function clock(text) {
  const at = instant(text);
  const date = new Date(at.secs * 1000);
  const ms = String(Math.floor(at.nanos / 1e6)).padStart(3, "0");
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
  if (date.toDateString() === new Date().toDateString()) return time;
  const day = `${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const year = date.getFullYear() === new Date().getFullYear() ? "" : `${date.getFullYear()}-`;
  return `${year}${day} ${time}`;
}

// Local time with its zone, and UTC: for a title.
function bothTimes(text) {
  if (!text) return "";
  const date = new Date(instant(text).secs * 1000);
  const offset = -date.getTimezoneOffset();
  const sign = offset < 0 ? "-" : "+";
  const zone = `${sign}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  const below = /\.\d+/.exec(text)?.[0] ?? "";
  return `${day} ${time}${below} ${zone} (${ZONE})\n${text} (UTC)`;
}

// Both, one below the other.
function fullTime(text) {
  if (!text) return null;
  const lines = bothTimes(text).split("\n");
  return el("time", { datetime: text, class: "both" }, lines.map((line) => el("span", null, line)));
}

function timeNode(text, properties) {
  return el("time", { datetime: text, title: bothTimes(text), ...properties }, clock(text));
}

function count(number) {
  return COUNT.format(Number(number));
}

function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${Number(number) === 1 ? one : many}`;
}

// At most four digits that say something.
function number(value) {
  if (value === null || value === undefined) return "\u2013";
  if (typeof value === "string") return value; // not finite, or more than a double holds
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return COUNT.format(value);
  const size = Math.abs(value);
  if (size >= 1e12 || size < 1e-4) return value.toExponential(3);
  return new Intl.NumberFormat("en-US", { maximumSignificantDigits: size >= 1e4 ? 7 : 4 }).format(value);
}

function scaled(value, steps) {
  let at = 0;
  while (at + 1 < steps.length && Math.abs(value) >= steps[at + 1][0]) at += 1;
  const [size, unit] = steps[at];
  const share = value / size;
  const digits = at === 0 || Math.abs(share) >= 100 ? 0 : Math.abs(share) >= 10 ? 1 : 2;
  return `${Number(share.toFixed(digits))} ${unit}`;
}

const BYTES = [[1, "B"], [1e3, "kB"], [1e6, "MB"], [1e9, "GB"], [1e12, "TB"]];
const NANOS = [[1, "ns"], [1e3, "\u00b5s"], [1e6, "ms"], [1e9, "s"]];

function bytes(value) {
  return scaled(Number(value), BYTES);
}

function duration(nanos) {
  const value = Number(nanos);
  if (Math.abs(value) >= 60e9) return age(value / 1e9);
  return scaled(value, NANOS);
}

function age(secs) {
  if (secs === null || secs === undefined) return "\u2013";
  const value = Math.round(Number(secs));
  if (value < 0) return `-${age(-value)}`;
  if (value < 60) return `${value} s`;
  if (value < 3600) return `${Math.floor(value / 60)} min ${value % 60} s`;
  if (value < 86400) return `${Math.floor(value / 3600)} h ${Math.floor((value % 3600) / 60)} min`;
  return `${Math.floor(value / 86400)} d ${Math.floor((value % 86400) / 3600)} h`;
}

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

// The pairs of a JSON object in their order, duplicates too, each value as its own JSON text:
// JSON.parse would round large integers and forget the first of two equal keys.
function pairs(json) {
  if (!json || json === "{}") return [];
  const found = [];
  let depth = 0;
  let key = null;
  let value = "";
  for (const [token] of json.matchAll(TOKEN)) {
    if (depth === 1 && key === null && token[0] === '"') key = JSON.parse(token);
    else if (depth === 1 && token === ":" && value === "") continue;
    else if (depth === 1 && (token === "," || token === "}")) {
      if (key !== null) found.push([key, value]);
      key = null;
      value = "";
    } else if (depth > 0) value += token;
    if (token === "{" || token === "[") depth += 1;
    else if (token === "}" || token === "]") depth -= 1;
  }
  return found;
}

// A JSON value as text: a string as it is, all else as JSON, longer ones over several lines.
function plain(json) {
  if (json[0] === '"') return JSON.parse(json);
  return json.length > 60 && (json[0] === "{" || json[0] === "[") ? indented(json) : json;
}

function indented(json) {
  let text = "";
  let depth = 0;
  let before = "";
  for (const [token] of json.matchAll(TOKEN)) {
    const closes = token === "}" || token === "]";
    if (closes) depth -= 1;
    const opened = before === "{" || before === "[";
    if ((opened && !closes) || before === "," || (closes && !opened)) {
      text += `\n${"  ".repeat(Math.min(depth, 40))}`;
    }
    text += token === ":" ? ": " : token;
    if (token === "{" || token === "[") depth += 1;
    before = token;
  }
  return text;
}

// `a=1 b="x"`: attributes on one line.
function inlinePairs(json) {
  return pairs(json).map(([key, value]) => `${key}=${value[0] === '"' ? JSON.parse(value) : value}`);
}

const LEVELS = ["unset", "trace", "debug", "info", "warn", "error", "fatal"];
const OTHER_NAMES = {
  verbose: "trace", information: "info", informational: "info", notice: "info",
  warning: "warn", err: "error", severe: "error", critical: "fatal", crit: "fatal",
  alert: "fatal", emergency: "fatal", panic: "fatal",
};

// 0 to 6: unset, trace, debug, info, warn, error, fatal. Four numbers each, or the text's name.
function levelOf(row) {
  const severity = Number(row.SeverityNumber) || 0;
  if (severity > 0) return Math.min(6, Math.ceil(severity / 4));
  const name = (row.SeverityText ?? "").trim().toLowerCase();
  return Math.max(0, LEVELS.indexOf(OTHER_NAMES[name] ?? name));
}
