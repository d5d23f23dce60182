// The latest value of each metric series, with a small plot.
//
// Knows the five kinds of data points. It must not know how anything is drawn (`plots.js`).

const SERIES_OF_CARD = 4;
const KINDS = {
  gauge: "gauge",
  sum: "sum",
  histogram: "histogram",
  exponential_histogram: "exponential histogram",
  summary: "summary",
};

// The bars of an explicit histogram; without bounds all values are in one.
function explicitBars(row) {
  const bounds = (row.ExplicitBounds ?? []).map(Number);
  return (row.BucketCounts ?? []).map((counted, at) => ({
    count: Number(counted),
    from: at === 0 ? -Infinity : bounds[at - 1],
    to: at < bounds.length ? bounds[at] : Infinity,
  }));
}

// The specification: bucket `index` holds values from base^index to base^(index+1), where base is
// 2^(2^-scale). Only buckets from the first to the last that has values.
function exponentialBars(row) {
  const bound = (index) => 2 ** (index * 2 ** -row.Scale);
  const side = (offset, counts, sign) => {
    const bars = (counts ?? []).map((counted, at) => {
      const near = sign * bound(Number(offset ?? 0) + at);
      const far = sign * bound(Number(offset ?? 0) + at + 1);
      return { count: Number(counted), from: Math.min(near, far), to: Math.max(near, far) };
    });
    const first = bars.findIndex((bar) => bar.count > 0);
    return first < 0 ? [] : bars.slice(first, bars.findLastIndex((bar) => bar.count > 0) + 1);
  };
  const negative = side(row.NegativeOffset, row.NegativeBucketCounts, -1).reverse();
  const positive = side(row.PositiveOffset, row.PositiveBucketCounts, 1);
  const zeros = Number(row.ZeroCount) > 0
    ? [{ count: Number(row.ZeroCount), from: -row.ZeroThreshold || 0, to: Number(row.ZeroThreshold) }]
    : [];
  return [...negative, ...zeros, ...positive];
}

function unitOf(row) {
  const unit = row.MetricUnit ?? "";
  return unit === "1" || /^\{.*\}$/.test(unit) ? unit.replace(/^1$|[{}]/g, "") : unit;
}

class MetricsView {
  constructor(app) {
    this.app = app;
    this.cards = new Map();
    this.grid = el("div", { class: "cards" });
    this.none = el("div", { class: "none", hidden: true });
    this.node = el("div", { class: "view scrolls metrics-view", tabindex: "-1" }, this.grid, this.none);
  }

  update() {
    const { store, filters, isPaused } = this.app;
    if (isPaused && this.filtered === filters.version) return;
    this.filtered = filters.version;
    const wanted = new Map();
    for (const series of store.series.values()) {
      if (!filters.wantsService(series.last) || !filters.wantsText(series.last)) continue;
      const key = [series.name, series.service, series.kind].join("\u0000");
      if (wanted.has(key)) wanted.get(key).push(series);
      else wanted.set(key, [series]);
    }
    const keys = [...wanted.keys()].sort((one, other) => one.localeCompare(other));
    for (const [key, card] of this.cards) {
      if (!wanted.has(key)) {
        card.node.remove();
        this.cards.delete(key);
      }
    }
    keys.forEach((key, at) => {
      if (!this.cards.has(key)) this.cards.set(key, new Card(wanted.get(key)[0]));
      const card = this.cards.get(key);
      if (this.grid.children[at] !== card.node) this.grid.insertBefore(card.node, this.grid.children[at] ?? null);
      card.update(wanted.get(key));
    });
    this.none.hidden = keys.length > 0;
    if (!this.none.hidden) {
      setText(this.none, store.series.size ? `None of ${plural(store.series.size, "series", "series")} matches the filters.` : "No metrics yet.");
    }
    const shown = [...wanted.values()].reduce((sum, list) => sum + list.length, 0);
    this.app.tell(`${plural(keys.length, "metric")}, ${count(shown)} series`, "");
  }
}

class Card {
  constructor(series) {
    this.limit = SERIES_OF_CARD;
    this.rows = new Map();
    this.body = el("div", { class: "card-body" });
    this.more = el("button", { type: "button", class: "quiet small", hidden: true });
    this.more.addEventListener("click", () => {
      this.limit = Infinity;
      this.update(this.all);
    });
    const { last } = series;
    const notes = [KINDS[series.kind] ?? series.kind];
    if (last.AggregationTemporality === "AGGREGATION_TEMPORALITY_DELTA") notes.push("delta");
    if (series.kind === "sum" && !last.IsMonotonic) notes.push("up and down");
    this.node = el(
      "article",
      { class: "card" },
      el(
        "header",
        null,
        el("h2", { title: oneLine(series.name, 300) }, oneLine(series.name, 120)),
        el("p", null, serviceNode(series.service), el("span", { class: "kind" }, notes.join(", ")), unitOf(last) ? el("span", { class: "kind" }, oneLine(unitOf(last), 20)) : null),
        last.MetricDescription ? el("p", { class: "note" }, oneLine(last.MetricDescription, 200)) : null,
      ),
      this.body,
      this.more,
    );
  }

