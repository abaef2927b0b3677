// The training view: every run on disk, its curves as they grow, and what the model wrote along the way.

import { call, isAbort } from "./api.js";
import { dataTable, lineChart } from "./chart.js";
import { $, el, show } from "./dom.js";
import { guarded } from "./errors.js";
import { has, language, number, t, when } from "./i18n.js";
import { stageName } from "./models.js";
import { kept, keep } from "./storage.js";

const POLL = 3000;
const FIRST = [["valid.loss", "train_loss"], ["loss"], ["accuracy"]];
let runs = [];
let run = null;
let shown = null;      // the columns that are drawn
let timer = null;
let controller = null;

/** What the policy was paid and, where a grader knows the truth, what its answers were worth: the last mark says it. */
const paid = (columns) => [...columns.filter((name) => /^(valid\.)?reward$/.test(name)),
  ...columns.filter((name) => /^valid\.true_/.test(name)).slice(-1)];

function firstColumns({ columns, stage }) {
  if (stage === "ppo" && paid(columns).length) return paid(columns);
  for (const wish of FIRST) {
    const found = wish.filter((name) => columns.includes(name));
    if (found.length) return found;
  }
  return columns.filter((name) => !["step", "tokens", "seconds"].includes(name)).slice(0, 1);
}

/** "valid.true_good": "good, by the grader, held out". */
function columnName(name) {
  if (has(`column.${name}`)) return t(`column.${name}`);
  if (name.startsWith("valid.")) return t("column.heldOut", { name: columnName(name.slice(6)) });
  return name.startsWith("true_") ? t("column.byGrader", { name: name.slice(5) }) : name;
}

function drawRuns() {
  const badge = ({ live, finished }) =>
    t(live ? "training.live" : finished ? "training.finished" : "training.unfinished");
  const about = ({ stage, steps, minutes }) => [
    stageName(stage),
    steps && t("training.steps", { count: number(steps) }),
    minutes && t("training.minutes", { minutes: number(minutes, 1) }),
  ].filter(Boolean).join(" · ");
  const entry = (one) => el("li", {}, el("button.run",
    { type: "button", "aria-current": one.name === run?.name ? "true" : null, onclick: () => open(one.name) },
    el("span.run-name", { text: one.name }),
    el(`span.badge${one.live ? ".live" : ""}`, { text: badge(one) }),
    el("span.muted", { text: about(one) })));
  $("#runs").replaceChildren(...runs.map(entry));
  show($("#no-runs"), runs.length === 0);
}

function points(name) {
  return run.rows.filter((row) => row[name] !== undefined && row[name] !== null).map((row) => [row.step, row[name]]);
}

const steps = () => [...new Set(run.samples.map((sample) => sample.step))].sort((a, b) => a - b);
const chosenStep = () => steps()[Number($("#step").value)] ?? null;

function drawCurves() {
  const series = shown.map((name) => ({ name: columnName(name), points: points(name) }));
  const mark = steps().length > 1 ? chosenStep() : null;
  const names = shown.map(columnName);
  const rows = run.rows.filter((row) => shown.some((name) => name in row)).slice(-200);
  const label = t("training.label", { run: run.name, columns: names.join(", ") });
  $("#curves").replaceChildren(
    lineChart({ series, mark, label, x: t("training.step") }),
    dataTable(run.name, [t("training.step"), ...names],
      rows.map((row) => [row.step, ...shown.map((name) => row[name])])));
}

function drawColumns() {
  const wanted = run.columns.filter((name) => name !== "step");
  $("#columns").replaceChildren(...wanted.map((name) => el("label.check", {},
    el("input", { type: "checkbox", checked: shown.includes(name), onchange: (event) => {
      shown = event.target.checked ? [...shown, name] : shown.filter((one) => one !== name);
      keep(`columns.${run.stage}`, shown);
      drawCurves();
    } }), el("span", { text: columnName(name) }))));
}

