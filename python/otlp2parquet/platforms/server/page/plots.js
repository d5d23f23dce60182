// Small drawings: a line of values, bars of a histogram, quantiles.
//
// Knows numbers and SVG. It must not know metrics.

const MOST_BARS = 40;

// Values over time, in a box of its own scale.
function drawLine(points, { label, height = 36, width = 160 }) {
  const node = svg("svg", { class: "plot line", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, preserveAspectRatio: "none" });
  node.append(svg("title", null, label));
  if (points.length < 2) {
    node.append(svg("line", { class: "base", x1: 0, x2: width, y1: height - 2, y2: height - 2 }));
    return node;
  }
  const values = points.map((point) => point.value);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const from = points[0].at;
  const span = points.at(-1).at - from || 1;
  const pad = 3;
  const place = (point) => {
    const share = high > low ? (point.value - low) / (high - low) : high === 0 ? 0 : 0.5;
    return `${(((point.at - from) / span) * width).toFixed(1)},${(height - pad - share * (height - 2 * pad)).toFixed(1)}`;
  };
  const line = points.map(place).join(" ");
  node.append(
    svg("polygon", { class: "area", points: `0,${height} ${line} ${width},${height}` }),
    svg("polyline", { class: "stroke", points: line }),
  );
  return node;
}

// Bars: `bars` are {count, from, to}, neighbours put together where there are too many.
function drawBars(bars, { label, unit, height = 64 }) {
  const together = Math.ceil(bars.length / MOST_BARS) || 1;
  const shown = [];
  for (let at = 0; at < bars.length; at += together) {
    const part = bars.slice(at, at + together);
    shown.push({
      count: part.reduce((sum, bar) => sum + bar.count, 0),
      from: part[0].from,
      to: part.at(-1).to,
    });
  }
  const most = Math.max(1, ...shown.map((bar) => bar.count));
  const step = 300 / Math.max(1, shown.length);
  const node = svg("svg", { class: "plot bars", viewBox: `0 0 300 ${height}`, role: "img", "aria-label": label, preserveAspectRatio: "none" });
  shown.forEach((bar, at) => {
    const tall = bar.count > 0 ? Math.max(2, (bar.count / most) * (height - 4)) : 1;
    node.append(
      svg(
        "rect",
        { class: bar.count > 0 ? "bar" : "empty", x: at * step + 0.5, y: height - tall, width: Math.max(1, step - 1), height: tall },
        svg("title", null, `${rangeOf(bar, unit)}: ${count(bar.count)}`),
      ),
    );
  });
  const ends = shown.length ? [edge(shown[0].from, shown[0].to, "\u2264"), edge(shown.at(-1).to, shown.at(-1).from, ">")] : ["", ""];
  return el("div", { class: "figure" }, node, el("div", { class: "ends" }, el("span", null, ends[0]), el("span", null, ends[1])));
}

function edge(bound, other, sign) {
  return Number.isFinite(bound) ? number(bound) : Number.isFinite(other) ? `${sign} ${number(other)}` : "";
}

function rangeOf({ from, to }, unit) {
  const end = unit ? ` ${unit}` : "";
  if (!Number.isFinite(from) && !Number.isFinite(to)) return "all values";
  if (!Number.isFinite(from)) return `up to ${number(to)}${end}`;
  if (!Number.isFinite(to)) return `above ${number(from)}${end}`;
  return from === to ? `${number(from)}${end}` : `${number(from)} to ${number(to)}${end}`;
}

// Bars with names beside them, as long as their values.
function drawQuantiles(rows) {
  const most = Math.max(...rows.map(([, value]) => Math.abs(Number(value)) || 0), Number.MIN_VALUE);
  return el(
    "div",
    { class: "quantiles" },
    rows.map(([name, value]) => {
      const bar = el("i");
      bar.style.width = `${((100 * (Math.abs(Number(value)) || 0)) / most).toFixed(1)}%`;
      return el("div", null, el("span", null, name), el("span", { class: "track" }, bar), el("b", null, number(value)));
    }),
  );
}

// About where a share of the values lies: straight lines within each bar.
function quantile(bars, share) {
  const total = bars.reduce((sum, bar) => sum + bar.count, 0);
  if (total === 0) return null;
  let left = share * total;
  for (const bar of bars) {
    if (bar.count > 0 && left <= bar.count) {
      if (!Number.isFinite(bar.from)) return bar.to;
      if (!Number.isFinite(bar.to)) return bar.from;
      return bar.from + (bar.to - bar.from) * (left / bar.count);
    }
    left -= bar.count;
  }
  return null;
}
