// One prompt, one seed, up to three models side by side: what each stage of the recipe has changed.

import { announce } from "./announce.js";
import { isAbort, patiently, stream } from "./api.js";
import { enterKeys } from "./composer.js";
import { $, $$, el, escapeKey, show } from "./dom.js";
import { sentence } from "./errors.js";
import { language, number, percent, t } from "./i18n.js";
import { inspect } from "./inside.js";
import { describe, model, offerModels, modelEvents, stageName, stagesOf } from "./models.js";
import { isShown } from "./router.js";
import { decoding } from "./settings.js";

let controller = null;
let last = null;   // {messages, columns} of the comparison on the screen

const pickers = () => $$("#compare-models select");

function pick() {
  const first = pickers()[0].options.length === 0;
  for (const select of pickers()) offerModels(select, { empty: t("compare.none") });
  if (first) {
    const own = offerModels(el("select")).value;
    stagesOf(own).forEach((id, i) => { pickers()[i].value = id ?? ""; });
  }
}

function card(id, column) {
  return el("article.column", { "data-column": column, "aria-label": id },
    el("header", {}, el("h2", { text: stageName(model(id)?.stage ?? "") }),
      el("p.muted", { text: id, title: describe(id) })),
    el("div.text", {}), el("p.state", {}), el("dl.facts", {}), el("div.actions", {}));
}

/** Reward, KL and agreement of a finished column; where there is none, why. */
function facts(column) {
  const fact = (key, value, why) => [el("dt", { text: t(key) }),
    el("dd", {}, value === null ? el("span.muted", { text: why ?? "–" }) : el("strong", { text: value }))];
  const each = column.kl_per_token;
  const perToken = each === null ? "" : ` (${t("compare.perToken", { kl: number(each) })})`;
  return [
    ...fact("compare.reward", column.reward === null ? null : number(column.reward), column.reward_reason),
    ...fact("compare.kl", column.kl === null ? null : number(column.kl) + perToken, column.kl_reason),
    ...(column.agreement === null ? [] : fact("compare.agreement", percent(column.agreement))),
    ...fact("compare.length", t("chat.tokens", { count: column.ids.length })),
  ];
}

function finish(column) {
  const place = $(`[data-column="${column.column}"]`);
  $(".text", place).textContent = column.text;
  $(".state", place).textContent = column.error ? sentence(column.error)
    : column.finish_reason === "length" ? t("chat.truncated") : "";
  if (column.error) return;
  $(".facts", place).replaceChildren(...facts(column));
  $(".actions", place).replaceChildren(el("button.small", { type: "button", text: t("chat.look"), onclick: () =>
    inspect({ model: column.model, messages: last.messages, mode: "qa", ids: column.ids, text: column.text }) }));
  announce(t("compare.announce", { model: column.model, text: column.text }));
}

async function run() {
  const question = $("#compare-prompt").value.trim();
  const names = [...new Set(pickers().map((select) => select.value).filter(Boolean))];
  if (!question || !names.length || controller) return;
  const messages = [{ role: "user", content: question }];
  last = { messages, columns: [] };
  controller = new AbortController();
  const { signal } = controller;
  $("#compare-columns").replaceChildren(...names.map(card));
  $("#compare-seed").textContent = "";
  busy(true);
  const say = (text) => { $("#compare-error").textContent = text; };
  say("");
  const once = async () => {
    const body = { models: names, messages, mode: "qa", stream: true, ...decoding() };
    for await (const { event, data } of stream("POST", "/api/compare", body, { signal })) {
      if (event === "start") $("#compare-seed").textContent = t("chat.seed", { seed: data.seed });
      if (event === "token" && !signal.aborted) $(`[data-column="${data.column}"] .text`).append(data.text);
      if (event === "column") {
        last.columns.push(data);
        finish(data);
      }
    }
  };
  try {
    await patiently(once, (seconds) => say(seconds ? t("chat.busy", { seconds }) : ""), signal);
  } catch (error) {
    if (isAbort(error)) say(t("chat.stopped"));
    else if (error.status === undefined) throw error;
    else say(sentence(error));
  } finally {
    controller = null;
    busy(false);
  }
}

function busy(is) {
  show($("#compare-stop"), is);
  show($("#compare-run"), !is);
  $("#compare-columns").setAttribute("aria-busy", String(is));
}

export const compareView = {
  start() {
    pick();
    const stop = () => controller?.abort();
    $("#compare-form").addEventListener("submit", (event) => { event.preventDefault(); run(); });
    $("#compare-stop").addEventListener("click", stop);
    enterKeys($("#compare-prompt"), run, stop);
    document.addEventListener("keydown", (event) => { if (isShown("compare") && escapeKey(event)) stop(); });
    modelEvents.addEventListener("change", pick);
    language.addEventListener("change", () => {
      pick();
      for (const column of last?.columns ?? []) finish(column);
    });
  },
  leave() { controller?.abort(); },
};
