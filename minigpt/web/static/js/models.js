// The models, grouped by the stage that made them.

import { call } from "./api.js";
import { el } from "./dom.js";
import { has, number, t } from "./i18n.js";

export const STAGES = ["pretrain", "sft", "ppo", "dpo", "reward"];
export const modelEvents = new EventTarget();  // says "change"
let known = [];

export const models = () => known;
export const model = (id) => known.find((one) => one.id === id) ?? null;
export const speakers = () => known.filter((one) => one.chats);
export const stageName = (stage) => (has(`stage.${stage}`) ? t(`stage.${stage}`) : stage);

export async function loadModels() {
  known = (await call("GET", "/v1/models")).data;
  modelEvents.dispatchEvent(new Event("change"));
  return known;
}

/** The chats-with-you models, a group for each stage in the order of the recipe. */
function groups() {
  const rank = (stage) => (STAGES.indexOf(stage) + STAGES.length + 1) % (STAGES.length + 1);
  const byStage = new Map();
  for (const one of speakers()) byStage.set(one.stage, [...(byStage.get(one.stage) ?? []), one]);
  return [...byStage].sort(([a], [b]) => rank(a) - rank(b));
}

/** Fill a <select> with the models; keeps its choice if it still exists, else the server's default. */
export function offerModels(select, { empty = null, chosen = select.value } = {}) {
  select.replaceChildren(
    ...(empty === null ? [] : [el("option", { value: "", text: empty })]),
    ...groups().map(([stage, members]) => el("optgroup", { label: stageName(stage) },
      ...members.map((one) => el("option", { value: one.id, text: one.id })))),
  );
  const first = empty === null ? (speakers().find((one) => one.default) ?? speakers()[0])?.id : "";
  select.value = model(chosen)?.chats ? chosen : first ?? "";
  return select;
}

/** "Fine-tuned · 1.3 M parameters · sees 128 tokens · trained 0.9 min". */
export function describe(id) {
  const one = model(id);
  if (!one) return "";
  const { minutes, evaluation } = one.card ?? {};
  return [
    stageName(one.stage),
    one.parameters && t("model.parameters", { count: number(one.parameters / 1e6, 1) }),
    t("model.context", { count: number(one.context_length) }),
    minutes && t("model.minutes", { minutes: number(minutes, 1) }),
    evaluation && !evaluation.better && t("model.trial"),
  ].filter(Boolean).join(" · ");
}

/** One model of each wanted stage, the nearest relative of `id` where there is one: the compare view's first choice. */
export function stagesOf(id, stages = ["pretrain", "sft", "ppo"]) {
  const { recipe } = model(id) ?? {};
  const [folder] = id.split("/");
  return stages.map((stage) => {
    const all = speakers().filter((one) => one.stage === stage);
    const near = all.find((one) => one.id === id) ?? all.find((one) => one.id === `${folder}/${stage}`)
      ?? all.find((one) => one.recipe === recipe) ?? all[0];
    return near?.id ?? null;
  });
}
