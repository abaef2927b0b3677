// The look-inside view: one answer, and the instruments that look at it.

import { call } from "./api.js";
import { attention } from "./attention.js";
import { beam } from "./beam.js";
import { enterKeys } from "./composer.js";
import { $, show } from "./dom.js";
import { guarded } from "./errors.js";
import { language, t } from "./i18n.js";
import { offerModels, modelEvents } from "./models.js";
import { go } from "./router.js";
import { decoding } from "./settings.js";
import { back, current, hasBefore, lay, specimen, subject } from "./specimen.js";
import { bystanders } from "./stages.js";
import { answerStrip, promptStrip, withEnd } from "./tokens.js";
import { xray } from "./xray.js";

/** Open the view on an answer. */
export function inspect(answer) {
  lay(answer);
  go("inside");
}

/** Answer anew, from `ids` on, and look at that. */
async function resume(ids) {
  const { model, messages, mode } = current();
  await guarded($("#inside-error"), async () => {
    const reply = await call("POST", "/v1/chat/completions", { model, messages, mode, ...decoding(), answer_ids: ids });
    lay({ model, messages, mode, ids: reply.minigpt.ids, text: reply.choices[0].message.content, kept: ids.length });
  });
}

async function ask() {
  const question = $("#inside-prompt").value.trim();
  if (!question) return;
  const model = $("#inside-model").value;
  const messages = [{ role: "user", content: question }];
  $("#inside-ask").disabled = true;
  await guarded($("#inside-error"), async () => {
    const reply = await call("POST", "/v1/chat/completions", { model, messages, mode: "qa", ...decoding() });
    lay({ model, messages, mode: "qa", ids: reply.minigpt.ids, text: reply.choices[0].message.content });
  });
  $("#inside-ask").disabled = false;
}

let latest = 0;

async function draw() {
  const answer = current();
  show($("#inside-empty"), !answer);
  show($("#inside-body"), Boolean(answer));
  show($("#inside-back"), hasBefore());
  if (!answer) return;
  const round = ++latest;
  $("#inside-prompt").value = answer.messages.at(-1).content;
  offerModels($("#inside-model"), { chosen: answer.model });
  await guarded($("#inside-error"), async () => {
    const found = await call("POST", "/api/tokens", { ...subject(answer), top: 10 });
    if (round !== latest) return;  // another answer was laid under the glass meanwhile
    $("#inside-prompt-tokens").replaceChildren(promptStrip(found));
    $("#inside-context").textContent = t("inside.context", { count: found.prompt.length, context: found.context });
    $("#inside-dropped").textContent = found.dropped ? t("chat.dropped", { count: found.dropped }) : "";
    $("#inside-tokens").replaceChildren(answerStrip(found,
      { kept: answer.kept ?? 0, resume, stages: bystanders(answer, withEnd(found)) }));
    $("#inside-xray").replaceChildren(xray(found));
  });
  if (round === latest) await attention(answer);
  beam(answer);
}

export const insideView = {
  start() {
    offerModels($("#inside-model"));
    $("#inside-form").addEventListener("submit", (event) => { event.preventDefault(); ask(); });
    enterKeys($("#inside-prompt"), ask);
    $("#inside-back").addEventListener("click", back);
    specimen.addEventListener("change", draw);
    language.addEventListener("change", draw);
    modelEvents.addEventListener("change", () => offerModels($("#inside-model")));
    draw();
  },
};
