// Tokens one can click: how likely each was, its rank, and what else could have stood in its place.

import { el, roving } from "./dom.js";
import { chance, has, number, t } from "./i18n.js";
import { opinions } from "./stages.js";

/** A piece of text that can be seen even if it is a space, a line break, or nothing. */
export const visible = (token) => {
  const text = token.kind === "text" ? token.text || token.piece : token.piece || token.text;
  return text.replace(/^ | $/g, "·").replaceAll("▁", "·").replaceAll("\n", "⏎") || "∅";
};

/** What the model read: every token of the prompt, the marks that say who speaks set apart. */
export function promptStrip({ prompt }) {
  const kind = (token) => (has(`kind.${token.kind}`) ? t(`kind.${token.kind}`) : token.kind);
  return el("p.strip", {}, ...prompt.map((token) =>
    el(`span.token.${token.kind}`, { title: `${token.id} · ${kind(token)}`, text: visible(token) })));
}

/** The tokens of an answer, and the one that ends it. */
export const withEnd = (found) => (found.end ? [...found.tokens, { ...found.end, kind: "end" }] : found.tokens);

/** Each token of the answer as a button; a bar below it is as long as the token was likely. `stages`, a promise, tells
 * what the other stages think of them. */
export function answerStrip(found, { kept, resume, stages }) {
  const tokens = withEnd(found);
  const panel = el("div.alternatives", { id: "alternatives", "aria-live": "polite" });
  const button = (token, i) => el(`button.token.${token.kind}${i < kept ? ".kept" : ""}`, {
    type: "button", "aria-pressed": "false", share: token.probability, "data-index": i,
    "aria-label": t("inside.token", { text: visible(token), chance: chance(token.probability), rank: token.rank }),
    onclick: () => open(i),
  }, el("span.piece", { text: visible(token) }), el("span.bar"));
  const strip = el("div.strip.answer", { role: "group", "aria-label": t("inside.tokens") }, ...tokens.map(button));

  function open(i) {
    for (const one of strip.children) one.setAttribute("aria-pressed", String(Number(one.dataset.index) === i));
    const drawn = alternatives(tokens, i, resume);
    panel.replaceChildren(drawn);
    stages.then((all) => drawn.append(opinions(all, i) ?? ""));
  }
  roving(strip, "button");
  if (tokens.length) open(0);
  return el("div", {}, strip, panel);
}

function alternatives(tokens, at, resume) {
  const token = tokens[at];
  const before = tokens.slice(0, at).map((one) => one.id);
  const restart = (other) => el("button.small", { type: "button", text: t("inside.restart"),
    "aria-label": t("inside.restartFrom", { text: visible(other) }), onclick: () => resume([...before, other.id]) });
  const row = (other, rank) => el("tr", { class: other.id === token.id ? "chosen" : null },
    el("td.rank", { text: number(rank) }),
    el("td.piece", {}, el("span.token", { text: visible(other) }), other.id === token.id
      ? el("span.muted", { text: t("inside.chosen") }) : null),
    el("td.bar-cell", { share: other.probability }, el("span.bar"),
      el("span.share", { text: chance(other.probability) })),
    el("td", {}, other.id === token.id || other.kind === "end" ? null : restart(other)));
  const listed = token.alternatives.map((other, i) => [other, i + 1]);
  if (!token.alternatives.some((other) => other.id === token.id)) listed.push([token, token.rank]);
  const facts = { text: visible(token), chance: chance(token.probability), rank: token.rank };
  const heads = ["inside.rank", "inside.piece", "inside.probability", "inside.restart"];
  return el("div", {},
    el("p.sentence", { text: t("inside.choice", facts) }),
    el("table.alternatives-table", {}, el("caption.visually-hidden", { text: t("inside.alternatives") }),
      el("thead.visually-hidden", {}, el("tr", {}, ...heads.map((key) => el("th", { scope: "col", text: t(key) })))),
      el("tbody", {}, ...listed.map(([other, rank]) => row(other, rank)))));
}
