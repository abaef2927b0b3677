// From votes to the next model: starts the training, shows it live, and says whether it now agrees with the voter.

import { announce } from "./announce.js";
import { call, isAbort, stream } from "./api.js";
import { $, el, show } from "./dom.js";
import { guarded } from "./errors.js";
import { language, number, percent, t } from "./i18n.js";
import { loadModels } from "./models.js";

let job = null;
let watching = null;
let starting = false;
let whenDone = () => {};

function agreementLine() {
  const { before, after } = job.agreement;
  const latest = after ?? before;
  if (!latest) return "";
  if (latest.share === null) return latest.reason ?? "";
  const was = before.share === null ? "–" : percent(before.share);
  if (after) return t("retrain.agreement", { after: percent(after.share), before: was, votes: after.votes });
  return t("retrain.before", { before: was, votes: before.votes });
}

function stateLine() {
  if (job.state === "idle") return "";
  if (job.state !== "running") return t(`retrain.${job.state}`, { seconds: number(job.seconds, 0) });
  const step = t("retrain.running", { step: job.step, steps: job.steps, name: job.name ?? "" });
  if (!job.run_steps) return step;
  const words = { at: number(job.run_step), of: number(job.run_steps), seconds: number(job.eta ?? 0, 0) };
  return `${step} · ${t(job.eta === null ? "retrain.at" : "retrain.left", words)}`;
}

/** Whether the new model is better than the old one, and if not, why. */
function resultLine() {
  if (!job.result) return "";
  const { against, better, reason } = job.result;
  const { share, of } = job.result[reason === "accuracy" ? "accuracy" : "win_rate"];
  const words = { against, share: percent(share), of: number(of) };
  if (better) return t("retrain.better", words);
  const [former, now] = (job.result[reason].map?.((one) => number(one, reason === "length" ? 1 : 2))) ?? [];
  return `${t("retrain.trial", words)} ${t(`retrain.trial.${reason}`, { ...words, former, new: now })}`;
}

function draw() {
  if (!job) return;
  const running = job.state === "running";
  show($("#retrain-start"), !running);
  show($("#retrain-cancel"), running);
  show($("#retrain-live"), job.state !== "idle");
  $("#retrain-state").textContent = stateLine();
  const bar = $("#retrain-progress");
  show(bar, running);
  if (job.percent === null || job.percent === undefined) bar.removeAttribute("value");
  else bar.value = job.percent;
  $("#retrain-message").textContent = job.message ?? "";
  $("#retrain-agreement").textContent = agreementLine();
  $("#retrain-result").textContent = resultLine();
  $("#retrain-lines").textContent = job.lines.slice(-50).join("\n");
  $("#retrain-commands").replaceChildren(...job.commands.map((command) => el("li", {}, el("code", { text: command }))));
}

function take({ event, data }) {
  if (event === "line") job.lines.push(data.text);
  if (event === "progress") Object.assign(job, data);
  if (event === "agreement") job.agreement[data.when] = data;
  if (event === "done") job = data;
  draw();
}

async function watch() {
  watching?.abort();
  watching = new AbortController();
  job.lines = [];
  try {
    for await (const event of stream("GET", "/api/retrain/events", undefined, { signal: watching.signal })) take(event);
  } catch (error) {
    if (isAbort(error)) return;
    if (error.status === undefined) throw error;
    return;  // the banner says that the server is gone
  }
  announce($("#retrain-state").textContent);
  whenDone();
  loadModels().catch(() => {});
}

async function begin(force) {
  if (starting) return;   // a double click
  starting = true;
  await guarded($("#retrain-error"), async () => {
    try {
      job = await call("POST", "/api/retrain", force ? { force } : {});
    } catch (error) {
      show($("#retrain-force"), error.code === "not_enough_votes");
      throw error;
    }
    show($("#retrain-force"), false);
    draw();
    watch();
  }).finally(() => { starting = false; });
}

export function startRetraining(done) {
  whenDone = done;
  $("#retrain-start").addEventListener("click", () => begin(false));
  $("#retrain-force").addEventListener("click", () => begin(true));
  $("#retrain-cancel").addEventListener("click", () => guarded($("#retrain-error"), async () => {
    job = await call("DELETE", "/api/retrain");
    draw();
  }));
  language.addEventListener("change", draw);
  guarded($("#retrain-error"), async () => {
    job = await call("GET", "/api/retrain");
    draw();
    if (job.state === "running") watch();
  });
}