/** What was measured on the held-out prompts at `step`: the learned reward went up; did the truth? */
function rewardLine(step) {
  const names = run.columns.filter((name) => /^valid\.(reward|kl|true_\w+)$/.test(name));
  return names.map((name) => [columnName(name.slice(6)), points(name).find(([at]) => at === step)?.[1]])
    .filter(([, value]) => value !== undefined);
}

function drawSamples() {
  const all = steps();
  show($("#samples-block"), all.length > 0);
  if (!all.length) return;
  const slider = $("#step");
  const atEnd = Number(slider.value) >= Number(slider.max);
  slider.max = all.length - 1;
  slider.disabled = all.length < 2;
  if (atEnd) slider.value = slider.max;
  const step = chosenStep();
  slider.setAttribute("aria-valuetext", t("training.atStep", { step }));
  $("#step-shown").textContent = t("training.atStep", { step: number(step) });
  $("#step-rewards").replaceChildren(...rewardLine(step).map(([name, value]) =>
    el("div", {}, el("dt", { text: name }), el("dd", {}, el("strong", { text: number(value, 3) })))));
  $("#samples").replaceChildren(...run.samples.filter((sample) => sample.step === step).map((sample) =>
    el("li", {}, el("p.sample-prompt", { text: sample.prompt ?? "" }), el("p.text", { text: sample.text ?? "" }))));
}

function drawRun() {
  show($("#run"), Boolean(run));
  if (!run) return;
  $("#run-title").textContent = run.name;
  const { machine, tokens, metrics } = run.card ?? {};
  const measured = Object.entries(metrics ?? {}).filter(([, value]) => typeof value === "number").slice(0, 4)
    .map(([name, value]) => `${columnName(name)} ${number(value, 3)}`);
  const read = tokens && t("training.tokens", { count: number(tokens) });
  const about = [stageName(run.stage), read, ...measured, machine, run.updated && when(run.updated)];
  $("#run-about").textContent = about.filter(Boolean).join(" · ");
  const live = document.activeElement?.closest("#columns");
  if (!live) drawColumns();
  drawSamples();   // first: the chart marks the step that the slider stands at
  drawCurves();
}

async function read(name, signal) {
  const path = name.split("/").map(encodeURIComponent).join("/");
  const next = await call("GET", `/api/runs/${path}?points=400`, undefined, { signal });
  if (next.name !== run?.name) {
    const known = kept(`columns.${next.stage}`, []).filter((column) => next.columns.includes(column));
    shown = known.length ? known : firstColumns(next);
    $("#step").max = 0;   // a new run starts at its last samples
    $("#step").value = 0;
  }
  run = next;
  if (!shown.length) shown = firstColumns(run);
}

async function open(name) {
  controller?.abort();
  controller = new AbortController();
  const { signal } = controller;
  await guarded($("#training-error"), () => read(name, signal).catch((error) => { if (!isAbort(error)) throw error; }));
  if (signal.aborted) return;
  drawRun();
  drawRuns();
}

/** Once in a while: look for new runs, and read on in the one that is being written. */
async function poll() {
  clearTimeout(timer);
  await guarded($("#training-error"), async () => { ({ runs } = await call("GET", "/api/runs")); });
  const mine = runs.find((one) => one.name === run?.name);
  if (!run && runs.length) await open((runs.find((one) => one.live) ?? latest()).name);
  else if (mine && (mine.live || mine.updated !== run.updated)) await open(mine.name);
  drawRuns();
  timer = setTimeout(poll, POLL);
}

/** The run that was written to last; one that has samples to show, if there is one. */
function latest() {
  const telling = runs.filter((one) => one.samples > 0);
  return (telling.length ? telling : runs).reduce((best, one) => (one.updated > best.updated ? one : best));
}

export const trainingView = {
  start() {
    $("#step").addEventListener("input", () => { drawSamples(); drawCurves(); });
    language.addEventListener("change", () => { drawRuns(); drawRun(); });
  },
  enter: poll,
  leave() { clearTimeout(timer); },
};
