// One answer before the eyes of every stage: how likely each of them finds the tokens that one of them wrote.

import { call } from "./api.js";
import { el } from "./dom.js";
import { chance, number, t } from "./i18n.js";
import { model, stageName, stagesOf } from "./models.js";
import { subject } from "./specimen.js";

/** [{id, tokens}] for the answer's own model (whose `tokens` are known) and its relatives, in the recipe's order. */
export async function bystanders(answer, own) {
  const ids = [...new Set(stagesOf(answer.model).filter(Boolean))];
  const seen = await Promise.all(ids.map(async (id) => {
    if (id === answer.model) return { id, tokens: own };
    const found = await call("POST", "/api/tokens", { ...subject(answer), model: id, top: 1 }).catch(() => null);
    const tokens = found ? [...found.tokens, found.end] : [];
    const alike = tokens.length === own.length && own.every((token, i) => token.id === tokens[i].id);
    return alike ? { id, tokens } : null;   // another tokenizer, a shorter context: not to be compared
  }));
  return seen.filter(Boolean);
}

/** What each of them thought of the token at one place. */
export function opinions(stages, at) {
  if (stages.length < 2) return null;
  const heads = ["stats.model", "inside.rank", "inside.probability"];
  return el("table.stages-table", {}, el("caption", { text: t("inside.stages") }),
    el("thead", {}, el("tr", {}, ...heads.map((key) => el("th", { scope: "col", text: t(key) })))),
    el("tbody", {}, ...stages.map(({ id, tokens }) => el("tr", {},
      el("th", { scope: "row", text: stageName(model(id)?.stage ?? ""), title: id }),
      el("td", { text: number(tokens[at].rank) }), el("td", { text: chance(tokens[at].probability) })))));
}
