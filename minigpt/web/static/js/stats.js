// Answers and votes per day and model, as stacked columns with a legend that does without colour.

import { call } from "./api.js";
import { chartWidth, dataTable, table, ticks } from "./chart.js";
import { $, el, svg } from "./dom.js";
import { guarded } from "./errors.js";
import { language, number, percent, t } from "./i18n.js";

const HEIGHT = 200;
const LEFT = 36;
const BOTTOM = 24;
const SHOWN = ["model", "answers", "votes", "wins", "losses", "ties", "both_bad", "up", "down"];
const DAILY = ["day", "model", "answers", "votes", "wins"];
let stats = null;

function columns({ days }, what) {
  const width = chartWidth();
  const names = [...new Set(days.map((row) => row.model))].sort();
  const dates = [...new Set(days.map((row) => row.day))].sort();
  const totals = dates.map((day) => days.filter((row) => row.day === day).reduce((sum, row) => sum + row[what], 0));
  const most = Math.max(1, ...totals);
  const wide = (width - LEFT) / dates.length;
  const bar = Math.min(44, wide * 0.7);
  const y = (count) => HEIGHT - BOTTOM - count / most * (HEIGHT - BOTTOM - 12);
  const picture = svg("svg.chart", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": t("stats.label") });
  for (const count of ticks(0, most, 4).filter(Number.isInteger)) {
    picture.append(svg("line.grid", { x1: LEFT, x2: width, y1: y(count), y2: y(count) }),
      svg("text.tick", { x: LEFT - 8, y: y(count) + 4, "text-anchor": "end", text: number(count) }));
  }
  dates.forEach((day, i) => {
    let sum = 0;
    const rows = days.filter((one) => one.day === day);
    for (const row of rows.sort((a, b) => names.indexOf(a.model) - names.indexOf(b.model))) {
      if (!row[what]) continue;
      const x = LEFT + wide * i + (wide - bar) / 2;
      picture.append(svg("rect.bar", { x, width: bar, y: y(sum + row[what]), height: y(sum) - y(sum + row[what]),
        "data-series": names.indexOf(row.model) % 4 }, svg("title", { text: `${day} · ${row.model}: ${row[what]}` })));
      sum += row[what];
    }
    if (i % Math.ceil(dates.length / (width / 60)) === 0) {
      const place = { x: LEFT + wide * (i + 0.5), y: HEIGHT - 6, "text-anchor": "middle" };
      picture.append(svg("text.tick", { ...place, text: day.slice(5) }));
    }
  });
  const box = (i) => svg("svg.sample.box", { viewBox: "0 0 14 14", "aria-hidden": "true" },
    svg("rect.bar", { width: 14, height: 14, "data-series": i % 4 }));
  return el("figure.chart-figure", {}, el("div.chart-scroll", {}, picture), el("figcaption.legend", {},
    ...names.map((name, i) => el("span.legend-item", {}, box(i), el("span", { text: name })))));
}

const winRate = ({ wins, losses }) => (wins + losses ? percent(wins / (wins + losses)) : "–");

function draw() {
  if (!stats) return;
  const { days, models } = stats;
  const named = (keys) => keys.map((key) => t(`stats.${key}`));
  if (!days.length) {
    $("#stats").replaceChildren(el("p.muted", { text: t("stats.nothing") }));
    return;
  }
  const byModel = models.map((row) => [...SHOWN.map((key) => row[key]), winRate(row)]);
  $("#stats").replaceChildren(
    columns(stats, $("#stats-what").value),
    table(t("stats.models"), named([...SHOWN, "rate"]), byModel),
    dataTable("days", named(DAILY), days.map((row) => DAILY.map((key) => row[key]))));
}

export async function drawStats() {
  await guarded($("#stats-error"), async () => { stats = await call("GET", "/api/stats?days=30"); });
  draw();
}

export function startStats() {
  $("#stats-what").addEventListener("change", draw);
  language.addEventListener("change", draw);
}