  update(all) {
    this.all = all;
    const sorted = all.length > 1 ? [...all].sort((one, other) => (one.key < other.key ? -1 : 1)) : all;
    const shown = sorted.slice(0, this.limit);
    const keys = new Set(shown.map((series) => series.key));
    for (const [key, row] of this.rows) {
      if (!keys.has(key)) {
        row.remove();
        this.rows.delete(key);
      }
    }
    shown.forEach((series, at) => {
      let row = this.rows.get(series.key);
      if (row?.version !== series.version) {
        const made = drawSeries(series);
        made.version = series.version;
        if (row) row.replaceWith(made);
        this.rows.set(series.key, made);
        row = made;
      }
      if (this.body.children[at] !== row) this.body.insertBefore(row, this.body.children[at] ?? null);
    });
    this.more.hidden = sorted.length <= shown.length;
    setText(this.more, `Show ${count(sorted.length - shown.length)} more`);
  }
}

function drawSeries(series) {
  const { last } = series;
  const labels = inlinePairs(clipJson(last.Attributes));
  const head = el(
    "div",
    { class: "labels", title: oneLine(labels.join("\n"), 1000) },
    labels.length ? labels.slice(0, 12).map((text) => el("span", { class: "label" }, oneLine(text, 60))) : null,
  );
  const time = el("time", { datetime: last.Timestamp, title: bothTimes(last.Timestamp) }, clock(last.Timestamp));
  const rest = series.kind === "gauge" || series.kind === "sum" ? drawNumber(series) : drawDistribution(series);
  return el("div", { class: `series of-${series.kind}` }, labels.length ? head : null, ...rest, time);
}

function drawNumber(series) {
  const { last, points } = series;
  const value = last.IntValue ?? last.Value;
  const rate = series.isRate ? points.at(-1)?.value : undefined;
  // Bytes as people say them; the exact number is in the title.
  const isBytes = last.MetricUnit === "By" && Number.isFinite(Number(value));
  const shown = isBytes ? bytes(value) : number(value);
  const unit = isBytes ? "" : oneLine(unitOf(last), 12);
  const what = series.isRate ? "per second" : "values";
  const values = points.map((point) => point.value);
  const label = values.length
    ? `${what}: latest ${number(values.at(-1))}, lowest ${number(Math.min(...values))}, highest ${number(Math.max(...values))}`
    : "no values to plot yet";
  return [
    el("div", { class: "reading", title: String(value ?? "") }, el("b", null, shown), el("span", null, rate === undefined ? unit : `${number(rate)}/s`)),
    drawLine(points, { label }),
  ];
}

function drawDistribution(series) {
  const { last, kind } = series;
  const total = Number(last.Count);
  const unit = unitOf(last);
  const mean = total > 0 && last.Sum !== undefined ? Number(last.Sum) / total : null;
  const stats = [["count", count(total)], ["mean", number(mean)]];
  if (kind === "summary") {
    const rows = (last.Quantiles ?? []).map((share, at) => [quantileName(share), last.QuantileValues[at]]);
    return [statistics(stats), rows.length ? drawQuantiles(rows) : null];
  }
  const bars = kind === "histogram" ? explicitBars(last) : exponentialBars(last);
  if (last.Min !== undefined) stats.push(["min", number(last.Min)]);
  if (last.Max !== undefined) stats.push(["max", number(last.Max)]);
  for (const share of [0.5, 0.95, 0.99]) {
    const value = bars.length > 1 ? quantile(bars, share) : null;
    if (value !== null) stats.push([`\u2248 p${share * 100}`, number(Number(value.toPrecision(3)))]);
  }
  const label = `histogram of ${plural(total, "value")} in ${plural(bars.length, "bucket")}`;
  return [statistics(stats), bars.length ? drawBars(bars, { label, unit }) : null];
}

function quantileName(share) {
  if (Number(share) === 0) return "min";
  return Number(share) === 1 ? "max" : `p${Number((Number(share) * 100).toPrecision(6))}`;
}

function statistics(rows) {
  return el("dl", { class: "statistics" }, rows.map(([name, value]) => el("div", null, el("dt", null, name), el("dd", null, value))));
}
