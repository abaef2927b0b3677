// A line chart in SVG. A line is told from another by its dashes and the name at its end, not by its colour alone.

import { el, save, svg } from "./dom.js";
import { number, t } from "./i18n.js";

const MARGIN = { top: 12, right: 16, bottom: 30, left: 52 };

/** As wide as it will be shown, so that its letters keep their size on a phone. */
export const chartWidth = () => Math.min(640, Math.max(260, document.documentElement.clientWidth - 70));

/** Round numbers, about `count` of them, that lie between low and high. */
export function ticks(low, high, count = 5) {
  const rough = (high - low || Math.abs(high) || 1) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const all = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) all.push(i * step || 0);
  return all;
}

function range(values) {
  let low = Math.min(...values);
  let high = Math.max(...values);
  if (low === high) [low, high] = [low - (Math.abs(low) || 1) * 0.1, high + (Math.abs(high) || 1) * 0.1];
  return [low, high];
}

const short = (value) => (Math.abs(value) >= 10000 ? number(value / 1000, 1) + "k" : number(value, 3));

/**
 * `series`: [{name, points: [[x, y], ...]}]. `mark`: an x to draw a line at; `label`: what a screen reader is told;
 * `x`: name of the axis below. Null points and series without points are left out.
 */
export function lineChart({ series, mark = null, label, x = "", height = 240, dots = false }) {
  const shown = series.map(({ name, points }) => ({ name, points: points.filter(([, y]) => Number.isFinite(y)) }))
    .filter(({ points }) => points.length);
  if (!shown.length) return el("p.muted", { text: t("chart.nothing") });
  const width = chartWidth();
  const all = shown.flatMap(({ points }) => points);
  const [left, right] = range(all.map(([at]) => at));
  const [low, high] = range(all.map(([, y]) => y));
  const px = (at) => MARGIN.left + (at - left) / (right - left) * (width - MARGIN.left - MARGIN.right);
  const py = (y) => height - MARGIN.bottom - (y - low) / (high - low) * (height - MARGIN.top - MARGIN.bottom);
  const step = ([at, y], i) => `${i ? "L" : "M"}${px(at).toFixed(1)} ${py(y).toFixed(1)}`;

  const picture = svg("svg.chart", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  for (const y of ticks(low, high, 4)) {
    picture.append(svg("line.grid", { x1: MARGIN.left, x2: width - MARGIN.right, y1: py(y), y2: py(y) }),
      svg("text.tick", { x: MARGIN.left - 8, y: py(y) + 4, "text-anchor": "end", text: short(y) }));
  }
  for (const at of ticks(left, right, width / 100)) {
    picture.append(svg("text.tick", { x: px(at), y: height - 10, "text-anchor": "middle", text: short(at) }));
  }
  if (mark !== null) {
    picture.append(svg("line.mark", { x1: px(mark), x2: px(mark), y1: MARGIN.top, y2: height - MARGIN.bottom }));
  }
  shown.forEach(({ points }, i) => {
    picture.append(svg("path.line", { d: points.map(step).join(""), "data-series": i }));
    const marked = dots || points.length === 1 ? points : points.filter(([at]) => at === mark);
    for (const [at, y] of marked) {
      picture.append(svg("circle.dot", { cx: px(at), cy: py(y), r: 3.5, "data-series": i }));
    }
  });
  const sample = (i) => svg("svg.sample", { viewBox: "0 0 28 8", "aria-hidden": "true" },
    svg("path.line", { d: "M0 4H28", "data-series": i }));
  const last = (points) => number(points.at(-1)[1], 3);
  return el("figure.chart-figure", {}, el("div.chart-scroll", {}, picture),
    el("figcaption.legend", {}, ...shown.map(({ name, points }, i) =>
      el("span.legend-item", {}, sample(i), el("span", { text: name }), el("span.muted", { text: last(points) }))),
    x && el("span.legend-x.muted", { text: x })));
}

/** Rows under column names, in a box that scrolls sideways by itself. */
export function table(label, columns, rows) {
  const cell = (value) => el("td", { text: typeof value === "number" ? number(value, 4) : value ?? "–" });
  return el("div.table-scroll", { tabindex: 0, role: "region", "aria-label": label }, el("table", {},
    el("thead", {}, el("tr", {}, ...columns.map((name) => el("th", { scope: "col", text: name })))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map(cell))))));
}

/** Rows as CSV (RFC 4180); numbers as computers write them, whatever the language of the page. */
export function asCsv(columns, rows) {
  const quoted = (text) => `"${text.replaceAll('"', '""')}"`;
  const cell = (value) => (typeof value === "number" ? String(value) : quoted(String(value ?? "")));
  return [columns, ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

/** The numbers of a picture for those who cannot see it, folded away; `name` is that of the file they are saved as. */
export const dataTable = (name, columns, rows) =>
  el("details.data", {}, el("summary", { text: t("chart.table") }),
    table(t("chart.table"), columns, rows),
    el("button.small", { type: "button", text: t("chart.csv"), onclick: () =>
      save(`${name.replaceAll("/", "-")}.csv`, asCsv(columns, rows), "text/csv") }));
